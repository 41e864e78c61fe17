#include "protocol/imap/response.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace postferry::imap {
namespace {

using date = internal_date;

TEST(internal_date, reads_rfc_3501_date_time) {
    EXPECT_EQ(date::parse("17-Jul-1996 02:44:25 -0700"), (date{837596665, -420}));
    EXPECT_EQ(date::parse(" 1-Feb-2003 04:05:06 +0100"), (date{1044068706, 60}));
    EXPECT_EQ(date::parse("01-Jan-1970 00:00:00 +0000"), (date{0, 0}));
    EXPECT_EQ(date::parse("29-Feb-2000 23:59:59 +2359"), (date{951868799 - 86340, 1439}));
    EXPECT_EQ(date::parse("31-Dec-1969 23:59:59 +0000"), (date{-1, 0}));
}

TEST(internal_date, tolerates) {
    const date expected{1044068706, 60};
    EXPECT_EQ(date::parse("1-Feb-2003 04:05:06 +0100"), expected);
    EXPECT_EQ(date::parse("01-feb-2003 4:05:06 +0100"), expected);
    EXPECT_EQ(date::parse(" 1-FEB-2003  04:05:06  +0100 "), expected);
    EXPECT_EQ(date::parse(" 1-Feb-2003 03:05:06"), (date{1044068706, 0}));
    EXPECT_EQ(date::parse("31-Dec-2016 23:59:60 +0000"), (date{1483228800, 0})); // a leap second
}

TEST(internal_date, refuses) {
    for (const auto* text : {"", "NIL", "00-Jan-0000 00:00:00 +0000", "00-Jan-2003 00:00:00 +0000",
                             "01-Jan-0000 00:00:00 +0000", "30-Feb-2003 00:00:00 +0000", "29-Feb-2003 00:00:00 +0000",
                             "32-Jan-2003 00:00:00 +0000", "1-Foo-2003 00:00:00 +0000", "1-Jan-03 00:00:00 +0000",
                             "1-Jan-2003 24:00:00 +0000", "1-Jan-2003 00:60:00 +0000", "1-Jan-2003 00:00:61 +0000",
                             "1-Jan-2003 00:00:00 +2400", "1-Jan-2003 00:00:00 +0060", "1-Jan-2003 00:00:00 0000",
                             "1-Jan-2003 00:00:00 +0000x", "1-Jan-20030 00:00:00 +0000", "1-Jan-2003"})
        EXPECT_FALSE(date::parse(text)) << text;
}

TEST(internal_date, writes) {
    EXPECT_EQ((date{1044068706, 60}).to_string(), " 1-Feb-2003 04:05:06 +0100");
    EXPECT_EQ((date{837596665, -420}).to_string(), "17-Jul-1996 02:44:25 -0700");
    EXPECT_EQ((date{-1, 0}).to_string(), "31-Dec-1969 23:59:59 +0000");
    EXPECT_EQ((date{-1, -90}).to_string(), "31-Dec-1969 22:29:59 -0130");
    EXPECT_EQ((date{-62135596800, 0}).to_string(), " 1-Jan-0001 00:00:00 +0000");
    EXPECT_EQ((date{253402300799, 0}).to_string(), "31-Dec-9999 23:59:59 +0000");
}

TEST(internal_date, cannot_write_what_the_grammar_has_no_room_for) {
    EXPECT_FALSE((date{-62135596801, 0}).to_string());
    EXPECT_TRUE((date{-62135596801, 1}).to_string()); // in its own zone it is year 1
    EXPECT_FALSE((date{253402300800, 0}).to_string());
    EXPECT_FALSE((date{0, 1440}).to_string());
    EXPECT_FALSE((date{0, -1440}).to_string());
    EXPECT_FALSE((date{std::numeric_limits<std::int64_t>::max(), 1}).to_string());
    EXPECT_FALSE((date{std::numeric_limits<std::int64_t>::min(), -1}).to_string());
}

TEST(internal_date, reads_what_it_writes) {
    for (std::int64_t seconds = -62135500000; seconds < 253402000000; seconds += 1234567891) {
        for (const int zone : {-1439, -720, -1, 0, 1, 330, 1439}) {
            const date d{seconds, static_cast<std::int16_t>(zone)};
            const auto text = d.to_string();
            ASSERT_TRUE(text) << seconds;
            EXPECT_EQ(text->size(), 26U);
            EXPECT_EQ(date::parse(*text), d) << *text;
        }
    }
}

} // namespace
} // namespace postferry::imap

#include "message/mbox_from.hpp"

#include <gtest/gtest.h>

namespace postferry::message {
namespace {

constexpr std::int64_t january = 978'343'200; // 2001-01-01 10:00:00 UTC

TEST(mbox_from, dates_as_they_are_written) {
    for (const char* line : {
             "From anna@example.org Mon Jan  1 10:00:00 2001",
             "From - Mon Jan 01 10:00:00 2001",
             "From  Mon Jan  1 10:00:00 2001",
             "From \"Anna B\"@example.org Mon Jan  1 10:00:00 2001\r",
             "From anna Mon Jan  1 10:00 2001",
             "From anna Mon Jan  1 10:00:00 UTC 2001",
             "From anna Mon Jan  1 11:00:00 +0100 2001",
             "From 1466@xxx Mon Jan 01 10:00:00 +0000 2001",
             "From anna Mon Jan  1 11:00:00 2001 +0100",
             "From anna Mon Jan  1 10:00:00 2001 remote from far",
             "From anna Mon, 1 Jan 2001 10:00:00 GMT",
             "From anna Jan 1 10:00:00 2001",
             "From anna Mon Jan  1 10:00:00 01",
             "From ???@??? Mon Jan 01 10:00:00 2001",
         }) {
        const auto from = parse_mbox_from(line);
        ASSERT_TRUE(from) << line;
        EXPECT_EQ(from->date.unix_seconds, january) << line;
        EXPECT_FALSE(from->ours);
    }
    EXPECT_FALSE(parse_mbox_from("From anna Mon Jan  1 10:00:00 2001")->zone_told);
    EXPECT_TRUE(parse_mbox_from("From anna Mon Jan  1 10:00:00 +0000 2001")->zone_told);
}

TEST(mbox_from, words_of_a_letter) {
    for (const char* line : {"From now on", "From ", "From Monday to Friday we meet at 10:00 in room 2001",
                             "From anna Mon Jan 32 10:00:00 2001", "From anna Mon Feb 30 10:00:00 2001",
                             "From anna Mon Jan  1 25:00:00 2001", "From anna Mon Jan  1 2001",
                             ">From a Mon Jan 1 1:00:00 2001", "From: anna", "from anna Mon Jan  1 10:00:00 2001"})
        EXPECT_FALSE(parse_mbox_from(line)) << line;
    EXPECT_FALSE(parse_mbox_from("From " + std::string(1000, 'x') + " Mon Jan  1 10:00:00 2001"));
}

TEST(mbox_from, ours) {
    EXPECT_EQ(make_mbox_from(message_date{january, 60}, false, false),
              "From postferry Mon Jan  1 11:00:00 2001 +0100\n");
    EXPECT_EQ(make_mbox_from(message_date{january, -210}, true, true),
              "From postferry Mon Jan  1 06:30:00 2001 -0330 verbatim no-eol\n");
    EXPECT_EQ(make_mbox_from({}, false, false), "From postferry Thu Jan  1 00:00:00 1970 +0000\n");
    for (const std::int64_t when :
         {std::int64_t{-2'000'000'000}, std::int64_t{0}, january, std::int64_t{200'000'000'000}})
        for (const bool marked : {false, true}) {
            std::string line = make_mbox_from(message_date{when, -90}, marked, marked);
            line.pop_back();
            const auto from = parse_mbox_from(line);
            ASSERT_TRUE(from) << line;
            EXPECT_EQ(from->date, (message_date{when, -90}));
            EXPECT_TRUE(from->ours && from->zone_told && from->verbatim == marked && from->no_line_end == marked);
        }
}

TEST(mbox_from, years_that_asctime_has_no_room_for) {
    EXPECT_TRUE(parse_mbox_from(make_mbox_from(message_date{-99'999'999'999, 0}, false, false)));
    EXPECT_TRUE(parse_mbox_from(make_mbox_from(message_date{INT64_C(999'999'999'999), -700}, false, false)));
}

} // namespace
} // namespace postferry::message

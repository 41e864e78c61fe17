#include "app/words.hpp"

#include <gtest/gtest.h>

namespace postferry::app {
namespace {

TEST(words, numbers) {
    EXPECT_EQ(grouped(0), "0");
    EXPECT_EQ(grouped(999), "999");
    EXPECT_EQ(grouped(1000), "1,000");
    EXPECT_EQ(grouped(1234567), "1,234,567");
    EXPECT_EQ(counted(1, "message"), "1 message");
    EXPECT_EQ(counted(2000, "message"), "2,000 messages");
    EXPECT_EQ(counted(0, "mailbox", "mailboxes"), "0 mailboxes");
}

TEST(words, durations) {
    EXPECT_EQ(duration_text(0.04), "0.0 s");
    EXPECT_EQ(duration_text(9.96), "10 s");
    EXPECT_EQ(duration_text(59.7), "1 min 00 s");
    EXPECT_EQ(duration_text(3723), "1 h 02 min");
    EXPECT_EQ(duration_text(90000), "1 d 01 h");
}

TEST(words, width) {
    EXPECT_EQ(display_width("Été"), 3U);
    EXPECT_EQ(display_width("e\xcc\x81"), 1U); // e and a combining accent
    EXPECT_EQ(display_width("送信済み"), 8U);
    EXPECT_EQ(display_width("📧x"), 3U);
    EXPECT_EQ(display_width("\xff\x1b"), 2U);
}

TEST(words, fitted_never_breaks_a_character_or_the_width) {
    EXPECT_EQ(fitted("ab", 4), "ab  ");
    EXPECT_EQ(fitted("abcd", 4), "abcd");
    EXPECT_EQ(fitted("abcde", 4), "abc…");
    EXPECT_EQ(fitted("送信済み", 5), "送信…");
    EXPECT_EQ(fitted("送信済み", 4), "送… "); // the second character would be cut in two
    EXPECT_EQ(fitted("a\x1b[31m\n", 10, false), "a?[31m?");
    EXPECT_EQ(fitted("abc", 0), "");
    for (std::size_t width = 0; width < 20; ++width)
        EXPECT_EQ(display_width(fitted("Été 送信済み\xff e\xcc\x81", width)), width);
}

TEST(words, names_are_readable) {
    EXPECT_EQ(readable_name("imaps://m%C3%BCller%40example.org@old:993"), "müller@example.org@old:993");
    EXPECT_EQ(readable_name("maildir:/srv/100%25/a%20b"), "maildir:/srv/100%/a b");
    EXPECT_EQ(readable_name("imap://%ff@old"), "%ff@old");     // no UTF-8
    EXPECT_EQ(readable_name("imap://a%0Ab@old"), "a%0Ab@old"); // would break the line
    EXPECT_EQ(readable_name("imap://50%@old%4"), "50%@old%4"); // no encoding
}

} // namespace
} // namespace postferry::app

#include "base/text.hpp"

#include <gtest/gtest.h>

namespace postferry {
namespace {

TEST(ascii, case_of_ascii_only) {
    EXPECT_EQ(ascii_lower("INBOX [\xc3\x84]"), "inbox [\xc3\x84]");
    EXPECT_EQ(ascii_upper("inbox {\xc3\xa4}"), "INBOX {\xc3\xa4}");
    EXPECT_EQ(ascii_lower('@'), '@');
    EXPECT_EQ(ascii_lower('Z'), 'z');
    EXPECT_EQ(ascii_upper('`'), '`');
    EXPECT_TRUE(iequals("InBox", "iNbOX"));
    EXPECT_FALSE(iequals("inbox", "inbo"));
    EXPECT_FALSE(iequals("inbo", "inbox"));
    EXPECT_TRUE(iequals("", ""));
    EXPECT_FALSE(iequals("\xc3\x84", "\xc3\xa4"));
    EXPECT_TRUE(istarts_with("INBOX/a", "inbox"));
    EXPECT_TRUE(istarts_with("x", ""));
    EXPECT_FALSE(istarts_with("in", "inbox"));
}

TEST(utf8, well_formed_sequences_only) {
    EXPECT_EQ(utf8_sequence_length(""), 0U);
    EXPECT_EQ(utf8_sequence_length(std::string_view("\0", 1)), 1U);
    EXPECT_EQ(utf8_sequence_length("\x7f"), 1U);
    EXPECT_EQ(utf8_sequence_length("\xc2\x80"), 2U);
    EXPECT_EQ(utf8_sequence_length("\xdf\xbfz"), 2U);
    EXPECT_EQ(utf8_sequence_length("\xe0\xa0\x80"), 3U);
    EXPECT_EQ(utf8_sequence_length("\xed\x9f\xbf"), 3U);
    EXPECT_EQ(utf8_sequence_length("\xee\x80\x80"), 3U);
    EXPECT_EQ(utf8_sequence_length("\xf0\x90\x80\x80"), 4U);
    EXPECT_EQ(utf8_sequence_length("\xf4\x8f\xbf\xbf"), 4U);
    for (const auto* bad : {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf",   // overlong
                            "\xc2", "\xc2z", "\xe2\x98", "\xe2\x98z", // cut short
                            "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf",       // overlong
                            "\xed\xa0\x80", "\xed\xbf\xbf",           // surrogates
                            "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"})
        EXPECT_EQ(utf8_sequence_length(bad), 0U) << testing::PrintToString(std::string(bad));
    EXPECT_TRUE(is_utf8("a\xc3\xa9\xf0\x9f\x98\x80"));
    EXPECT_TRUE(is_utf8(""));
    EXPECT_FALSE(is_utf8("a\xc3"));
    EXPECT_FALSE(is_utf8("caf\xe9"));
}

TEST(numbers, the_whole_text_or_nothing) {
    EXPECT_EQ(parse_u64("18446744073709551615"), 18446744073709551615U);
    EXPECT_EQ(parse_u32("4294967295"), 4294967295U);
    EXPECT_EQ(parse_u32("007"), 7U);
    for (const auto* bad : {"", "-1", "+1", " 1", "1 ", "0x1", "1.0", "a", "18446744073709551616"})
        EXPECT_FALSE(parse_u64(bad)) << bad;
    EXPECT_FALSE(parse_u32("4294967296"));
}

TEST(sizes, read) {
    EXPECT_EQ(parse_size("1500"), 1500U);
    EXPECT_EQ(parse_size("0"), 0U);
    EXPECT_EQ(parse_size("17 B"), 17U);
    EXPECT_EQ(parse_size("25 MB"), 25'000'000U);
    EXPECT_EQ(parse_size("25MiB"), 26'214'400U);
    EXPECT_EQ(parse_size("25 mib"), 26'214'400U);
    EXPECT_EQ(parse_size("1.5 GB"), 1'500'000'000U);
    EXPECT_EQ(parse_size("2k"), 2000U);
    EXPECT_EQ(parse_size("1TiB"), 1ULL << 40U);
    for (const auto* bad : {"", "MB", "-1", "1 PB", "1..5", "1.5.1", "1 M B", "99999999999 TB", " 1", "1e3"})
        EXPECT_FALSE(parse_size(bad)) << bad;
}

TEST(sizes, written_with_three_digits_at_most) {
    EXPECT_EQ(format_size(0), "0 B");
    EXPECT_EQ(format_size(17), "17 B");
    EXPECT_EQ(format_size(999), "999 B");
    EXPECT_EQ(format_size(1000), "1.0 kB");
    EXPECT_EQ(format_size(2449), "2.4 kB");
    EXPECT_EQ(format_size(9949), "9.9 kB");
    EXPECT_EQ(format_size(9951), "10 kB");
    EXPECT_EQ(format_size(145'000'000), "145 MB");
    EXPECT_EQ(format_size(999'499), "999 kB");
    EXPECT_EQ(format_size(999'500), "1.0 MB");
    EXPECT_EQ(format_size(4'000'000'000'000'000), "4000 TB");
}

} // namespace
} // namespace postferry

#include "accounts/csv.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace postferry::accounts {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

csv_reader over(std::string text) {
    auto reader = csv_reader::over(std::make_unique<std::istringstream>(std::move(text)));
    EXPECT_TRUE(reader) << (reader ? "" : reader.error().message());
    return std::move(*reader);
}

std::vector<std::vector<std::string>> all(csv_reader& reader) {
    std::vector<std::vector<std::string>> rows;
    csv_record record;
    for (auto more = reader.next(record); more && *more; more = reader.next(record)) rows.push_back(record.fields);
    return rows;
}

std::string failure_of(std::string text) {
    auto reader = over(std::move(text));
    csv_record record;
    for (;;) {
        const auto more = reader.next(record);
        if (!more) return more.error().message();
        if (!*more) return "no failure";
    }
}

TEST(csv, reads_rfc_4180) {
    auto reader = over("a,b,c\r\n1,\"two \"\"2\"\", too\",3\r\n\"x\r\ny\",,\n");
    EXPECT_THAT(all(reader), ElementsAre(ElementsAre("a", "b", "c"), ElementsAre("1", "two \"2\", too", "3"),
                                         ElementsAre("x\r\ny", "", "")));
}

TEST(csv, knows_row_and_line) {
    auto reader = over("a,b\n\"1\n2\",3\n\n4,5");
    csv_record record;
    ASSERT_TRUE(*reader.next(record));
    ASSERT_TRUE(*reader.next(record));
    EXPECT_EQ(record.row, 2U);
    EXPECT_EQ(record.line, 2U);
    ASSERT_TRUE(*reader.next(record)); // the blank line counts as a row, as in a spreadsheet
    EXPECT_EQ(record.row, 4U);
    EXPECT_EQ(record.line, 5U);
    EXPECT_THAT(record.fields, ElementsAre("4", "5"));
    EXPECT_FALSE(*reader.next(record));
}

TEST(csv, every_line_end_and_none_at_the_end) {
    for (const std::string end : {"\n", "\r\n", "\r"}) {
        auto reader = over("a,b" + end + "c,d");
        EXPECT_THAT(all(reader), ElementsAre(ElementsAre("a", "b"), ElementsAre("c", "d")));
    }
}

TEST(csv, finds_the_separator) {
    for (const char c : {',', ';', '\t', ':'}) {
        auto reader = over(std::string("user") + c + "password\nx@y" + c + "1\n");
        EXPECT_EQ(reader.dialect().separator, c);
        EXPECT_THAT(all(reader), ElementsAre(ElementsAre("user", "password"), ElementsAre("x@y", "1")));
    }
    // Commas in a password do not outvote the separator that every row has.
    EXPECT_EQ(over("h;u;a,b,c,d,e,f,g,h,i;h;u;p;\nh;u;q;h;u;p;\n").dialect().separator, ';');
    EXPECT_EQ(over("one\ntwo\n").dialect().separator, ',');
}

TEST(csv, byte_order_mark_is_not_part_of_the_first_name) {
    auto reader = over("\xef\xbb\xbf"
                       "a,b\n1,2\n");
    EXPECT_TRUE(reader.dialect().byte_order_mark);
    EXPECT_THAT(all(reader), ElementsAre(ElementsAre("a", "b"), ElementsAre("1", "2")));
}

TEST(csv, latin_1_is_detected_and_turned_into_utf8) {
    auto reader = over("name,x\nJos\xe9,\x80\n");
    EXPECT_TRUE(reader.dialect().latin_1);
    EXPECT_THAT(all(reader), ElementsAre(ElementsAre("name", "x"), ElementsAre("José", "€")));
    EXPECT_FALSE(over("name,x\nJosé,€\n").dialect().latin_1);
    EXPECT_TRUE(over("name,x\nJos\xc3").dialect().latin_1); // a sequence that the end of the file cuts off
}

TEST(csv, a_utf8_sequence_across_two_pieces_is_no_latin_1) {
    for (std::size_t pad = 65530; pad < 65540; ++pad)
        EXPECT_FALSE(over(std::string(pad, 'x') + "€,\n").dialect().latin_1) << pad;
}

TEST(csv, comments_only_where_asked_for) {
    auto reader = over("#c,\"\na,b\n");
    reader.skip_comments(true);
    EXPECT_THAT(all(reader), ElementsAre(ElementsAre("a", "b")));
    auto literal = over("a,b\n#c,d\n");
    EXPECT_THAT(all(literal), ElementsAre(ElementsAre("a", "b"), ElementsAre("#c", "d")));
}

TEST(csv, quotes_in_the_middle_stay_and_text_after_a_quote_is_a_fault) {
    auto reader = over("a,b\nx\"y\",2\n\"x\"y,2\n");
    csv_record record;
    ASSERT_TRUE(*reader.next(record));
    ASSERT_TRUE(*reader.next(record));
    EXPECT_THAT(record.fields, ElementsAre("x\"y\"", "2"));
    EXPECT_EQ(record.trouble, "");
    ASSERT_TRUE(*reader.next(record));
    EXPECT_EQ(record.trouble, "text follows the closing quote");
    EXPECT_EQ(record.bad_field, 0U);
}

TEST(csv, is_bounded) {
    EXPECT_THAT(failure_of("a,b\n1,\"2\n3,4\n"), HasSubstr("row 2 (line 2): a quote is opened and not closed"));
    EXPECT_THAT(failure_of("a,b\n1," + std::string(70'000, 'x') + "\n"), HasSubstr("row 2 (line 2) is too long"));
    EXPECT_THAT(failure_of("a,b\n\"" + std::string(70'000, 'x') + "\"\n"), HasSubstr("row 2 (line 2)"));
    EXPECT_THAT(failure_of("a,b\n" + std::string(300, ',') + "\n"), HasSubstr("more than 200 columns"));
    std::string wide;
    for (int i = 0; i < 40; ++i) wide += std::string(60'000, 'x') + ",";
    EXPECT_THAT(failure_of("a,b\n" + wide + "\n"), HasSubstr("too long"));
    auto nul = over(std::string("a,b\n1,\0\n", 8));
    csv_record record;
    ASSERT_TRUE(*nul.next(record));
    ASSERT_TRUE(*nul.next(record));
    EXPECT_EQ(record.trouble, "holds a NUL octet");
    EXPECT_EQ(record.bad_field, 1U);
}

TEST(csv, utf16_missing_files_and_folders_are_named) {
    auto wide = csv_reader::over(std::make_unique<std::istringstream>("\xff\xfe"
                                                                      "a"));
    ASSERT_FALSE(wide);
    EXPECT_THAT(wide.error().message(), HasSubstr("CSV UTF-8"));
    auto missing = csv_reader::open("/nonexistent/a.csv");
    ASSERT_FALSE(missing);
    EXPECT_THAT(missing.error().message(), HasSubstr("no such file"));
    auto folder = csv_reader::open("/");
    ASSERT_FALSE(folder);
    EXPECT_THAT(folder.error().message(), HasSubstr("is a folder"));
}

TEST(csv, a_file_of_many_pieces_reads_like_one) {
    const auto path = std::filesystem::temp_directory_path() / "postferry-csv-test.csv";
    {
        std::ofstream out(path, std::ios::binary);
        for (int i = 0; i < 20'000; ++i) out << "user" << i << "@example.org;\"pass;" << i << "\"\r\n";
    }
    auto reader = csv_reader::open(path);
    ASSERT_TRUE(reader);
    csv_record record;
    int n = 0;
    for (auto more = reader->next(record); more && *more; more = reader->next(record), ++n) {
        ASSERT_EQ(record.fields.size(), 2U);
        ASSERT_EQ(record.fields[1], "pass;" + std::to_string(n));
    }
    EXPECT_EQ(n, 20'000);
    EXPECT_EQ(record.line, 20'000U);
    std::filesystem::remove(path);
}

} // namespace
} // namespace postferry::accounts

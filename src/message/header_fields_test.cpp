#include "message/header_fields.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace postferry::message {
namespace {

using namespace std::string_view_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> fields_of(std::string_view block) {
    std::vector<std::string> out;
    header_fields fields(block);
    while (const auto field = fields.next()) out.push_back(std::string(field->name) + "|" + std::string(field->body));
    return out;
}

TEST(header_fields, reads_names_bodies_and_folds) {
    EXPECT_THAT(fields_of("From: a@x\r\nSubject: one\r\n\ttwo\r\n  three\r\nTo:b\r\n\r\nNot: here\r\n"),
                ElementsAre("From| a@x", "Subject| one\r\n\ttwo\r\n  three", "To|b"));
}

TEST(header_fields, bare_lf_reads_like_crlf) {
    EXPECT_THAT(fields_of("From: a@x\nSubject: one\n two\n\nNot: here\n"),
                ElementsAre("From| a@x", "Subject| one\n two"));
}

TEST(header_fields, doubled_cr_is_one_line_end) {
    EXPECT_THAT(fields_of("From: a\r\r\nTo: b\r\r\n\r\r\nNot: here"), ElementsAre("From| a", "To| b"));
}

TEST(header_fields, a_bare_cr_and_nul_are_octets_of_the_body) {
    EXPECT_THAT(fields_of("Subject: a\rTo: b\0c\nCc: d\n"sv), ElementsAre("Subject| a\rTo: b\0c"sv, "Cc| d"));
}

TEST(header_fields, passes_over_what_is_no_field) {
    EXPECT_THAT(fields_of("From alice@x Mon Jan  1 10:00:00 2001\n"
                          "no colon here\n and its fold: y\n"
                          ": no name\n"
                          "two words: z\n"
                          "nul\0name: z\n"
                          "Good : spaces before the colon\n"
                          "To: b\n"sv),
                ElementsAre("Good| spaces before the colon", "To| b"));
}

TEST(header_fields, a_fold_on_the_first_line_belongs_to_nothing) {
    EXPECT_THAT(fields_of(" X: folded\n\tagain: x\nTo: b\n"), ElementsAre("To| b"));
}

TEST(header_fields, no_header_at_all) {
    EXPECT_THAT(fields_of(""), IsEmpty());
    EXPECT_THAT(fields_of("\r\nTo: body\r\n"), IsEmpty());
    EXPECT_THAT(fields_of("just some text"), IsEmpty());
}

TEST(header_fields, a_block_that_is_cut_keeps_what_is_there) {
    EXPECT_THAT(fields_of("To: b\r"), ElementsAre("To| b"));
    EXPECT_THAT(fields_of("To: b\r\n "), ElementsAre("To| b\r\n "));
    EXPECT_THAT(fields_of("To:"), ElementsAre("To|"));
    EXPECT_THAT(fields_of("To"), IsEmpty());
}

TEST(header_fields, position_is_behind_the_empty_line) {
    const std::string_view message = "To: b\r\n\r\nbody";
    header_fields fields(message);
    while (fields.next()) {
    }
    EXPECT_EQ(message.substr(fields.position()), "body");
    EXPECT_FALSE(fields.next());
    EXPECT_EQ(message.substr(fields.position()), "body");
}

TEST(header_fields, takes_linear_time) {
    // Each of these would take minutes if a field cost more than its own length.
    const std::size_t octets = 3'000'000;
    std::string many;
    while (many.size() < octets) many += "a:\n";
    std::string folds = "Subject: x\n";
    while (folds.size() < octets) folds += " \n";
    std::string junk;
    while (junk.size() < octets) junk += "x\n";
    const std::string line(octets, 'x');
    const std::string crs(octets, '\r');
    const auto started = std::chrono::steady_clock::now();
    const auto count = [](std::string_view block) {
        std::size_t n = 0;
        header_fields fields(block);
        while (fields.next()) ++n;
        return n;
    };
    EXPECT_EQ(count(many), (octets + 2) / 3);
    EXPECT_EQ(count(folds), 1U);
    EXPECT_EQ(count(junk), 0U);
    EXPECT_EQ(count(line), 0U);
    EXPECT_EQ(count(crs), 0U);
    EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(20));
}

} // namespace
} // namespace postferry::message

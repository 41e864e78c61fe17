#include "message/repair.hpp"
#include "support/repair_checks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

namespace postferry::message {
namespace {

using namespace std::string_literals;
using support::broken_promise;
using support::repaired;
using support::surveyed;

std::string only(repair r, std::string_view message) {
    EXPECT_EQ(broken_promise(message, {r}), "") << message;
    return repaired(message, {r});
}

TEST(repair_names, lists_are_read_and_written) {
    EXPECT_EQ(parse_repairs("nul,header"), (repair_set{repair::nul, repair::header}));
    EXPECT_EQ(parse_repairs("all"), repair_set::all());
    EXPECT_EQ(parse_repairs("header-8bit"), repair_set{repair::header_8bit});
    for (const char* wrong : {"", "nul,", ",nul", "nul header", "Nul", "everything"})
        EXPECT_FALSE(parse_repairs(wrong)) << wrong;
    EXPECT_EQ(names_of(repair_set::all()),
              "final-newline, line-endings, literal8, nul, header, header-8bit, long-lines");
    EXPECT_EQ(names_of({}), "");
    for (const repair r : cheapest_first(repair_set::all())) EXPECT_EQ(parse_repairs(name_of(r)), repair_set{r});
}

TEST(repair_nul, becomes_0x80_and_keeps_the_size) {
    EXPECT_EQ(only(repair::nul, "A: b\r\n\r\nx\0y\0"s), "A: b\r\n\r\nx\x80y\x80");
    EXPECT_EQ(only(repair::nul, "A: b\r\n\r\nxy"), "A: b\r\n\r\nxy");
}

TEST(repair_line_endings, bare_ones_become_crlf) {
    EXPECT_EQ(only(repair::line_endings, "A: b\n\nx\ry\r\nz\n"), "A: b\r\n\r\nx\r\ny\r\nz\r\n");
    EXPECT_EQ(only(repair::line_endings, "A: b\r\r\n\r\r\nx\r\r\n"), "A: b\r\n\r\nx\r\n");
    EXPECT_EQ(only(repair::line_endings, "x\r"), "x\r\n");
    EXPECT_EQ(only(repair::line_endings, "A: b\r\n\r\nx\r\n"), "A: b\r\n\r\nx\r\n");
}

TEST(repair_line_endings, a_bare_cr_within_a_field_becomes_a_fold) {
    EXPECT_EQ(only(repair::line_endings, "A: b\r\nSubject: one\rtwo\r three\r\n\r\nx\ry\r\n"),
              "A: b\r\nSubject: one\r\n two\r\n three\r\n\r\nx\r\ny\r\n");
    EXPECT_EQ(only(repair::line_endings, "A: b\rC: d\r\rbody\r"), "A: b\r\nC: d\r\n\r\nbody\r\n") << "CR is all it has";
}

TEST(repair_line_endings, a_run_of_cr_without_end) {
    const std::string run(100'000, '\r');
    only(repair::line_endings, run);
    only(repair::line_endings, run + "\n");
}

TEST(repair_final_newline, is_put_in) {
    EXPECT_EQ(only(repair::final_newline, "A: b\r\n\r\nx"), "A: b\r\n\r\nx\r\n");
    EXPECT_EQ(only(repair::final_newline, "A: b\r\n\r\nx\r"), "A: b\r\n\r\nx\r\n");
    EXPECT_EQ(only(repair::final_newline, "A: b\r\n\r\nx\r\n"), "A: b\r\n\r\nx\r\n");
}

TEST(repair_header, a_good_one_stays) {
    for (const std::string_view good : {"A: b\r\n\r\n", "A: b\r\n c\r\nD:\r\n\r\nx", "A: b\n\nx\n", "X::\r\n\r\n"})
        EXPECT_EQ(only(repair::header, good), good);
}

TEST(repair_header, an_mbox_separator_becomes_a_field) {
    EXPECT_EQ(only(repair::header, "From anna@x Mon Jan  1 10:00:00 2001\r\nA: b\r\n\r\nFrom me\r\n"),
              "X-From-Line: anna@x Mon Jan  1 10:00:00 2001\r\nA: b\r\n\r\nFrom me\r\n");
    EXPECT_EQ(only(repair::header, ">From anna\nA: b\n\n"), "X-From-Line: anna\nA: b\n\n");
}

TEST(repair_header, a_line_that_is_no_field_becomes_one_when_fields_follow) {
    EXPECT_EQ(only(repair::header, "Subject: x\r\nno colon here\r\nDate: y\r\n\r\nbody\r\n"),
              "Subject: x\r\nX-Broken-Header: no colon here\r\nDate: y\r\n\r\nbody\r\n");
    EXPECT_EQ(only(repair::header, " a fold of nothing\r\nDate: y\r\n\r\nbody\r\n"),
              "X-Broken-Header:  a fold of nothing\r\nDate: y\r\n\r\nbody\r\n");
    EXPECT_EQ(only(repair::header, ": no name\r\n and a fold\r\nDate: y\r\n\r\n"),
              "X-Broken-Header: : no name\r\n and a fold\r\nDate: y\r\n\r\n");
    EXPECT_EQ(only(repair::header, "Subject \t: x\r\nN\xf6n: y\r\nDate: z\r\n\r\n"),
              "Subject: x\r\nX-Broken-Header: N\xf6n: y\r\nDate: z\r\n\r\n");
}

TEST(repair_header, the_empty_line_behind_it_is_put_in) {
    EXPECT_EQ(only(repair::header, "Subject: x\r\nDear Anna,\r\nNote: all is well\r\n\r\nBob\r\n"),
              "Subject: x\r\n\r\nDear Anna,\r\nNote: all is well\r\n\r\nBob\r\n");
    EXPECT_EQ(only(repair::header, "Subject: x\r\nDate: y\r\n"), "Subject: x\r\nDate: y\r\n\r\n") << "no body";
    EXPECT_EQ(only(repair::header, "Subject: x"), "Subject: x\r\n\r\n");
}

TEST(repair_header, a_message_without_any_gets_one) {
    EXPECT_EQ(only(repair::header, "only text\r\nof two lines\r\n"),
              "X-Postferry-Repair: header\r\n\r\nonly text\r\nof two lines\r\n");
    EXPECT_EQ(only(repair::header, "\r\ntext\r\n"), "X-Postferry-Repair: header\r\n\r\ntext\r\n");
}

TEST(repair_header, one_without_end_is_bounded) {
    std::string endless;
    while (endless.size() < 600'000) endless += "X-Long: line\r\n";
    EXPECT_EQ(repaired(endless, {repair::header}), endless);
    const std::string text(600'000, 'x');
    EXPECT_EQ(repaired(text, {repair::header}), text) << "nothing of it is known to be a line";
}

TEST(repair_header_8bit, utf8_becomes_encoded_words) {
    EXPECT_EQ(only(repair::header_8bit, "Subject: J\xc3\xb6rg und \xc3\x84rger \xc3\x96l da\r\n\r\n\xc3\xb6\r\n"),
              "Subject: =?utf-8?Q?J=C3=B6rg?= und =?utf-8?Q?=C3=84rger_=C3=96l?= da\r\n\r\n\xc3\xb6\r\n");
    EXPECT_EQ(only(repair::header_8bit, "From: \"J\xc3\xb6rg X\" <j@x>\r\n\r\n"),
              "From: \"=?utf-8?Q?J=C3=B6rg?= X\" <j@x>\r\n\r\n");
}

TEST(repair_header_8bit, what_is_no_utf8_is_said_to_be_unknown) {
    EXPECT_EQ(only(repair::header_8bit, "Subject: J\xf6rg\r\n\r\n"), "Subject: =?unknown-8bit?Q?J=F6rg?=\r\n\r\n");
}

TEST(repair_header_8bit, long_ones_are_cut_between_characters) {
    std::string name;
    for (int i = 0; i < 40; ++i) name += "\xc3\xb6";
    const std::string out = only(repair::header_8bit, "Subject: " + name + "\r\n\r\n");
    EXPECT_THAT(out, testing::HasSubstr("?=\r\n =?utf-8?Q?=C3=B6"));
    EXPECT_THAT(out, testing::Not(testing::HasSubstr("=C3?=")));
}

TEST(repair_all, several_faults_at_once) {
    const std::string message = "From anna Mon\nSubject: \xf6\nbad line\nDate: x\n\nt\0xt "s + std::string(2'000, 'a');
    EXPECT_EQ(broken_promise(message, repair_set::all()), "");
    EXPECT_EQ(support::fault_left(repaired(message, repair_set::all()), repair_set::all()), "");
    EXPECT_EQ(surveyed(message, repair_set::all(), 100).effective,
              (repair_set{repair::nul, repair::line_endings, repair::header, repair::header_8bit, repair::final_newline,
                          repair::long_lines}));
}

// Every set of repairs on messages made of what breaks them.
TEST(repair_all, promises_hold_for_random_messages) {
    static constexpr std::string_view pieces[] = {"Subject: x\r\n",
                                                  "From a b\r\n",
                                                  "\r\n",
                                                  "\n",
                                                  "\r",
                                                  "no colon\r\n",
                                                  " fold\r\n",
                                                  "\xc3\xb6",
                                                  "\xf6",
                                                  ":",
                                                  "Content-Type: multipart/mixed; boundary=b\r\n",
                                                  "Content-Type: message/rfc822\r\n",
                                                  "--b\r\n",
                                                  "--b--\r\n",
                                                  "Content-Transfer-Encoding: 8bit\r\n",
                                                  "Content-Transfer-Encoding: quoted-printable\r\n",
                                                  "Content-Transfer-Encoding: base64\r\n",
                                                  "=3D",
                                                  "text and text ",
                                                  "MIME-Version: 1.0\r\n",
                                                  "\t",
                                                  "--b"};
    std::minstd_rand random(7);
    for (int round = 0; round < 400; ++round) {
        std::string message;
        for (auto n = random() % 30; n > 0; --n) {
            const auto which = random() % (std::size(pieces) + 2);
            if (which < std::size(pieces))
                message += pieces[which];
            else
                message += which == std::size(pieces) ? "\0"s : std::string(random() % 3'000, "aA= \xc3"[random() % 5]);
        }
        const repair_set set = repair_set::of_bits(round % 2 == 0 ? 0x7fU : static_cast<unsigned>(random() % 128));
        ASSERT_EQ(broken_promise(message, set), "") << names_of(set) << "\n" << message;
    }
}

TEST(repair_all, promises_hold_for_real_messages) {
    const char* folder = std::getenv("POSTFERRY_CORPUS");
    if (folder == nullptr) GTEST_SKIP() << "POSTFERRY_CORPUS names no folder";
    std::size_t seen = 0, faulty = 0;
    for (const auto& file : std::filesystem::recursive_directory_iterator(folder)) {
        if (!file.is_regular_file() || file.path().string().find("/msgs/") == std::string::npos) continue;
        if (++seen % 17 != 0 || file.file_size() > 50'000) continue; // as many as are quick
        std::ifstream in(file.path(), std::ios::binary);
        const std::string message((std::istreambuf_iterator<char>(in)), {});
        if (message.empty()) continue;
        EXPECT_EQ(broken_promise(message, repair_set::all()), "") << file.path();
        faulty += surveyed(message, repair_set::all(), 100'000).effective.empty() ? 0 : 1;
    }
    EXPECT_GT(faulty, 0U);
}

} // namespace
} // namespace postferry::message

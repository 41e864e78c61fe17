// Bounds, which a whole conversation does not reach. What is read and how: conversation_test.cpp.
#include "protocol/pop3/reply_parser.hpp"

#include <gtest/gtest.h>

namespace postferry::pop3 {
namespace {

std::string outcome(std::string_view octets, parser_limits limits, answer expects) {
    reply_parser parser(limits);
    parser.feed(octets);
    while (true) {
        const reply_parser::event e = parser.next(expects, false);
        if (const auto* bad = std::get_if<reply_parser::malformed>(&e)) {
            EXPECT_TRUE(std::holds_alternative<reply_parser::malformed>(parser.next(expects, false))) << "for good";
            return bad->what;
        }
        if (std::holds_alternative<reply_parser::need_more>(e)) return "more";
    }
}

constexpr parser_limits small{.line_octets = 10, .listing_lines = 2, .body_octets = 20};

TEST(pop3_reply_parser, a_status_line_is_bounded) {
    EXPECT_EQ(outcome("+OK 234567\n", small, answer::line), "more");
    EXPECT_EQ(outcome("+OK 2345678\n", small, answer::line), "a line of more than 10 octets");
    EXPECT_EQ(outcome("+OK 23456789", small, answer::line), "a line of more than 10 octets") << "before its end, too";
}

TEST(pop3_reply_parser, a_listing_is_bounded) {
    EXPECT_EQ(outcome("+OK\r\n1 1\r\n2 2\r\n.\r\n", small, answer::listing), "more");
    EXPECT_EQ(outcome("+OK\r\n1 1\r\n2 2\r\n3 3\r\n", small, answer::listing), "a listing of more than 2 lines");
    EXPECT_EQ(outcome("+OK\r\n1 34567890ab\r\n", small, answer::listing), "a line of more than 10 octets");
}

TEST(pop3_reply_parser, a_body_is_bounded_its_lines_are_not) {
    EXPECT_EQ(outcome("+OK\r\n2345678901234567\r\n\r\n.\r\n", small, answer::body), "more");
    EXPECT_EQ(outcome("+OK\r\n2345678901234567890\r\n", small, answer::body), "a message of more than 20 octets");
}

TEST(pop3_reply_parser, the_default_takes_lines_beyond_the_rfc) {
    EXPECT_EQ(outcome("+OK " + std::string(4'000, 'x') + "\r\n", {}, answer::line), "more");
    EXPECT_EQ(outcome("+OK\r\n1 " + std::string(4'000, 'x') + "\r\n.\r\n", {}, answer::listing), "more");
}

TEST(pop3_reply_parser, an_empty_line_between_replies_means_nothing) {
    EXPECT_EQ(outcome("+OK\r\n\r\n\n+OK\r\n", {}, answer::line), "more");
}

TEST(pop3_reply_parser, nonsense_is_told_escaped) {
    EXPECT_EQ(outcome("\x01\xff\r\n", {}, answer::line), R"("\x01\xff" where +OK or -ERR is due)");
    EXPECT_EQ(outcome("+OKAY\r\n", {}, answer::line), R"("+OKAY" where +OK or -ERR is due)");
}

TEST(pop3_reply_parser, at_boundary_tells_what_came_behind) {
    reply_parser parser;
    parser.feed("+OK\r\n");
    EXPECT_FALSE(parser.at_boundary());
    (void)parser.next(answer::line, false);
    EXPECT_TRUE(parser.at_boundary());
    parser.feed("+OK\r\n+");
    (void)parser.next(answer::line, false);
    EXPECT_FALSE(parser.at_boundary());
}

} // namespace
} // namespace postferry::pop3

#include "protocol/smtp/reply_parser.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::smtp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> read(std::string_view octets, std::size_t step) {
    reply_parser parser;
    std::vector<std::string> out;
    for (std::size_t at = 0; at < octets.size(); at += step) {
        parser.feed(octets.substr(at, step));
        while (true) {
            const auto e = parser.next();
            if (std::holds_alternative<reply_parser::need_more>(e)) break;
            if (const auto* r = std::get_if<reply>(&e)) out.push_back(r->text());
            if (const auto* b = std::get_if<reply_parser::broken>(&e)) {
                out.push_back("broken: " + b->what);
                return out;
            }
        }
    }
    if (parser.has_leftover()) out.emplace_back("...");
    return out;
}

/// In one go and cut at every octet.
std::vector<std::string> read(std::string_view octets) {
    const auto out = read(octets, octets.size() + 1);
    EXPECT_EQ(read(octets, 1), out);
    return out;
}

TEST(smtp_reply, lines_and_codes) {
    EXPECT_THAT(read("220 mail.example.org Dovecot ready.\r\n"), ElementsAre("220 mail.example.org Dovecot ready."));
    EXPECT_THAT(read("250-mail\r\n250-PIPELINING\r\n250 SIZE 10\r\n354 OK\r\n"),
                ElementsAre("250 mail / PIPELINING / SIZE 10", "354 OK"));
    EXPECT_THAT(read("250\r\n250-\r\n250\r\n"), ElementsAre("250", "250"));
    EXPECT_THAT(read("250 bare LF\n"), ElementsAre("250 bare LF"));
    EXPECT_THAT(read("250-half"), ElementsAre("..."));
    EXPECT_THAT(read("250-half\r\n"), ElementsAre("..."));
}

TEST(smtp_reply, enhanced_status) {
    reply_parser parser;
    parser.feed("552-5.2.2 <anna> Quota exceeded\r\n552 5.2.2 (mailbox for user is full)\r\n250 2.0.0\r\n"
                "250 2.0 x\r\n250 5.1.1 x\r\n250 2.1000.1 x\r\n250 2.1.5x\r\n");
    const auto first = std::get<reply>(parser.next());
    EXPECT_EQ(first.enhanced, (enhanced_status{5, 2, 2}));
    EXPECT_THAT(first.lines, ElementsAre("<anna> Quota exceeded", "(mailbox for user is full)"));
    EXPECT_TRUE(first.permanent() && !first.positive());
    EXPECT_EQ(std::get<reply>(parser.next()).enhanced, (enhanced_status{2, 0, 0}));
    for (int i = 0; i < 4; ++i) EXPECT_FALSE(std::get<reply>(parser.next()).enhanced);
}

TEST(smtp_reply, what_is_none) {
    for (const char* text : {"* OK Dovecot ready.\r\n", "+OK\r\n", "2500 x\r\n", "25 x\r\n", "150 x\r\n", "600 x\r\n",
                             "250x\r\n", "\r\n", "HTTP/1.1 400 Bad Request\r\n"})
        EXPECT_THAT(read(text), ElementsAre("broken: its reply has no code")) << text;
    EXPECT_THAT(read("250-a\r\n550 b\r\n"), ElementsAre("broken: its reply changes its code"));
    EXPECT_THAT(read("250 " + std::string(9'000, 'x'), 100), ElementsAre("broken: a line of its reply does not end"));
    std::string endless;
    for (int i = 0; i < 300; ++i) endless += "250-x\r\n";
    EXPECT_THAT(read(endless, 1000), ElementsAre("broken: its reply does not end"));
    // Few lines, but long ones.
    const std::string line = "250-" + std::string(3'996, 'x');
    std::string long_one;
    for (int i = 0; i < 16; ++i) long_one += line + "\r\n";
    EXPECT_EQ(read(long_one + "250 x\r\n", 1000).size(), 1U);
    EXPECT_THAT(read(long_one + line + "\r\n250 x\r\n", 1000), ElementsAre("broken: its reply does not end"));
}

TEST(smtp_reply, broken_for_good) {
    reply_parser parser;
    parser.feed("x\r\n250 fine\r\n");
    EXPECT_TRUE(std::holds_alternative<reply_parser::broken>(parser.next()));
    parser.feed("250 fine\r\n");
    EXPECT_TRUE(std::holds_alternative<reply_parser::broken>(parser.next()));
}

} // namespace
} // namespace postferry::smtp

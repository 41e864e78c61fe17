#include "protocol/smtp/command.hpp"
#include "protocol/smtp/data_stuffer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace postferry::smtp {
namespace {

using ::testing::ElementsAre;

TEST(smtp_extensions, as_dovecot_offers_them) {
    const extension_list can = extension_list::from(
        {.code = 250,
         .enhanced = {},
         .lines = {"mail.example.org", "STARTTLS", "8BITMIME", "size 35651584", "XCLIENT A B", ""}});
    EXPECT_EQ(can.server_name(), "mail.example.org");
    EXPECT_THAT(can.all(), ElementsAre("STARTTLS", "8BITMIME", "SIZE 35651584", "XCLIENT A B"));
    EXPECT_TRUE(can.has("SIZE") && can.has("8BITMIME") && can.has("XCLIENT"));
    EXPECT_FALSE(can.has("SIZ") || can.has("mail.example.org") || can.has("A"));
    EXPECT_EQ(can.size_limit(), 35'651'584U);
    EXPECT_EQ(can.parameters("XCLIENT"), "A B");
    EXPECT_EQ(extension_list::from({.code = 250, .enhanced = {}, .lines = {"x", "SIZE"}}).size_limit(), 0U);
}

TEST(smtp_path, names_that_need_quoting_and_names_that_cannot_be_said) {
    EXPECT_EQ(path_of("anna@example.org", false), "<anna@example.org>");
    EXPECT_EQ(path_of("anna", false), "<anna>");
    EXPECT_EQ(path_of("a.b+c@[192.0.2.1]", false), "<a.b+c@[192.0.2.1]>");
    EXPECT_EQ(path_of("anna b@example.org", false), "<\"anna b\"@example.org>");
    EXPECT_EQ(path_of("a\"\\>b", false), "<\"a\\\"\\\\>b\">");
    EXPECT_EQ(path_of("a@b@example.org", false), "<\"a@b\"@example.org>");
    EXPECT_EQ(path_of("a@<x>", false), "<\"a@<x>\">");
    EXPECT_EQ(path_of("änna@example.org", true), "<änna@example.org>");
    EXPECT_FALSE(path_of("änna@example.org", false));
    for (const std::string_view bad : {"", "a\r\nRCPT TO:<b>", "a\x7f", "\xff"}) EXPECT_FALSE(path_of(bad, true));
    EXPECT_FALSE(path_of(std::string(600, 'x'), false));
    EXPECT_EQ(greeting_name("my.host"), "my.host");
    EXPECT_EQ(greeting_name("my host\r\n"), "localhost");
    EXPECT_EQ(greeting_name(""), "localhost");
}

std::string stuffed(std::string_view text, std::size_t step, data_stuffer& out_of) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); at += step) out_of.put(text.substr(at, step), out);
    out_of.finish(out);
    return out;
}

std::string stuffed(std::string_view text) {
    data_stuffer whole, octets;
    const std::string out = stuffed(text, text.size() + 1, whole);
    EXPECT_EQ(stuffed(text, 1, octets), out);
    EXPECT_EQ(whole.line_ends_mended(), octets.line_ends_mended());
    EXPECT_EQ(whole.line_end_added(), octets.line_end_added());
    return out;
}

TEST(smtp_data, dots_and_line_ends) {
    EXPECT_EQ(stuffed("A: 1\r\n\r\nx\r\n"), "A: 1\r\n\r\nx\r\n.\r\n");
    EXPECT_EQ(stuffed("x"), "x\r\n.\r\n");
    EXPECT_EQ(stuffed("..x\r\n.\r\nx.\r\n"), "...x\r\n..\r\nx.\r\n.\r\n");
    EXPECT_EQ(stuffed("a\nb\rc\r\r\n"), "a\r\nb\r\nc\r\n\r\n.\r\n");
    EXPECT_EQ(stuffed("a\n.\nb\r.\rc\n.\r\n"), "a\r\n..\r\nb\r\n..\r\nc\r\n..\r\n.\r\n");
    EXPECT_EQ(stuffed("x\r"), "x\r\n.\r\n");
    EXPECT_EQ(stuffed(""), ".\r\n");
}

// What a server makes of it, strict or loose: the message in one piece, and its end only at the end.
TEST(smtp_data, nothing_in_a_message_ends_it) {
    constexpr std::array<std::string_view, 7> pieces{
        "\r", "\n", ".", "x", "\r\n", "\r\n.\r\n", std::string_view("\0", 1)};
    std::mt19937 random(7);
    for (int round = 0; round < 20'000; ++round) {
        std::string text;
        for (std::size_t n = random() % 12; n > 0; --n) text += pieces[random() % pieces.size()];
        const std::string out = stuffed(text);
        ASSERT_TRUE(out == ".\r\n" || out.ends_with("\r\n.\r\n"));
        ASSERT_EQ(out.find("\r\n.\r\n"), out == ".\r\n" ? std::string::npos : out.size() - 5);
        for (std::size_t i = 0; i < out.size(); ++i) {
            if (out[i] == '\n') ASSERT_TRUE(i > 0 && out[i - 1] == '\r');
            if (out[i] == '\r') ASSERT_TRUE(i + 1 < out.size() && out[i + 1] == '\n');
        }
    }
}

} // namespace
} // namespace postferry::smtp

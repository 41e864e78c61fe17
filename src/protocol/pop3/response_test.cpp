#include "protocol/pop3/response.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace postferry::pop3 {
namespace {

std::string status(std::string_view line) {
    const auto s = parse_status(line);
    if (!s) return "none";
    return fmt::format("{}|{}|{}", s->ok ? "ok" : "err", s->code, s->text);
}

std::string listed(std::string_view line) {
    const auto item = parse_listed(line);
    return item ? fmt::format("{}|{}", item->number, item->value) : "none";
}

// docs/quirks.md#pop3-status
TEST(pop3_response, status_lines) {
    EXPECT_EQ(status("+OK"), "ok||");
    EXPECT_EQ(status("-ERR"), "err||");
    EXPECT_EQ(status("+OK  2 320 "), "ok||2 320");
    EXPECT_EQ(status("+ok welcome"), "ok||welcome");
    EXPECT_EQ(status("-ERR [IN-USE] Do you have another session?"), "err|IN-USE|Do you have another session?");
    EXPECT_EQ(status("-ERR [sys/temp] later"), "err|SYS/TEMP|later");
    EXPECT_EQ(status("-ERR[AUTH]wrong"), "err|AUTH|wrong");
    EXPECT_EQ(status("-ERR [not a code] text"), "err||[not a code] text");
    EXPECT_EQ(status("-ERR [open"), "err||[open");
    EXPECT_EQ(status("+OKAY"), "none");
    EXPECT_EQ(status("OK"), "none");
    EXPECT_EQ(status(""), "none");
}

// docs/quirks.md#uidl-spaces, #uidl-blank
TEST(pop3_response, lines_of_a_listing) {
    EXPECT_EQ(listed("1 120"), "1|120");
    EXPECT_EQ(listed("  12 \t whqtswO00WBw418f9t5JxYwZ  "), "12|whqtswO00WBw418f9t5JxYwZ");
    EXPECT_EQ(listed("+OK 1 abc"), "1|abc");
    EXPECT_EQ(listed("3"), "3|");
    EXPECT_EQ(listed("3 "), "3|");
    EXPECT_EQ(listed("4 with space"), "4|with space");
    EXPECT_EQ(listed("0 abc"), "none");
    EXPECT_EQ(listed("-1 abc"), "none");
    EXPECT_EQ(listed("4294967296 abc"), "none");
    EXPECT_EQ(listed("abc 1"), "none");
    EXPECT_EQ(listed(""), "none");
}

// docs/quirks.md#stat-negative
TEST(pop3_response, stat) {
    const auto size = parse_stat("2 320 and some words");
    ASSERT_TRUE(size);
    EXPECT_EQ(size->messages, 2U);
    EXPECT_EQ(size->octets, 320U);
    const auto negative = parse_stat("7 -2147483000");
    ASSERT_TRUE(negative);
    EXPECT_EQ(negative->messages, 7U);
    EXPECT_EQ(negative->octets, std::nullopt);
    EXPECT_FALSE(parse_stat("-1 0"));
    EXPECT_FALSE(parse_stat("many"));
}

TEST(pop3_response, capabilities) {
    capability_list can;
    for (const std::string_view line : {"TOP", "sasl plain  Login", "LOGIN-DELAY 300", "", " "}) can.add(line);
    EXPECT_TRUE(can.has("TOP"));
    EXPECT_TRUE(can.has("SASL"));
    EXPECT_FALSE(can.has("SAS"));
    EXPECT_FALSE(can.has("PLAIN"));
    EXPECT_EQ(can.arguments("SASL"), (std::vector<std::string>{"PLAIN", "LOGIN"}));
    EXPECT_EQ(can.arguments("TOP"), std::vector<std::string>{});
    EXPECT_EQ(can.all().size(), 3U);
    for (int i = 0; i < 10'000; ++i) can.add("X");
    EXPECT_LE(can.all().size(), 200U);
}

} // namespace
} // namespace postferry::pop3

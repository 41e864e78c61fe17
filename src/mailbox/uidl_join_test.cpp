#include "mailbox/uidl_join.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

namespace postferry::mailbox {
namespace {

imap_head head(std::uint64_t octets, std::string print) {
    return {.uid = 1, .octets = octets, .print = std::move(print)};
}

pop3_message drop(std::string uidl, std::uint64_t octets, std::string print = {}) {
    return {.number = 1, .octets = octets, .uidl = std::move(uidl), .print = std::move(print), .uid = 0};
}

/// "UIDLs | POP3 messages that need a print | unclear"
std::string join(const std::vector<imap_head>& imap, const std::vector<pop3_message>& pop3) {
    const uidl_join j = join_uidls(imap, pop3);
    std::string uidls;
    for (const std::string& u : j.uidls) uidls += (uidls.empty() ? "" : " ") + (u.empty() ? "-" : u);
    return fmt::format("{} | {} | {}", uidls, fmt::join(j.need_print, " "), j.unclear);
}

TEST(uidl_join, sizes_in_the_same_order_are_enough_where_each_occurs_once) {
    EXPECT_EQ(join({head(10, "a"), head(20, "b"), head(30, "c")}, {drop("x", 10), drop("y", 20), drop("z", 30)}),
              "x y z |  | 0");
    EXPECT_EQ(join({}, {}), " |  | 0");
}

TEST(uidl_join, among_equal_sizes_the_header_decides_too) {
    const std::vector<imap_head> imap{head(10, "a"), head(20, "b"), head(20, "c")};
    EXPECT_EQ(join(imap, {drop("x", 10), drop("y", 20), drop("z", 20)}), "x - - | 1 2 | 2");
    EXPECT_EQ(join(imap, {drop("x", 10), drop("y", 20, "b"), drop("z", 20, "c")}), "x y z |  | 0");
}

TEST(uidl_join, equal_sizes_in_another_order_are_joined_by_their_headers) {
    const std::vector<imap_head> imap{head(10, "a"), head(20, "b"), head(20, "c")};
    EXPECT_EQ(join(imap, {drop("x", 10), drop("z", 20, "c"), drop("y", 20, "b")}), "x y z |  | 0");
}

TEST(uidl_join, unknown_sizes_prove_nothing) {
    EXPECT_EQ(join({head(0, "a")}, {drop("x", 0)}), "- | 0 | 1");
    EXPECT_EQ(join({head(0, "a")}, {drop("x", 0, "a")}), "x |  | 0");
}

TEST(uidl_join, elsewhere_headers_decide_that_are_unique_on_both_sides) {
    const std::vector<imap_head> imap{head(1000, "a"), head(2000, "b"), head(3000, "c"), head(4000, "d")};
    EXPECT_EQ(join(imap, {drop("y", 2048), drop("x", 1024)}), "- - - - | 0 1 | 2");
    EXPECT_EQ(join(imap, {drop("y", 2048, "b"), drop("x", 1024, "a")}), "x y - - |  | 0");
    EXPECT_EQ(join(imap, {drop("y", 2048, "gone"), drop("x", 1024, "a")}), "x - - - |  | 1");
    EXPECT_EQ(join(imap, {drop("far", 900'000, "a")}), "- - - - |  | 1") << "a later version of a draft, say";
}

TEST(uidl_join, equal_headers_need_their_exact_sizes_and_nothing_is_guessed) {
    const std::vector<imap_head> imap{head(10, "a"), head(20, "a"), head(30, "b"), head(30, "b")};
    EXPECT_EQ(join(imap, {drop("x", 20, "a"), drop("y", 10, "a")}), "y x - - |  | 0");
    EXPECT_EQ(join(imap, {drop("p", 30, "b"), drop("q", 30, "b"), drop("x", 20, "a")}), "- x - - |  | 2");
}

TEST(uidl_join, a_uidl_that_is_not_unique_belongs_to_nobody) {
    EXPECT_EQ(join({head(10, "a"), head(20, "b")}, {drop("x", 10), drop("x", 20)}), "- - |  | 2");
    EXPECT_EQ(join({head(10, "a"), head(20, "b")}, {drop("", 10), drop("y", 20)}), "- y |  | 0");
}

} // namespace
} // namespace postferry::mailbox

#include "mailbox/pop3_names.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

namespace postferry::mailbox {
namespace {

pop3_message message(std::string uidl, std::string print = {}, std::uint64_t octets = 100) {
    return {.number = 0, .octets = octets, .uidl = std::move(uidl), .print = std::move(print), .uid = 0};
}

name_book::page book(std::vector<std::string> names) {
    name_book::page page{.uid_validity = 1, .uid_next = 1, .entries = {}};
    for (std::string& name : names) page.entries.push_back({.uid = page.uid_next++, .name = std::move(name)});
    return page;
}

/// "uids | indices that need a print | UIDs gone"
std::string match(const name_book::page& page, std::vector<pop3_message> messages) {
    const name_match m = match_names(page, messages);
    return fmt::format("{} | {} | {}", fmt::join(m.uids, " "), fmt::join(m.need_print, " "), fmt::join(m.gone, " "));
}

TEST(pop3_names, a_uidl_is_the_name) {
    EXPECT_EQ(match(book({"a", "b", "c"}), {message("a"), message("c"), message("d")}), "1 3 0 |  | 2");
    EXPECT_EQ(match(book({}), {}), " |  | ");
    EXPECT_EQ(match(book({"a"}), {message("a", {}, 1), message("b", {}, 2)}), "1 0 |  | ") << "sizes do not matter";
    EXPECT_EQ(book_name(message("a"), true), "a");
}

TEST(pop3_names, without_uidl_header_and_size_are_the_name) {
    EXPECT_EQ(match(book({}), {message(""), message("")}), "0 0 | 0 1 | ");
    const auto known = book({" p 100", " q 100"});
    EXPECT_EQ(match(known, {message("", "q"), message("", "p"), message("", "q", 101)}), "2 1 0 |  | ");
    EXPECT_EQ(book_name(message("", "p"), false), " p 100");
}

TEST(pop3_names, equal_ones_are_a_multiset) {
    const auto known = book({" p 100", " p 100"});
    EXPECT_EQ(match(known, {message("", "p"), message("", "p"), message("", "p")}), "1 2 0 |  | ");
    EXPECT_EQ(match(known, {message("", "p")}), "1 |  | 2");
}

// docs/quirks.md#uidl-repeated
TEST(pop3_names, those_that_share_a_uidl_are_told_apart_by_their_headers) {
    EXPECT_EQ(match(book({}), {message("x"), message("x"), message("y")}), "0 0 0 | 0 1 | ");
    const auto known = book({"x p 100", "x q 100", "y"});
    EXPECT_EQ(match(known, {message("x", "q"), message("x", "p"), message("y")}), "2 1 3 |  | ");
    EXPECT_EQ(match(known, {message("x", "q"), message("y")}), "2 3 |  | 1") << "alone now, and still that one";
    EXPECT_EQ(match(known, {message("x"), message("y")}), "0 3 | 0 | 1 2") << "which one it is must be looked up";
    EXPECT_EQ(book_name(message("x", "p"), false), "x p 100");
}

TEST(pop3_names, one_that_was_unique_stays_the_first_that_bears_it) {
    EXPECT_EQ(match(book({"x"}), {message("x", "p"), message("x", "q")}), "1 0 |  | ");
    EXPECT_EQ(match(book({"x", "x q 100"}), {message("x", "p"), message("x", "q")}), "1 2 |  | ");
    EXPECT_EQ(match(book({"x", "x q 100"}), {message("x", "q")}), "2 |  | 1") << "the first one was deleted";
}

TEST(pop3_names, a_server_that_learns_uidl_keeps_its_messages) {
    const auto known = book({" p 100", " q 100"});
    EXPECT_EQ(match(known, {message("a"), message("b")}), "0 0 | 0 1 | 1 2");
    EXPECT_EQ(match(known, {message("a", "q"), message("b", "r")}), "2 0 |  | 1");
}

TEST(pop3_names, a_print_of_another_uidl_is_another_message) {
    EXPECT_EQ(match(book({"x p 100"}), {message("y", "p"), message("y", "p")}), "0 0 |  | 1");
}

TEST(pop3_names, a_maildrop_that_shows_less_than_half_is_not_believed) {
    EXPECT_TRUE(may_forget(10, 5));
    EXPECT_FALSE(may_forget(10, 6));
    EXPECT_FALSE(may_forget(1, 1));
}

} // namespace
} // namespace postferry::mailbox

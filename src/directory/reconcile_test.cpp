#include "directory/reconcile.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>

namespace postferry::directory {
namespace {

std::vector<std::string> drained(sorted_list& list) {
    std::vector<std::string> out;
    for (auto next = list.next(); next && !next->empty(); next = list.next()) out.emplace_back(*next);
    return out;
}

TEST(reconcile_test, a_list_is_sorted_without_repetitions_and_without_case) {
    sorted_list list;
    for (const char* one : {"b@x", "A@x", "a@x", "c@x", "B@X"}) ASSERT_TRUE(list.add(one));
    EXPECT_EQ(list.added(), 5U);
    EXPECT_EQ(drained(list), (std::vector<std::string>{"a@x", "b@x", "c@x"}));
    EXPECT_FALSE(list.add("d@x")) << "it has been read";
}

// 4,000 octets of memory: 60 and more runs, so that runs are united on the way.
TEST(reconcile_test, what_does_not_fit_goes_to_the_disk_and_comes_back_sorted) {
    sorted_list list(4000);
    std::set<std::string> expected;
    std::uint32_t seed = 7;
    for (int i = 0; i < 20'000; ++i) {
        seed = seed * 1'664'525 + 1'013'904'223;
        const std::string one = "user" + std::to_string(seed % 15'000) + "@example.org";
        expected.insert(one);
        ASSERT_TRUE(list.add(one));
    }
    const auto got = drained(list);
    EXPECT_EQ(got.size(), expected.size());
    EXPECT_TRUE(std::ranges::equal(got, expected));
}

TEST(reconcile_test, every_address_is_told_once_with_its_sides) {
    for (const std::size_t memory : {std::size_t{1} << 20U, std::size_t{64}}) {
        sorted_list left(memory), right(memory);
        for (const char* one : {"d@x", "a@x", "b@x", "a@x"}) ASSERT_TRUE(left.add(one));
        for (const char* one : {"B@x", "c@x", "e@x"}) ASSERT_TRUE(right.add(one));
        std::vector<std::string> told;
        const auto counts = reconcile(left, right, [&](std::string_view address, presence where) -> result<void> {
            told.push_back(std::string(address) + (where == presence::both        ? " ="
                                                   : where == presence::only_left ? " <"
                                                                                  : " >"));
            return {};
        });
        ASSERT_TRUE(counts);
        EXPECT_EQ(told, (std::vector<std::string>{"a@x <", "b@x =", "c@x >", "d@x <", "e@x >"}));
        EXPECT_EQ(counts->both, 1U);
        EXPECT_EQ(counts->only_left, 2U);
        EXPECT_EQ(counts->only_right, 2U);
    }
}

TEST(reconcile_test, a_failure_of_the_taker_ends_it) {
    sorted_list left, right;
    ASSERT_TRUE(left.add("a@x"));
    ASSERT_TRUE(left.add("b@x"));
    int calls = 0;
    const auto counts = reconcile(left, right, [&](auto, auto) -> result<void> {
        ++calls;
        return fail(retry_class::local, phase::list, "full");
    });
    EXPECT_FALSE(counts);
    EXPECT_EQ(calls, 1);
}

TEST(reconcile_test, bounds) {
    sorted_list list;
    EXPECT_FALSE(list.add(""));
    EXPECT_TRUE(list.add(std::string(512, 'a')));
    EXPECT_FALSE(list.add(std::string(513, 'a')));
    sorted_list nowhere(16, "/proc/no/such/folder");
    const auto ok = nowhere.add("someone@example.org");
    ASSERT_FALSE(ok);
    EXPECT_EQ(ok.error().cls, retry_class::local);
}

} // namespace
} // namespace postferry::directory

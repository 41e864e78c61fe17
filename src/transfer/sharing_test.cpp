#include "transfer/sharing.hpp"

#include <gtest/gtest.h>

namespace postferry::transfer {
namespace {

lane folder(std::size_t index, std::uint32_t messages, std::size_t batch_limit = 0) {
    return {.folder = index, .batch_limit = batch_limit, .uids = uid_set::of(1, messages)};
}

std::uint64_t count(const std::vector<lane>& part) {
    std::uint64_t n = 0;
    for (const lane& l : part) n += l.uids.count();
    return n;
}

TEST(sharing, a_connection_is_worth_its_login_for_a_thousand_messages) {
    EXPECT_EQ(connections_worth({folder(0, 1'999)}, 1'000, 4), 1U);
    EXPECT_EQ(connections_worth({folder(0, 1'000), folder(1, 1'000)}, 1'000, 4), 2U);
    EXPECT_EQ(connections_worth({folder(0, 9'000)}, 1'000, 4), 4U);
    EXPECT_EQ(connections_worth({folder(0, 9'000)}, 1'000, 0), 1U);
    EXPECT_EQ(connections_worth({}, 1'000, 4), 1U);
}

TEST(sharing, messages_under_suspicion_stay_on_one_connection_in_their_order) {
    EXPECT_EQ(connections_worth({folder(0, 5'000), folder(1, 5'000, 10)}, 1'000, 4), 1U);
}

TEST(sharing, whole_folders_go_to_whoever_has_least) {
    const auto parts = share_out({folder(0, 100), folder(1, 900), folder(2, 500), folder(3, 500)}, 2);
    ASSERT_EQ(parts.size(), 2U);
    EXPECT_EQ(count(parts[0]), 1'000U);
    EXPECT_EQ(count(parts[1]), 1'000U);
    EXPECT_EQ(parts[0].front().folder, 0U) << "in the order of the work";
    EXPECT_EQ(parts[0].back().folder, 1U);
}

TEST(sharing, a_folder_of_twenty_thousand_stays_whole_whatever_else_there_is) {
    const auto parts = share_out({folder(0, 20'000), folder(1, 10)}, 2);
    ASSERT_EQ(parts.size(), 2U);
    EXPECT_EQ(count(parts[0]), 20'000U);
}

TEST(sharing, one_huge_folder_is_cut_into_ranges_that_hold_every_message_once) {
    const auto parts = share_out({folder(7, 200'000)}, 4);
    ASSERT_EQ(parts.size(), 4U);
    uid_set all;
    std::uint64_t total = 0;
    for (const auto& part : parts) {
        ASSERT_EQ(part.size(), 1U);
        EXPECT_EQ(part.front().folder, 7U);
        EXPECT_EQ(part.front().uids.ranges().size(), 1U);
        all.add(part.front().uids);
        total += count(part);
        EXPECT_LE(count(part), 50'001U);
    }
    EXPECT_EQ(total, 200'000U);
    EXPECT_EQ(all.count(), 200'000U);
}

TEST(sharing, there_are_no_empty_parts) {
    EXPECT_EQ(share_out({folder(0, 5)}, 4).size(), 1U);
    EXPECT_TRUE(share_out({}, 4).empty());
    EXPECT_TRUE(share_out({}, 1).empty());
}

} // namespace
} // namespace postferry::transfer

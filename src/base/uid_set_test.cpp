#include "base/uid_set.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <set>

namespace postferry {
namespace {

constexpr std::uint32_t max_uid = std::numeric_limits<std::uint32_t>::max();

uid_set set(std::string_view text) {
    const auto parsed = uid_set::parse(text);
    EXPECT_TRUE(parsed) << text;
    return parsed.value_or(uid_set());
}

TEST(uid_set, empty) {
    const uid_set none;
    EXPECT_TRUE(none.empty());
    EXPECT_EQ(none.count(), 0U);
    EXPECT_FALSE(none.contains(1));
    EXPECT_EQ(none.to_string(), "");
}

TEST(uid_set, ranges_stay_sorted_disjoint_and_merged) {
    uid_set s;
    s.add(5);
    s.add(7);
    EXPECT_EQ(s.to_string(), "5,7");
    s.add(6); // closes the gap
    EXPECT_EQ(s.to_string(), "5:7");
    s.add(1, 2);
    s.add(10, 12);
    EXPECT_EQ(s.to_string(), "1:2,5:7,10:12");
    s.add(8, 9); // touches both neighbours
    EXPECT_EQ(s.to_string(), "1:2,5:12");
    s.add(2, 6); // overlaps both
    EXPECT_EQ(s.to_string(), "1:12");
    s.add(3, 4); // already there
    EXPECT_EQ(s.to_string(), "1:12");
    EXPECT_EQ(s.front(), 1U);
    EXPECT_EQ(s.back(), 12U);
}

TEST(uid_set, descending_ranges_are_turned_round_and_zero_is_no_uid) {
    EXPECT_EQ(uid_set::of(9, 4).to_string(), "4:9");
    EXPECT_EQ(uid_set::of(0, 3).to_string(), "1:3");
    EXPECT_EQ(uid_set::of(3, 0).to_string(), "1:3");
    EXPECT_TRUE(uid_set::of(0, 0).empty());
    EXPECT_FALSE(uid_set::of(0, 3).contains(0));
}

TEST(uid_set, the_largest_uids_do_not_wrap_round) {
    uid_set s;
    s.add(max_uid);
    s.add(1);
    EXPECT_EQ(s.to_string(), "1,4294967295");
    s.add(max_uid - 1);
    EXPECT_EQ(s.to_string(), "1,4294967294:4294967295");
    s.remove(max_uid, max_uid);
    EXPECT_EQ(s.to_string(), "1,4294967294");
    EXPECT_EQ(uid_set::of(1, max_uid).count(), std::uint64_t{max_uid});
    uid_set all = uid_set::of(1, max_uid);
    all.remove(set("1,5:9,4294967295"));
    EXPECT_EQ(all.to_string(), "2:4,10:4294967294");
    all.remove(1, max_uid);
    EXPECT_TRUE(all.empty());
}

TEST(uid_set, remove_splits) {
    uid_set s = set("1:10,20:30,40");
    s.remove(5, 5);
    EXPECT_EQ(s.to_string(), "1:4,6:10,20:30,40");
    s.remove(25, 8); // descending is turned round
    EXPECT_EQ(s.to_string(), "1:4,6:7,26:30,40");
    s.remove(50, 60);
    s.remove(41, 41);
    EXPECT_EQ(s.to_string(), "1:4,6:7,26:30,40");
    s.remove(set("2:3,7,27,29:50"));
    EXPECT_EQ(s.to_string(), "1,4,6,26,28");
}

TEST(uid_set, take_front_heeds_both_limits) {
    uid_set s = set("1:3,5,7:20");
    EXPECT_EQ(s.take_front(5, 100).to_string(), "1:3,5,7");
    EXPECT_EQ(s.to_string(), "8:20");
    s = set("1:3,5,7:20");
    EXPECT_EQ(s.take_front(100, 2).to_string(), "1:3,5");
    EXPECT_EQ(s.to_string(), "7:20");
    EXPECT_TRUE(s.take_front(0, 5).empty());
    EXPECT_TRUE(s.take_front(5, 0).empty());
    EXPECT_EQ(s.take_front(1000, 5).to_string(), "7:20");
    EXPECT_TRUE(s.empty());
    EXPECT_TRUE(s.take_front(1, 1).empty());
}

TEST(uid_set, reads_sequence_sets) {
    EXPECT_EQ(set("1:5,9").to_string(), "1:5,9");
    EXPECT_EQ(set("9,5:1,4:6").to_string(), "1:6,9");
    EXPECT_EQ(set("7,7,7").count(), 1U);
    EXPECT_EQ(set("4294967295").back(), max_uid);
    for (const auto* text : {"", ",", "1,", ",1", "1:", ":1", "0", "0:5", "5:0", "*", "1:*", "1:2:3", "4294967296",
                             "-1", "1 ,2", "a", "1,,2"})
        EXPECT_FALSE(uid_set::parse(text)) << text;
}

// Against the simplest thing that can work.
TEST(uid_set, does_what_a_std_set_does) {
    std::mt19937 random(4711);
    for (int round = 0; round < 200; ++round) {
        uid_set ours;
        std::set<std::uint32_t> theirs;
        for (int step = 0; step < 60; ++step) {
            std::uint32_t first = static_cast<std::uint32_t>(random() % 120);
            std::uint32_t last = random() % 3 == 0 ? static_cast<std::uint32_t>(random() % 120)
                                                   : first + static_cast<std::uint32_t>(random() % 4);
            uid_set other = uid_set::of(first, last);
            other.add(static_cast<std::uint32_t>(random() % 120));
            other.add(static_cast<std::uint32_t>(random() % 120));
            const auto members = [&] {
                std::set<std::uint32_t> out;
                for (const auto& r : other.ranges())
                    for (std::uint32_t uid = r.first; uid <= r.last; ++uid) out.insert(uid);
                return out;
            }();
            switch (random() % 5) {
            case 0:
                ours.add(first, last);
                for (std::uint32_t uid = std::max(1U, std::min(first, last)); uid <= std::max(first, last); ++uid)
                    theirs.insert(uid);
                break;
            case 1:
                ours.remove(first, last);
                theirs.erase(theirs.lower_bound(std::min(first, last)), theirs.upper_bound(std::max(first, last)));
                break;
            case 2:
                ours.add(other);
                theirs.insert(members.begin(), members.end());
                break;
            case 3:
                ours.remove(other);
                for (const std::uint32_t uid : members) theirs.erase(uid);
                break;
            default: {
                const uid_set front = ours.take_front(random() % 7, 1000);
                for (std::uint64_t i = 0; i < front.count(); ++i) {
                    EXPECT_TRUE(front.contains(*theirs.begin()));
                    theirs.erase(theirs.begin());
                }
            }
            }
            ASSERT_EQ(ours.count(), theirs.size());
            for (std::uint32_t uid = 0; uid < 130; ++uid)
                ASSERT_EQ(ours.contains(uid), theirs.contains(uid)) << uid << " in " << ours.to_string();
            for (std::size_t i = 1; i < ours.ranges().size(); ++i)
                ASSERT_GT(ours.ranges()[i].first, ours.ranges()[i - 1].last + 1);
            if (!ours.empty()) ASSERT_EQ(uid_set::parse(ours.to_string()), ours);
        }
    }
}

TEST(uid_set, a_million_descending_uids_are_read_at_once) {
    std::string text;
    for (std::uint32_t uid = 2'000'000; uid > 1; uid -= 2) text += std::to_string(uid) + ',';
    EXPECT_EQ(set(text + "1").count(), 1'000'001U);
}

} // namespace
} // namespace postferry

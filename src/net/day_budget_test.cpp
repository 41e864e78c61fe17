#include "net/day_budget.hpp"

#include <gmock/gmock.h>

namespace postferry::net {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

constexpr day_budget::unix_time noon = 1'709'208'000; // 2024-02-29T12:00:00Z
constexpr std::int64_t noon_hour = noon / 3600;
constexpr day_budget::unix_time hour = 3600;

TEST(day_budget, without_a_limit_it_counts_only) {
    day_budget b;
    b.add(1'000'000, noon);
    EXPECT_FALSE(b.limited());
    EXPECT_EQ(b.spent(noon), 1'000'000U);
    EXPECT_FALSE(b.spent_until(noon));
}

TEST(day_budget, returns_a_day_later) {
    day_budget b;
    b.limit(1'000);
    b.add(999, noon + 59);
    EXPECT_FALSE(b.spent_until(noon + 59));
    b.add(500, noon + 60);
    EXPECT_EQ(b.spent_until(noon + 60), noon + 24 * hour);
    EXPECT_EQ(b.spent_until(noon + 23 * hour), noon + 24 * hour);
    EXPECT_FALSE(b.spent_until(noon + 24 * hour));
    EXPECT_EQ(b.spent(noon + 24 * hour), 0U);
}

TEST(day_budget, waits_until_a_quarter_is_back) {
    day_budget b;
    b.limit(1'000);
    b.add(100, noon);
    b.add(200, noon + hour);
    b.add(700, noon + 2 * hour);
    EXPECT_EQ(b.spent_until(noon + 2 * hour), noon + 25 * hour);
    EXPECT_FALSE(b.spent_until(noon + 25 * hour));
}

TEST(day_budget, remembers_earlier_runs_and_forgets_the_day_before) {
    day_budget b;
    b.limit(1'000);
    b.remember(noon_hour - 24, 5'000);
    b.remember(noon_hour - 23, 1'000);
    EXPECT_EQ(b.spent(noon), 1'000U);
    EXPECT_EQ(b.spent_until(noon), noon + hour);
}

TEST(day_budget, the_smallest_limit_holds) {
    day_budget b;
    b.limit(1'000);
    b.limit(10);
    b.limit(500);
    b.limit(0);
    EXPECT_EQ(b.limit(), 10U);
}

TEST(day_budget, one_message_larger_than_the_whole_budget_does_not_lock_it_for_ever) {
    day_budget b;
    b.limit(10);
    b.add(1'000'000, noon);
    EXPECT_EQ(b.spent_until(noon), noon + 24 * hour);
    EXPECT_FALSE(b.spent_until(noon + 24 * hour));
}

TEST(day_budget, news_are_told_once) {
    day_budget b;
    b.remember(noon_hour, 7);
    b.add(1, noon);
    b.add(2, noon + 1);
    b.add(3, noon + hour);
    EXPECT_THAT(b.take_news(), ElementsAre(Pair(noon_hour, 3U), Pair(noon_hour + 1, 3U)));
    EXPECT_THAT(b.take_news(), IsEmpty());
}

} // namespace
} // namespace postferry::net

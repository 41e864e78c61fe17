#include "net/token_bucket.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace postferry::net {
namespace {

using namespace std::chrono_literals;
using time = token_bucket::time;

const time start{1h};

TEST(token_bucket, a_burst_passes_and_then_the_rate_holds) {
    token_bucket b(10, 5, start);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(b.take(1, start), start);
    EXPECT_EQ(b.take(1, start), start + 100ms);
    EXPECT_EQ(b.take(1, start), start + 200ms); // in the order of asking
    EXPECT_EQ(b.take(1, start + 200ms), start + 300ms);
}

TEST(token_bucket, a_rest_fills_it_up_to_the_burst_only) {
    token_bucket b(10, 5, start);
    EXPECT_EQ(b.take(5, start), start);
    EXPECT_EQ(b.take(5, start + 1h), start + 1h);
    EXPECT_EQ(b.take(1, start + 1h), start + 1h + 100ms);
}

TEST(token_bucket, more_than_the_burst_is_paid_for_afterwards) {
    token_bucket b(1'000, 100, start);
    EXPECT_EQ(b.take(10'100, start), start + 10s);
    EXPECT_EQ(b.take(1'000, start + 10s), start + 11s);
}

TEST(token_bucket, time_that_stands_still_or_runs_back_gives_nothing) {
    token_bucket b(10, 1, start);
    EXPECT_EQ(b.take(1, start), start);
    EXPECT_EQ(b.take(1, start - 1h), start - 1h + 100ms);
    EXPECT_EQ(b.take(1, start), start + 200ms);
}

TEST(token_bucket, a_changed_rate_holds_for_what_comes) {
    token_bucket b(100, 1, start);
    EXPECT_EQ(b.take(2, start), start + 10ms);
    b.change(1, 1, start);
    EXPECT_EQ(b.take(1, start), start + 2s);
    EXPECT_EQ(b.per_second(), 1);
}

TEST(token_bucket, threads_share_one_rate) {
    token_bucket b(1'000, 1, start);
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 250; ++i) (void)b.take(1, start);
        });
    threads.clear();
    EXPECT_EQ(b.take(1, start), start + 1s);
}

} // namespace
} // namespace postferry::net

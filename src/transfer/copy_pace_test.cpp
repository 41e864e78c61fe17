#include "transfer/copy_pace.hpp"

#include <gtest/gtest.h>

namespace postferry::transfer {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

// A server that needs `each` for a message, at the end of a line with a round trip.
std::uint64_t limit_at(milliseconds round_trip, std::chrono::microseconds each, int copies = 10) {
    copy_pace p;
    for (int i = 0; i < copies; ++i)
        p.answered(p.limit(), round_trip + std::chrono::duration_cast<milliseconds>(each * p.limit()));
    return p.limit();
}

TEST(copy_pace, begins_small_and_grows_where_the_work_is_nothing) {
    EXPECT_EQ(limit_at(1ms, 10us, 0), 10U);
    EXPECT_EQ(limit_at(1ms, 10us, 1), 20U);
    EXPECT_EQ(limit_at(1ms, 10us), 100U);
}

TEST(copy_pace, a_long_line_is_no_slow_server) { EXPECT_EQ(limit_at(800ms, 10us), 100U); }

TEST(copy_pace, keeps_the_work_of_one_copy_well_below_the_time_of_rest) {
    for (const auto round_trip : {1ms, 300ms})
        for (const auto each : {1'000us, 5'000us, 20'000us})
            EXPECT_LE(limit_at(round_trip, each) * each, 600ms) << each.count();
    EXPECT_EQ(limit_at(1ms, 100'000us), 10U) << "nothing is smaller than ten";
}

TEST(copy_pace, small_remains_of_a_folder_tell_nothing_of_large_copies) {
    copy_pace p;
    for (int i = 0; i < 10; ++i) p.answered(1, 1ms);
    EXPECT_EQ(p.limit(), 10U);
}

TEST(copy_pace, weighs_octets) {
    EXPECT_EQ(copy_pace::weight(3, 3'000), 3U);
    EXPECT_EQ(copy_pace::weight(1, 50U << 20U), 320U);
}

TEST(copy_pace, waits_longer_for_a_server_that_was_slow) {
    copy_pace p;
    EXPECT_EQ(p.rest_after(0ms), 2s);
    EXPECT_EQ(p.rest_after(5s), 10s);
    EXPECT_EQ(p.rest_after(10min), 1min);
    p.answered(10, 3s);
    EXPECT_EQ(p.rest_after(0ms), 12s);
}

} // namespace
} // namespace postferry::transfer

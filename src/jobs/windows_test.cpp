#include "input/fields.hpp"
#include "jobs/windows.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::jobs {
namespace {

using testing::Optional;

unix_ms at(std::string_view text) { return input::parse_rfc3339(text).value(); }

window of(std::string_view days, std::string_view from, std::string_view to, std::string zone = "Europe/Berlin") {
    return {.days = parse_days(days).value(),
            .from_minute = parse_time_of_day(from).value(),
            .to_minute = parse_time_of_day(to).value(),
            .time_zone = std::move(zone)};
}

TEST(jobs_windows, are_read_as_people_write_them) {
    EXPECT_THAT(parse_days("mon-fri"), Optional(0x1F));
    EXPECT_THAT(parse_days("sat,sun"), Optional(0x60));
    EXPECT_THAT(parse_days("fri-mon"), Optional(0x71));
    EXPECT_THAT(parse_days("daily"), Optional(0x7F));
    for (const char* bad : {"", "monday", "mon-", "mon--tue", ",", "MON"})
        EXPECT_EQ(parse_days(bad), std::nullopt) << bad;
    EXPECT_THAT(parse_time_of_day("24:00"), Optional(1440));
    for (const char* bad : {"", "9:00", "24:01", "12:60", "ab:cd", "-1:00"})
        EXPECT_EQ(parse_time_of_day(bad), std::nullopt) << bad;
    EXPECT_TRUE(is_time_zone("America/New_York"));
    EXPECT_FALSE(is_time_zone("Mars/Olympus"));
}

TEST(jobs_windows, none_is_always) {
    EXPECT_TRUE(is_open({}, 0));
    EXPECT_EQ(next_change({}, 0), std::nullopt);
}

TEST(jobs_windows, go_over_midnight_in_their_own_zone) {
    const std::vector<window> nights{of("mon-fri", "22:00", "06:00")};
    EXPECT_FALSE(is_open(nights, at("2026-11-20T20:59:00Z"))); // Friday 21:59 in Berlin
    EXPECT_THAT(next_change(nights, at("2026-11-20T20:59:00Z")), Optional(at("2026-11-20T21:00:00Z")));
    EXPECT_TRUE(is_open(nights, at("2026-11-20T21:00:00Z")));
    EXPECT_TRUE(is_open(nights, at("2026-11-21T04:59:59Z"))); // Saturday 05:59
    EXPECT_THAT(next_change(nights, at("2026-11-21T04:00:00Z")), Optional(at("2026-11-21T05:00:00Z")));
    EXPECT_FALSE(is_open(nights, at("2026-11-21T22:00:00Z"))); // Saturday night
    EXPECT_THAT(next_change(nights, at("2026-11-21T22:00:00Z")), Optional(at("2026-11-23T21:00:00Z")));
}

TEST(jobs_windows, that_touch_are_one) {
    const std::vector<window> both{of("sat,sun", "00:00", "24:00", "UTC"), of("mon", "00:00", "06:00", "UTC")};
    EXPECT_THAT(next_change(both, at("2026-11-21T12:00:00Z")), Optional(at("2026-11-23T06:00:00Z")));
    EXPECT_EQ(next_change({of("daily", "00:00", "24:00", "UTC")}, at("2026-11-21T12:00:00Z")), std::nullopt);
}

// 2026-03-29: 02:00 to 03:00 does not exist in Berlin; 2026-10-25: it exists twice.
TEST(jobs_windows, live_through_the_change_of_the_clocks) {
    const std::vector<window> early{of("sun", "02:30", "04:00")};
    EXPECT_FALSE(is_open(early, at("2026-03-29T00:59:00Z")));
    EXPECT_TRUE(is_open(early, at("2026-03-29T01:30:00Z")));
    EXPECT_THAT(next_change(early, at("2026-03-29T01:30:00Z")), Optional(at("2026-03-29T02:00:00Z")));
    EXPECT_TRUE(is_open(early, at("2026-10-25T00:30:00Z")));
    EXPECT_THAT(next_change(early, at("2026-10-25T00:30:00Z")), Optional(at("2026-10-25T03:00:00Z")));
}

} // namespace
} // namespace postferry::jobs

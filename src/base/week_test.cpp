#include "base/week.hpp"

#include <gtest/gtest.h>

namespace postferry {
namespace {

TEST(week, days_are_names_lists_and_ranges) {
    EXPECT_EQ(parse_weekdays("mon-fri"), std::uint8_t{0x1F});
    EXPECT_EQ(parse_weekdays("sat,sun"), std::uint8_t{0x60});
    EXPECT_EQ(parse_weekdays("fri-mon"), std::uint8_t{0x71});
    for (const char* bad : {"", "monday", "MON", "mon-", "-mon", "mon--tue", ",", "mon,", "mon tue"})
        EXPECT_EQ(parse_weekdays(bad), std::nullopt) << bad;
}

TEST(week, a_time_of_day_is_minutes_after_midnight) {
    EXPECT_EQ(parse_time_of_day("00:00"), 0);
    EXPECT_EQ(parse_time_of_day("06:30"), 390);
    EXPECT_EQ(parse_time_of_day("24:00"), 1440);
    for (const char* bad : {"", "6:30", "24:01", "12:60", "ab:cd", "-1:00", "06.30"})
        EXPECT_EQ(parse_time_of_day(bad), std::nullopt) << bad;
}

TEST(week, a_day_is_one_of_the_calendar) {
    EXPECT_EQ(parse_day("1970-01-02"), std::chrono::sys_days(std::chrono::days(1)));
    EXPECT_TRUE(parse_day("2024-02-29"));
    for (const char* wrong : {"", "2023-02-29", "1969-12-31", "2024-2-29", "2024-02-29x", "2024/02/29"})
        EXPECT_FALSE(parse_day(wrong)) << wrong;
}

} // namespace
} // namespace postferry

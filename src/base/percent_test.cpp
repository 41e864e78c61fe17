#include "base/percent.hpp"

#include <gtest/gtest.h>

namespace postferry {
namespace {

TEST(percent, escapes_become_octets) {
    EXPECT_EQ(percent_decode("a%40b%2Fc%2f"), "a@b/c/");
    EXPECT_EQ(percent_decode("100%25"), "100%");
    EXPECT_EQ(percent_decode(""), "");
    EXPECT_EQ(percent_decode("%00%ff"), (std::string("\0\xFF", 2)));
}

TEST(percent, what_is_not_whole_is_nothing) {
    for (const char* bad : {"%", "%4", "a%4", "%zz", "%4g", "%%41"})
        EXPECT_EQ(percent_decode(bad), std::nullopt) << bad;
}

} // namespace
} // namespace postferry

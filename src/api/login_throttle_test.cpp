#include "api/login_throttle.hpp"

#include <gtest/gtest.h>

namespace postferry::api {
namespace {

using std::chrono::seconds;

class api_login_throttle : public testing::Test {
  protected:
    login_throttle::clock::time_point now_{std::chrono::hours(100)};
    login_throttle throttle_{[this] { return now_; }};
};

TEST_F(api_login_throttle, costs_more_with_every_failure) {
    for (unsigned i = 0; i < login_throttle::free_failures; ++i) throttle_.failed("a");
    EXPECT_EQ(throttle_.wait("a"), seconds(0));
    throttle_.failed("a");
    EXPECT_EQ(throttle_.wait("a"), seconds(1));
    throttle_.failed("a");
    throttle_.failed("a");
    EXPECT_EQ(throttle_.wait("a"), seconds(4));
    now_ += seconds(3);
    EXPECT_EQ(throttle_.wait("a"), seconds(1));
    for (int i = 0; i < 100; ++i) throttle_.failed("a");
    EXPECT_EQ(throttle_.wait("a"), login_throttle::longest);
    EXPECT_EQ(throttle_.wait("b"), seconds(0));
}

TEST_F(api_login_throttle, forgives) {
    for (int i = 0; i < 20; ++i) throttle_.failed("a"), throttle_.failed("b");
    throttle_.succeeded("a");
    EXPECT_EQ(throttle_.wait("a"), seconds(0));
    now_ += login_throttle::forgiven_after + seconds(1);
    EXPECT_EQ(throttle_.wait("b"), seconds(0));
    throttle_.failed("b"); // and begins anew
    EXPECT_EQ(throttle_.wait("b"), seconds(0));
}

TEST_F(api_login_throttle, counts_attempts_before_they_are_known_to_fail) {
    const std::vector<std::string> keys{"address a", "name ada from a"};
    for (unsigned i = 0; i <= login_throttle::free_failures; ++i) EXPECT_EQ(throttle_.enter(keys), seconds(0));
    EXPECT_EQ(throttle_.enter(keys), seconds(1)) << "they are all under way, and none is free any more";
    EXPECT_EQ(throttle_.failures(keys[0]), login_throttle::free_failures + 1) << "who has to wait has not tried";
    throttle_.succeeded(keys[1]);
    throttle_.undo(keys[0]);
    EXPECT_EQ(throttle_.enter(keys), seconds(0));
    EXPECT_EQ(throttle_.failures(keys[1]), 1U);
}

TEST_F(api_login_throttle, keeps_a_bounded_number_of_keys) {
    for (int i = 0; i < 20; ++i) throttle_.failed("old"), throttle_.failed("kept");
    for (std::size_t i = 0; i + 2 < login_throttle::max_keys; ++i) throttle_.failed(std::to_string(i));
    throttle_.failed("kept");
    throttle_.failed("one more");
    EXPECT_EQ(throttle_.wait("old"), seconds(0));
    EXPECT_GT(throttle_.wait("kept"), seconds(0));
}

} // namespace
} // namespace postferry::api

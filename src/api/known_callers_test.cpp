#include "api/known_callers.hpp"

#include <gtest/gtest.h>

namespace postferry::api {
namespace {

using namespace std::chrono_literals;

const caller alice{.actor = "token/1", .name = "alice"};

TEST(known_callers, are_known_for_a_second) {
    known_callers known(1s);
    const auto now = known_callers::clock::now();
    known.keep("a", alice, known.generation(), now);
    ASSERT_TRUE(known.find("a", now + 999ms));
    EXPECT_EQ(known.find("a", now + 999ms)->who.actor, "token/1");
    EXPECT_FALSE(known.find("a", now + 1s));
    EXPECT_FALSE(known.find("b", now));
}

TEST(known_callers, are_looked_up_again_by_one_who_asks_before_the_second_is_over) {
    known_callers known(1s);
    const auto now = known_callers::clock::now();
    known.keep("a", alice, known.generation(), now);
    EXPECT_FALSE(known.find("a", now + 499ms)->ages);
    EXPECT_TRUE(known.find("a", now + 500ms)->ages);
    EXPECT_FALSE(known.find("a", now + 501ms)->ages);
    known.keep("a", alice, known.generation(), now + 600ms); // what it was looked up for
    EXPECT_TRUE(known.find("a", now + 1'100ms)->ages);
    EXPECT_FALSE(known.find("a", now + 1'600ms));
}

TEST(known_callers, are_forgotten_with_what_was_being_read_meanwhile) {
    known_callers known(1s);
    const auto before = known.generation();
    known.keep("a", alice, before);
    known.forget();
    EXPECT_FALSE(known.find("a"));
    known.keep("a", alice, before);
    EXPECT_FALSE(known.find("a"));
    known.keep("a", alice, known.generation());
    EXPECT_TRUE(known.find("a"));
}

TEST(known_callers, are_bounded) {
    known_callers known(1s);
    for (std::size_t i = 0; i <= known_callers::most; ++i) known.keep(std::to_string(i), alice, known.generation());
    EXPECT_FALSE(known.find("0"));
    EXPECT_TRUE(known.find(std::to_string(known_callers::most)));
}

} // namespace
} // namespace postferry::api

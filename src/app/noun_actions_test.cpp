#include "app/noun_actions.hpp"

#include <gtest/gtest.h>

namespace postferry::app {
namespace {

TEST(noun_actions, every_row_of_the_table_does_something) {
    for (const noun_verb& v : noun_verbs()) EXPECT_NE(find_action(v.name()), nullptr) << v.name();
}

TEST(noun_actions, a_name_between_two_others_is_no_action) { EXPECT_EQ(find_action("batch"), nullptr); }

} // namespace
} // namespace postferry::app

#include "app/text_table.hpp"

#include <gtest/gtest.h>

namespace postferry::app {
namespace {

text_table people() {
    text_table t({{"ID", true}, {"NAME", false, true}, {"WHY", false, true}});
    t.add({"7", "Zoë 日本", "a long reason that goes on"});
    t.add({"120", "bob"});
    return t;
}

TEST(text_table, names_in_any_script_stand_in_line) {
    EXPECT_EQ(people().text(std::nullopt), " ID  NAME      WHY\n"
                                           "  7  Zoë 日本  a long reason that goes on\n"
                                           "120  bob\n");
}

TEST(text_table, a_narrow_terminal_cuts_what_gives) {
    EXPECT_EQ(people().text(30), " ID  NAME      WHY\n"
                                 "  7  Zoë 日本  a long reason …\n"
                                 "120  bob\n");
    // Nothing becomes unreadable: rather a line that is too long.
    EXPECT_EQ(people().text(5), " ID  NAME      WHY\n"
                                "  7  Zoë 日本  a long …\n"
                                "120  bob\n");
}

TEST(text_table, control_characters_of_others_stay_off_the_terminal) {
    text_table t({{"NAME"}});
    t.add({"a\x1b[31m\nb"});
    EXPECT_EQ(t.text(std::nullopt), "NAME\na?[31m?b\n");
}

} // namespace
} // namespace postferry::app

#include "app/noun_words.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace postferry::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

noun_words must(const std::vector<const char*>& words) {
    auto line = parse_noun_line(words);
    EXPECT_TRUE(line.run) << line.err;
    return line.run.value_or(noun_words{});
}

std::string refusal(const std::vector<const char*>& words) {
    const auto line = parse_noun_line(words);
    EXPECT_FALSE(line.run);
    EXPECT_EQ(line.exit_code, 2);
    EXPECT_EQ(line.out, "");
    return line.err;
}

TEST(noun_words, what_was_typed_is_kept_by_name) {
    const auto w = must({"batch", "create", "spring move", "--exclude", "Trash", "--mode=upsert", "--exclude", "Junk",
                         "--acl", "--json"});
    EXPECT_EQ(w.what->name(), "batch create");
    EXPECT_EQ(w.text("NAME"), "spring move");
    EXPECT_EQ(w.text("--mode"), "upsert");
    EXPECT_THAT(w.list("--exclude"), ElementsAre("Trash", "Junk"));
    EXPECT_TRUE(w.has("--acl") && w.has("--json"));
    EXPECT_FALSE(w.has("--quiet") || w.has("--map"));
}

TEST(noun_words, the_last_argument_may_be_many_and_options_stand_anywhere) {
    const auto w = must({"mailbox", "waive", "--batch", "b", "7", "INBOX:3", "--reason", "none of ours", "A:B:4"});
    EXPECT_EQ(w.text("MAILBOX"), "7");
    EXPECT_THAT(w.list("FOLDER:UID"), ElementsAre("INBOX:3", "A:B:4"));
}

TEST(noun_words, negative_numbers_are_arguments) {
    EXPECT_EQ(must({"mailbox", "priority", "7", "-5"}).text("N"), "-5");
    EXPECT_EQ(must({"batch", "set", "b", "--priority", "-5"}).text("--priority"), "-5");
}

TEST(noun_words, a_noun_alone_may_be_a_command) { EXPECT_EQ(must({"log", "--batch", "b"}).what->noun, "log"); }

TEST(noun_words, faults_say_what_was_meant) {
    EXPECT_THAT(refusal({"batch", "strat", "b"}), HasSubstr("there is no batch strat. Did you mean start?"));
    EXPECT_THAT(refusal({"batch", "xyzzy"}), HasSubstr("but list, create"));
    EXPECT_THAT(refusal({"batch"}), HasSubstr("batch what? list, create"));
    EXPECT_THAT(refusal({"batch", "start"}), HasSubstr("batch start needs BATCH"));
    EXPECT_THAT(refusal({"batch", "start", "a", "b"}), HasSubstr("batch start takes no further word: b"));
    EXPECT_THAT(refusal({"batch", "set", "a", "--exlude", "x"}),
                HasSubstr("batch set has no option --exlude. Did you mean --exclude?"));
    EXPECT_THAT(refusal({"batch", "set", "a", "--exclude"}),
                HasSubstr("--exclude needs a value: --exclude FOLDER-GLOB"));
    EXPECT_THAT(refusal({"user", "add", "a", "--role", "king"}),
                HasSubstr("--role takes one of viewer operator admin owner, not king"));
    EXPECT_THAT(refusal({"batch", "list", "--name", "a", "--name", "b"}), HasSubstr("--name is given more than once"));
}

TEST(noun_words, help_is_made_of_the_table) {
    const auto noun = parse_noun_line(std::vector<const char*>{"batch", "--help"});
    EXPECT_EQ(noun.exit_code, 0);
    EXPECT_THAT(noun.out, HasSubstr("  start BATCH"));
    const auto verb = parse_noun_line(std::vector<const char*>{"batch", "report", "x", "-h"});
    EXPECT_THAT(verb.out, HasSubstr("Usage: postferry batch report BATCH [options]"));
    EXPECT_THAT(verb.out, HasSubstr("to standard output (default json): json csv html"));
    EXPECT_THAT(verb.out, HasSubstr("Examples:"));
}

// Whoever adds a row adds it whole.
TEST(noun_words, every_row_is_whole) {
    std::set<std::string> names;
    for (const noun_verb& v : noun_verbs()) {
        EXPECT_TRUE(names.insert(v.name()).second) << v.name();
        EXPECT_FALSE(v.summary.empty()) << v.name();
        EXPECT_FALSE(v.summary.ends_with('.')) << v.name();
        std::set<std::string_view> options;
        for (const noun_option& o : v.options) {
            EXPECT_TRUE(options.insert(o.name).second) << v.name() << " " << o.name;
            for (const noun_option& common : common_noun_options()) EXPECT_NE(o.name, common.name) << v.name();
        }
        for (std::size_t i = 0; i + 1 < v.arguments.size(); ++i)
            EXPECT_FALSE(v.arguments[i].many || v.arguments[i].optional) << v.name();
        std::vector<const char*> line{v.noun.data()};
        if (!v.verb.empty()) line.push_back(v.verb.data());
        line.push_back("--help");
        EXPECT_EQ(parse_noun_line(line).exit_code, 0) << v.name();
    }
    EXPECT_GT(names.size(), 50U);
}

} // namespace
} // namespace postferry::app

#include "app/batch_status.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::app {
namespace {

using testing::HasSubstr;
using testing::Not;

boost::json::object batch(std::string_view state, std::string_view states, int all, std::string_view more = "{}") {
    boost::json::object b{{"id", 12},         {"name", "spring-move"}, {"state", state},
                          {"mode", "upsert"}, {"created_by", "cli/0"}, {"mailboxes", all}};
    b["mailbox_states"] = boost::json::parse(states);
    const boost::json::value others = boost::json::parse(more);
    for (const auto& member : others.as_object()) b[member.key()] = member.value();
    return b;
}

TEST(batch_status, its_sums_add_up_in_words) {
    const std::string text =
        batch_status_text(batch("syncing", R"({"synced": 800, "copying": 12, "queued": 380, "failed": 8})", 1200, R"({
        "grade": "investigate",
        "messages": {"source": 12345, "copied": 10000, "present": 2000, "skipped": 45, "failed": 0, "residual": 300},
        "bytes": {"source": 14000000000, "copied": 12000000000},
        "eta": {"earliest": "2026-11-22T21:10:00Z", "latest": "2026-11-22T21:50:00Z"}})"));
    EXPECT_THAT(text, HasSubstr("spring-move (batch 12): syncing, investigate\n"));
    EXPECT_THAT(text, HasSubstr("  mailboxes  1,200 = 380 queued + 12 copying + 800 synced + 8 failed\n"));
    EXPECT_THAT(
        text,
        HasSubstr(
            "  messages   12,345 = 10,000 copied + 2,000 there already + 45 skipped by rule + 300 still to do\n"));
    EXPECT_THAT(text, HasSubstr("  data       12 GB of 14 GB copied\n"));
    EXPECT_THAT(text, testing::ContainsRegex("  estimate   copied between 2026-11-2. ..:10 and 2026-11-2. ..:50\n"));
}

TEST(batch_status, a_source_that_has_shrunk_is_said) {
    EXPECT_THAT(batch_status_text(batch("synced", R"({"synced": 1})", 1,
                                        R"({"messages": {"source": 9, "copied": 10, "residual": -1}})")),
                HasSubstr("9 = 10 copied - 1 that are gone from the source"));
}

TEST(batch_status, each_standing_has_its_next_step) {
    const auto advice = [](std::string_view state, std::string_view states, int all) {
        return batch_advice_text(batch(state, states, all));
    };
    EXPECT_THAT(advice("draft", "{}", 0), HasSubstr("postferry batch import spring-move accounts.csv"));
    EXPECT_THAT(advice("ready", R"({"ready": 5})", 5), HasSubstr("postferry batch start spring-move"));
    EXPECT_THAT(advice("syncing", R"({"copying": 5})", 5), HasSubstr("postferry batch watch spring-move"));
    EXPECT_THAT(advice("synced", R"({"synced": 5})", 5), HasSubstr("postferry batch finish spring-move"));
    const std::string mixed = advice("syncing", R"({"failed": 1, "synced": 4})", 5);
    EXPECT_THAT(mixed, HasSubstr("1 mailbox failed"));
    EXPECT_THAT(mixed, HasSubstr("postferry batch retry spring-move"));
    EXPECT_THAT(mixed, Not(HasSubstr("finish")));
    EXPECT_THAT(advice("stopped", R"({"paused": 2})", 2), HasSubstr("postferry batch resume spring-move"));
    EXPECT_THAT(advice("ready", R"({"needs_credentials": 2})", 2), HasSubstr("postferry mailbox credentials MAILBOX"));
    EXPECT_THAT(advice("completed", R"({"completed": 2})", 2), HasSubstr("postferry batch archive spring-move"));
    EXPECT_EQ(advice("archived", R"({"completed": 2})", 2), "");
}

TEST(batch_status, when_it_is_at_rest_and_when_complete) {
    const auto standing = [](std::string_view state, std::string_view states, int all) {
        return standing_of(batch(state, states, all));
    };
    EXPECT_TRUE(standing("synced", R"({"synced": 2, "completed": 1, "cancelled": 1})", 4).complete);
    EXPECT_FALSE(standing("syncing", R"({"queued": 1, "synced": 2})", 3).at_rest);
    EXPECT_FALSE(standing("scheduled", R"({"ready": 1})", 1).at_rest);
    EXPECT_FALSE(standing("syncing", R"({"paused": 1})", 1).at_rest); // its window will open
    EXPECT_TRUE(standing("stopped", R"({"paused": 1})", 1).at_rest);
    const auto bad = standing("syncing", R"({"failed": 1, "completed_with_exceptions": 1, "synced": 1})", 3);
    EXPECT_TRUE(bad.at_rest);
    EXPECT_FALSE(bad.complete);
    EXPECT_FALSE(standing("draft", "{}", 0).complete);
}

TEST(batch_status, its_word_can_be_typed) {
    const auto word = [](std::string_view name) {
        auto b = batch("draft", "{}", 0);
        b["name"] = name;
        return batch_word(b);
    };
    EXPECT_EQ(word("spring-move"), "spring-move");
    EXPECT_EQ(word("spring move"), "'spring move'");
    EXPECT_EQ(word("Bob's"), "12");
    EXPECT_EQ(word("2026"), "12");
    EXPECT_EQ(word("-x"), "12");
}

} // namespace
} // namespace postferry::app

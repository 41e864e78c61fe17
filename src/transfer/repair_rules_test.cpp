#include "transfer/repair_rules.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::transfer {
namespace {

using message::repair;
using message::repair_set;

error said(std::string words, std::string code = {}, retry_class cls = retry_class::permanent) {
    return {.cls = cls,
            .where = phase::append,
            .what = "The target refused",
            .server_said = std::move(words),
            .advice = {},
            .response_code = std::move(code)};
}

struct doctor {
    refusal_history history;
    repair_set applicable;

    std::string next() {
        const auto set = next_repair(history, applicable);
        if (!set) return "-";
        history.tried.push_back(*set);
        return names_of(*set);
    }
    std::string refused(std::string words) {
        history.later.push_back(said(std::move(words)));
        return next();
    }
};

doctor with(std::string words, repair_set applicable) {
    return {.history = {.first = said(std::move(words)), .later = {}, .tried = {}}, .applicable = applicable};
}

TEST(repair_rules, what_no_repair_can_cure) {
    EXPECT_TRUE(may_be_cured(said("NO Message contains invalid header")));
    EXPECT_TRUE(may_be_cured(said("BAD Command Argument Error. 11", "", retry_class::protocol)));
    EXPECT_TRUE(may_be_cured(said("NO APPEND failed")));
    EXPECT_FALSE(may_be_cured(said("NO Message refused because it contains a virus")));
    EXPECT_FALSE(may_be_cured(said("BAD Invalid system flag \\INDEXED", "", retry_class::protocol)));
    EXPECT_FALSE(may_be_cured(said("NO too much", "TOOBIG")));
    EXPECT_FALSE(may_be_cured(said("NO [LIMIT] Mail size is larger than the maximum size allowed", "LIMIT")));
    EXPECT_FALSE(may_be_cured(said("NO slow down", "", retry_class::throttled)));
}

TEST(repair_rules, the_words_of_servers) {
    EXPECT_EQ(hinted_by(said("NO Message contains NUL characters")), (repair_set{repair::nul, repair::literal8}));
    EXPECT_EQ(hinted_by(said("NO Message contains bare newlines")), repair_set{repair::line_endings});
    EXPECT_EQ(hinted_by(said("BAD [CLIENTBUG] APPEND Additional arguments found after last expected argument")),
              (repair_set{repair::line_endings, repair::final_newline}));
    EXPECT_EQ(hinted_by(said("NO Message contains non-ASCII characters in headers")), repair_set{repair::header_8bit});
    EXPECT_EQ(hinted_by(said("NO Message has no header/body separator")),
              (repair_set{repair::header, repair::header_8bit}));
    EXPECT_EQ(hinted_by(said("BAD Command Argument Error. 11")), repair_set{repair::long_lines});
    EXPECT_EQ(hinted_by(said("NO APPEND failed")), repair_set{});
}

TEST(repair_rules, a_server_that_says_what_it_dislikes_is_believed) {
    doctor d =
        with("NO Message contains bare newlines", {repair::line_endings, repair::header_8bit, repair::long_lines});
    EXPECT_EQ(d.next(), "line-endings");
    EXPECT_EQ(d.refused("NO Message contains bare newlines"), "line-endings, header-8bit, long-lines");
    EXPECT_EQ(d.refused("NO Message contains bare newlines"), "-");
}

TEST(repair_rules, what_has_changed_the_words_is_kept) {
    doctor d = with("NO Message contains NUL characters",
                    {repair::nul, repair::line_endings, repair::header, repair::literal8});
    EXPECT_EQ(d.next(), "literal8");
    EXPECT_EQ(d.refused("NO [UNKNOWN-CTE] cannot"), "nul") << "as was said at first";
}

TEST(repair_rules, words_that_lead_on) {
    doctor d = with("NO Message contains NUL characters", {repair::nul, repair::line_endings, repair::header});
    EXPECT_EQ(d.next(), "nul");
    EXPECT_EQ(d.refused("NO Message contains bare newlines"), "line-endings, nul");
    EXPECT_EQ(d.refused("NO Message contains invalid header"), "line-endings, nul, header");
}

TEST(repair_rules, without_a_hint_cheapest_first_then_together) {
    doctor d = with("NO APPEND failed", {repair::long_lines, repair::final_newline});
    EXPECT_EQ(d.next(), "final-newline");
    EXPECT_EQ(d.refused("NO APPEND failed"), "long-lines");
    EXPECT_EQ(d.refused("NO APPEND failed"), "final-newline, long-lines");
    EXPECT_EQ(d.refused("NO APPEND failed"), "-");
    EXPECT_EQ(incurable(d.history).message(), "The target refused; server said: NO APPEND failed. Repairs tried in "
                                              "vain: final-newline; long-lines; final-newline, long-lines");
}

TEST(repair_rules, the_tries_come_to_an_end) {
    doctor d = with("NO x", repair_set::all());
    int tries = 0;
    while (d.refused("NO x") != "-") ++tries;
    EXPECT_EQ(tries, 6);
    EXPECT_EQ(with("NO x", {}).next(), "-");
}

} // namespace
} // namespace postferry::transfer

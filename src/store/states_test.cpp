// The table of states, and that docs/states.md shows the same one.
#include "store/states.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

namespace postferry::store {
namespace {

/// As it stands in docs/states.md.
template <class E> std::string table() {
    std::string out = "| from | to |\n|---|---|\n";
    for (std::size_t i = 0; i < count_of<E>; ++i) {
        const auto from = static_cast<E>(i);
        std::string to;
        followers(from).each([&](E next) { to += fmt::format("{}{}", to.empty() ? "" : ", ", name_of(next)); });
        out += fmt::format("| {} | {} |\n", name_of(from), to.empty() ? "-" : to);
    }
    return out;
}

std::string page() {
    std::ostringstream text;
    text << std::ifstream(POSTFERRY_DOCS "/states.md").rdbuf();
    return std::move(text).str();
}

mailbox_states reachable(mailbox_state from) {
    mailbox_states seen{from};
    for (bool more = true; more;) {
        const mailbox_states before = seen;
        before.each([&](mailbox_state s) { followers(s).each([&](mailbox_state next) { seen.add(next); }); });
        more = seen != before;
    }
    return seen;
}

TEST(states, every_word_is_read_back) {
    for (std::size_t i = 0; i < count_of<mailbox_state>; ++i)
        EXPECT_EQ(parse<mailbox_state>(name_of(static_cast<mailbox_state>(i))), static_cast<mailbox_state>(i));
    for (std::size_t i = 0; i < count_of<batch_state>; ++i)
        EXPECT_EQ(parse<batch_state>(name_of(static_cast<batch_state>(i))), static_cast<batch_state>(i));
    EXPECT_EQ(parse<message_state>("failed_retryable"), message_state::failed_retryable);
    EXPECT_FALSE(parse<mailbox_state>("Draft"));
    EXPECT_FALSE(parse<mailbox_state>(""));
    EXPECT_EQ(name_of(mailbox_state::rolled_back), "rolled_back");
    EXPECT_EQ(name_of(batch_state::review_for_cutover), "review_for_cutover");
}

TEST(states, docs_show_this_very_table) {
    EXPECT_NE(page().find("\n" + table<mailbox_state>() + "\n"), std::string::npos) << "docs/states.md must hold\n"
                                                                                    << table<mailbox_state>();
    EXPECT_NE(page().find("\n" + table<batch_state>() + "\n"), std::string::npos) << "docs/states.md must hold\n"
                                                                                  << table<batch_state>();
}

TEST(states, nothing_follows_itself_and_only_an_archived_batch_is_the_end) {
    for (std::size_t i = 0; i < count_of<mailbox_state>; ++i) {
        const auto s = static_cast<mailbox_state>(i);
        EXPECT_FALSE(allowed(s, s)) << name_of(s);
        EXPECT_FALSE(followers(s).empty()) << name_of(s);
        EXPECT_TRUE(reachable(mailbox_state::draft).has(s)) << name_of(s) << " cannot be reached";
    }
    for (std::size_t i = 0; i < count_of<batch_state>; ++i) {
        const auto s = static_cast<batch_state>(i);
        EXPECT_FALSE(allowed(s, s)) << name_of(s);
        EXPECT_EQ(followers(s).empty(), s == batch_state::archived) << name_of(s);
    }
}

TEST(states, completed_comes_after_verification_only) {
    for (std::size_t i = 0; i < count_of<mailbox_state>; ++i) {
        const auto s = static_cast<mailbox_state>(i);
        if (!allowed(s, mailbox_state::completed)) continue;
        // provisioning: there is no mail to verify when a batch creates accounts only.
        EXPECT_TRUE(s == mailbox_state::verifying || s == mailbox_state::provisioning ||
                    s == mailbox_state::completed_with_exceptions)
            << name_of(s);
    }
    EXPECT_TRUE(allowed(mailbox_state::completed, mailbox_state::copying)) << "a sweep";
}

TEST(states, whatever_runs_can_be_stopped_and_taken_up_by_another_worker) {
    running_states.each([](mailbox_state s) {
        for (const auto next : {mailbox_state::queued, mailbox_state::paused, mailbox_state::cancelled,
                                mailbox_state::failed, mailbox_state::throttled, mailbox_state::needs_credentials})
            EXPECT_TRUE(allowed(s, next)) << name_of(s) << " to " << name_of(next);
    });
}

} // namespace
} // namespace postferry::store

// What a maildrop holds, and what its messages are called from pass to pass.
#include "support/maildrop_bench.hpp"

namespace postferry::mailbox {
namespace {

using namespace support;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// STAT, LIST and UIDL, as a script. @param uidls none: refused
std::string listed(std::string_view stat, std::string_view lines, std::optional<std::string_view> uidls) {
    const auto answer = [](std::string_view rows) {
        std::string out = "S: +OK\n";
        while (!rows.empty()) {
            const std::size_t end = std::min(rows.find('|'), rows.size());
            out += fmt::format("S: {}\n", rows.substr(0, end));
            rows.remove_prefix(std::min(end + 1, rows.size()));
        }
        return out + "S: .\n";
    };
    return fmt::format("C: STAT\nS: +OK {}\nC: LIST\n{}C: UIDL\n{}", stat, answer(lines),
                       uidls ? answer(*uidls) : "S: -ERR unknown command\n");
}

std::string subject(int number, std::string_view text) {
    return fmt::format("C: TOP {} 0\nS: +OK\nS: Subject: {}\nS: .\n", number, text);
}

TEST_F(maildrops, uidls_become_uids_and_stay) {
    EXPECT_THAT(play("", with(three, ""), scan()), ElementsAre("v1001 next 4 of 3: 1:3"));
    // bb was deleted by another, dd came.
    EXPECT_THAT(play("", with(listed("3 30", "1 10|2 30|3 40", "1 aa|2 cc|3 dd"), ""), scan()),
                ElementsAre("v1001 next 5 of 3: 1,3:4"));
    EXPECT_EQ(names.pages.begin()->second.entries.size(), 3U) << "bb is forgotten";
}

TEST_F(maildrops, more_messages_than_any_maildrop_has) {
    const std::string by_stat = "C: STAT\nS: +OK 3 30\nC: LIST\nS: -ERR empty\nC: UIDL\nS: -ERR empty\n";
    const std::string by_uidl = "C: STAT\nS: +OK 1 30\nC: LIST\nS: +OK\nS: 1 30\nS: .\nC: UIDL\nS: +OK\nS: 1 a\n"
                                "S: 2 b\nS: 1 c\nS: 3 d\nS: .\n";
    for (const std::string& script : {std::string(three), by_stat, by_uidl}) {
        limits.maildrop_messages = 3;
        const bool asks_for_headers = script == by_stat;
        if (!asks_for_headers) EXPECT_FALSE(once("", with(script, ""), scan()).failure) << script;
        limits.maildrop_messages = 2;
        const played out = once("", with(script, ""), scan());
        ASSERT_TRUE(out.failure) << script;
        EXPECT_EQ(out.failure->cls, retry_class::permanent);
        EXPECT_THAT(out.failure->what, HasSubstr("more messages than any maildrop has"));
        EXPECT_THAT(out.line->complaints, IsEmpty());
    }
}

TEST_F(maildrops, a_maildrop_that_shows_nothing_is_not_forgotten) {
    play("", with(three, ""), scan());
    EXPECT_THAT(play("", with(listed("0 0", "", ""), ""), scan()), ElementsAre("v1001 next 4 of 0: "));
    EXPECT_THAT(play("", with(three, ""), scan()), ElementsAre("v1001 next 4 of 3: 1:3"));
}

// docs/quirks.md#uidl-spaces, #uidl-blank, #uidl-skipped, #stat-negative
TEST_F(maildrops, odd_listings) {
    EXPECT_THAT(play("", R"(
        C: STAT
        S: +OK 5 -2147483648
        C: LIST
        S: +OK 5 messages
        S:  1   10 octets
        S: 2 20
        S: 3 30
        S: 5 50
        S: .
        C: UIDL
        S: +OK
        S: 1    aa
        S: +OK 2 bb
        S: 3
        S: 4 dd
        S: .
        C: TOP 3 0
        S: +OK
        S: Subject: c
        S: .
        C: TOP 5 0
        S: +OK
        S: Subject: e
        S: .
        C: QUIT
        S: +OK
    )",
                     scan()),
                ElementsAre("v1001 next 6 of 5: 1:5"));
    std::vector<std::string> given;
    for (const auto& e : names.pages.begin()->second.entries) given.push_back(e.name);
    EXPECT_THAT(given, ElementsAre("aa", "bb", testing::ContainsRegex("^ [0-9a-f]{32} 30$"), "dd",
                                   testing::ContainsRegex("^ [0-9a-f]{32} 50$")));
}

TEST_F(maildrops, without_uidl_headers_and_sizes_name_the_messages) {
    const std::string two = with(listed("2 20", "1 1024|2 2048", {}), subject(1, "a") + subject(2, "b"));
    EXPECT_THAT(play("", two, scan()), ElementsAre("v1001 next 3 of 2: 1:2"));
    EXPECT_THAT(play("", with(listed("2 20", "1 2048|2 1024", {}), subject(1, "b") + subject(2, "new")), scan()),
                ElementsAre("v1001 next 4 of 2: 2:3"));
    names = {};
    EXPECT_THAT(notes(two), ElementsAre(HasSubstr("gives no unique IDs (UIDL)")));
}

// docs/quirks.md#uidl-repeated
TEST_F(maildrops, messages_that_share_a_uidl_are_told_apart) {
    const std::string script =
        with(listed("3 30", "1 10|2 10|3 10", "1 same|2 same|3 other"), subject(1, "a") + subject(2, "b"));
    EXPECT_THAT(play("", script, scan()), ElementsAre("v1001 next 4 of 3: 1:3"));
    EXPECT_THAT(play("", script, scan()), ElementsAre("v1001 next 4 of 3: 1:3")) << "the same numbers again";
    EXPECT_THAT(notes(script), ElementsAre(HasSubstr("2 messages share their unique ID")));
}

TEST_F(maildrops, uidls_that_are_refused_all_of_a_sudden_stop_the_pass) {
    play("", with(three, ""), scan());
    const played p = once("", R"(
        C: STAT
        S: +OK 3 30
        C: LIST
        S: +OK
        S: 1 10
        S: .
        C: UIDL
        S: -ERR not now
    )",
                          scan());
    ASSERT_TRUE(p.failure);
    EXPECT_EQ(p.failure->cls, retry_class::transient);
    EXPECT_THAT(p.failure->what, HasSubstr("gave unique IDs (UIDL) before"));
}

TEST_F(maildrops, an_empty_maildrop_may_refuse_to_be_listed) {
    EXPECT_THAT(play("", R"(
        C: STAT
        S: +OK 0 0
        C: LIST
        S: -ERR no messages
        C: UIDL
        S: -ERR no messages
        C: QUIT
        S: +OK
    )",
                     scan()),
                ElementsAre("v1001 next 1 of 0: "));
}

} // namespace
} // namespace postferry::mailbox

// What the ledger does not know is found again on the target, as a multiset.
#include "support/pass_bench.hpp"

namespace postferry::transfer {
namespace {

using namespace support;
using testing::ElementsAre;
using testing::UnorderedElementsAreArray;

class pass_match_test : public testing::Test, public pass_bench {
  protected:
    void expect_same() { EXPECT_THAT(content(target), UnorderedElementsAreArray(content(source))); }
    /// Runs with no memory of what was before.
    std::string run_anew() {
        lose_ledger();
        const mailbox_report r = run();
        EXPECT_EQ(r.state, mailbox_state::synced);
        return sheet(r.messages);
    }
};

TEST_F(pass_match_test, a_lost_ledger_copies_nothing_twice) {
    for (int i = 0; i < 5; ++i) source.inbox().add(mail(fmt::format("{}", i)), {"\\Seen"});
    run();
    EXPECT_EQ(run_anew(), "5 = 0 + 5 + 0 + 0");
    EXPECT_EQ(source.done("fetch") + target.done("fetch"), 0U) << "a unique Message-ID decides alone";
    EXPECT_EQ(source.done("header"), 5U);
    run();
    EXPECT_THAT(source.operations, ElementsAre("list"));
    source.inbox().set_flags(2, {"\\Flagged"});
    EXPECT_EQ(run().flags_updated, 1U) << "the books know the partners";
    expect_same();
}

TEST_F(pass_match_test, repeats_are_counted) {
    for (int i = 0; i < 5; ++i) source.inbox().add(mail("same"));
    for (int i = 0; i < 3; ++i) target.inbox().add(mail("same"));
    EXPECT_EQ(run_anew(), "5 = 2 + 3 + 0 + 0");
    expect_same();
    EXPECT_EQ(run_anew(), "5 = 0 + 5 + 0 + 0");
}

TEST_F(pass_match_test, more_repeats_on_the_target_are_left_alone) {
    for (int i = 0; i < 2; ++i) source.inbox().add(mail("same"));
    for (int i = 0; i < 3; ++i) target.inbox().add(mail("same"));
    EXPECT_EQ(run_anew(), "2 = 0 + 2 + 0 + 0");
    EXPECT_EQ(target.messages(), 3U);
}

TEST_F(pass_match_test, bodies_behind_one_message_id_are_told_apart) {
    for (const char* text : {"one", "two", "two", "six"}) source.inbox().add(mail("shared", text));
    for (const char* text : {"six", "two", "ten"}) target.inbox().add(mail("shared", text));
    EXPECT_EQ(run_anew(), "4 = 2 + 2 + 0 + 0");
    EXPECT_THAT(bodies(target.inbox()),
                testing::UnorderedElementsAre(mail("shared", "six"), mail("shared", "two"), mail("shared", "ten"),
                                              mail("shared", "one"), mail("shared", "two")));
}

TEST_F(pass_match_test, a_later_version_under_one_message_id_is_another_message) {
    source.inbox().add(mail("draft", std::string(300, 'a')));
    target.inbox().add(mail("draft", "short"));
    EXPECT_EQ(run_anew(), "1 = 1 + 0 + 0 + 0");
    EXPECT_EQ(target.messages(), 2U);
}

TEST_F(pass_match_test, messages_without_header_match_by_content_only) {
    for (const char* text : {"one", "two", "two", "six"}) source.inbox().add(fmt::format("\r\n{}\r\n", text));
    for (const char* text : {"two", "ten"}) target.inbox().add(fmt::format("\r\n{}\r\n", text));
    EXPECT_EQ(run_anew(), "4 = 3 + 1 + 0 + 0");
    EXPECT_EQ(target.messages(), 5U);
    EXPECT_EQ(run_anew(), "4 = 0 + 4 + 0 + 0");
}

TEST_F(pass_match_test, equal_weak_fingerprints_match_by_content_only) {
    source.inbox().add("Subject: weak\r\n\r\none\r\n");
    target.inbox().add("Subject: weak\r\n\r\ntwo\r\n");
    EXPECT_EQ(run_anew(), "1 = 1 + 0 + 0 + 0");
    EXPECT_EQ(target.messages(), 2U);
}

TEST_F(pass_match_test, a_body_that_the_server_altered_is_still_the_same) {
    source.inbox().add("Subject: weak\r\n\r\nnul: " + std::string(1, '\0') + "\r\n");
    target.alters = [](std::string body) {
        std::ranges::replace(body, '\0', '\x80');
        return body;
    };
    run();
    EXPECT_EQ(run_anew(), "1 = 0 + 1 + 0 + 0");
    EXPECT_EQ(target.messages(), 1U);
}

TEST_F(pass_match_test, matching_takes_only_what_lies_in_the_folder) {
    source.inbox().add(mail("a"));
    target.folders["Other"].add(mail("a"));
    EXPECT_EQ(run_anew(), "1 = 1 + 0 + 0 + 0");
}

TEST_F(pass_match_test, what_the_rules_leave_out_is_not_matched) {
    options.max_octets = 100;
    source.inbox().add(mail("big", std::string(200, 'x')));
    source.inbox().add(mail("small"));
    target.inbox().add(mail("small"));
    EXPECT_EQ(run_anew(), "2 = 0 + 1 + 1 + 0");
}

// Several sources may be mapped to one target folder: each must leave the other's messages alone.
TEST_F(pass_match_test, merged_folders_keep_their_own) {
    source.folders["A"].add(mail("same"));
    source.folders["B"].add(mail("same"));
    source.folders["B"].add(mail("only"));
    options.rules.maps = {*parse_map_rule("[AB]=>Both")};
    EXPECT_EQ(run_anew(), "3 = 3 + 0 + 0 + 0");
    EXPECT_THAT(bodies(target.folders["Both"]),
                testing::UnorderedElementsAre(mail("same"), mail("same"), mail("only")));
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "3 = 0 + 3 + 0 + 0");
    source.folders["A"].add(mail("only"));
    EXPECT_EQ(sheet(run().messages), "4 = 1 + 3 + 0 + 0");
    EXPECT_EQ(target.folders["Both"].messages.size(), 4U);
}

TEST_F(pass_match_test, merged_folders_without_a_ledger_lose_nothing) {
    source.folders["A"].add(mail("same"));
    source.folders["B"].add(mail("same"));
    options.rules.maps = {*parse_map_rule("[AB]=>Both")};
    run();
    EXPECT_EQ(run_anew(), "2 = 0 + 2 + 0 + 0");
    EXPECT_EQ(target.folders["Both"].messages.size(), 2U);
    target.folders["Both"].erase(1);
    EXPECT_EQ(run_anew(), "2 = 1 + 1 + 0 + 0");
    EXPECT_EQ(target.folders["Both"].messages.size(), 2U);
}

// Each number that is asked for in vain costs.
TEST_F(pass_match_test, few_messages_under_many_numbers_are_listed_first) {
    for (const std::uint32_t next : {1'000U, 4'000'000'000U, 0U}) { // 0: the server does not tell
        pass_bench b;
        for (int i = 0; i < 3; ++i) b.source.inbox().add(mail(fmt::format("{}", i)));
        b.target.inbox().add(mail("1"));
        b.target.tells_uid_next = next != 0;
        if (next != 0) b.target.inbox().uid_next = next;
        EXPECT_EQ(sheet(b.run().messages), "3 = 2 + 1 + 0 + 0") << next;
        EXPECT_EQ(b.target.done("scan INBOX"), 1U) << next;
    }
    source.inbox().add(mail("0"));
    target.inbox().add(mail("0"));
    EXPECT_EQ(run_anew(), "1 = 0 + 1 + 0 + 0");
    EXPECT_EQ(target.done("scan"), 0U);
}

} // namespace
} // namespace postferry::transfer

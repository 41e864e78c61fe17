// Servers that refuse: one message, a batch, the quota, for a while, or by hanging up.
#include "support/pass_bench.hpp"

namespace postferry::transfer {
namespace {

using namespace support;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using testing::UnorderedElementsAreArray;

class pass_refusal_test : public testing::Test, public pass_bench {
  protected:
    /// n messages, those of `bad` say "poison".
    void fill(std::uint32_t n, const std::set<std::uint32_t>& bad = {}) {
        for (std::uint32_t uid = 1; uid <= n; ++uid)
            source.inbox().add(mail(fmt::format("in{}", uid), bad.contains(uid) ? "poison" : "good"));
    }
    /// Everything that is not poison is there exactly once, and nothing else.
    void expect_all_but_poison() {
        std::vector<std::string> good;
        for (const auto& [uid, m] : source.inbox().messages)
            if (m.body.find("poison") == std::string::npos) good.push_back(m.body);
        EXPECT_THAT(bodies(target.inbox()), UnorderedElementsAreArray(good));
    }
    /// The target takes it all now.
    void expect_closed_by_the_next_run() {
        target.refuses.clear();
        target.kills_line.clear();
        target.quota.reset();
        const mailbox_report r = run();
        EXPECT_EQ(r.state, mailbox_state::synced);
        EXPECT_EQ(r.messages.failed, 0U);
        EXPECT_THAT(r.failures, IsEmpty());
        EXPECT_THAT(content(target), UnorderedElementsAreArray(content(source)));
        run();
        EXPECT_THAT(source.operations, ElementsAre("list"));
    }
    static std::vector<std::uint32_t> failed_uids(const mailbox_report& r) {
        std::vector<std::uint32_t> out;
        for (const failure& f : r.failures) out.push_back(f.source_uid);
        return out;
    }
};

TEST_F(pass_refusal_test, a_batch_is_split_until_the_message_stands_alone) {
    target.batch_messages = 64;
    fill(64, {37});
    target.refuses = "poison";
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "64 = 63 + 0 + 0 + 1");
    EXPECT_EQ(r.state, mailbox_state::synced);
    ASSERT_EQ(r.failures.size(), 1U);
    EXPECT_EQ(r.failures[0].source_uid, 37U);
    EXPECT_EQ(r.failures[0].message_id, "<in37@old.example>");
    EXPECT_THAT(r.failures[0].reason, HasSubstr("Message is not to my liking"));
    EXPECT_GT(r.failures[0].octets, 0U);
    expect_all_but_poison();
    EXPECT_LE(source.done("fetch"), 64U + 64 + 32 + 16 + 8 + 4 + 2 + 1)
        << "each half is read once more, and the message is looked at for what might be repaired";
    EXPECT_EQ(source.logins, 1U);
    EXPECT_EQ(told_failures.size(), 1U);
    expect_closed_by_the_next_run();
}

TEST_F(pass_refusal_test, a_re_run_tries_what_failed_and_nothing_else) {
    target.batch_messages = 64;
    fill(64, {37});
    target.refuses = "poison";
    run();
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "64 = 0 + 63 + 0 + 1");
    EXPECT_EQ(source.done("fetch"), 2U) << "brought, and looked at";
    EXPECT_EQ(failed_uids(r), (std::vector<std::uint32_t>{37}));
    expect_closed_by_the_next_run();
}

TEST_F(pass_refusal_test, finds_each_of_several) {
    target.batch_messages = 16;
    fill(40, {1, 2, 16, 17, 33, 40});
    target.refuses = "poison";
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "40 = 34 + 0 + 0 + 6");
    EXPECT_THAT(failed_uids(r), UnorderedElementsAre(1, 2, 16, 17, 33, 40));
    expect_all_but_poison();
    expect_closed_by_the_next_run();
}

TEST_F(pass_refusal_test, everything_refused_is_everything_failed) {
    fill(10, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
    target.refuses = "poison";
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "10 = 0 + 0 + 0 + 10");
    EXPECT_EQ(r.mark, grade::poor);
    expect_closed_by_the_next_run();
}

TEST_F(pass_refusal_test, a_failed_message_that_vanishes_is_no_failure_any_more) {
    fill(5, {3});
    target.refuses = "poison";
    run();
    source.inbox().erase(3);
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "4 = 0 + 4 + 0 + 0");
    EXPECT_EQ(r.vanished, 1U);
    run();
    EXPECT_THAT(source.operations, ElementsAre("list"));
}

TEST_F(pass_refusal_test, a_failed_message_that_is_found_on_the_target_is_no_failure_any_more) {
    fill(5, {3});
    target.refuses = "poison";
    run();
    target.inbox().add(mail("in3", "poison")); // its owner put it there
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "5 = 0 + 5 + 0 + 0");
    EXPECT_EQ(target.inbox().messages.size(), 5U);
}

// BAD: the line goes with it, because what follows might be read as commands.
TEST_F(pass_refusal_test, bad_fails_the_message_and_the_others_arrive) {
    fill(20, {8});
    target.refuses = "poison";
    target.refuses_with = refusal(retry_class::protocol, "", "Invalid characters");
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::synced) << (r.stopped_by ? r.stopped_by->message() : "");
    EXPECT_EQ(sheet(r.messages), "20 = 19 + 0 + 0 + 1");
    EXPECT_EQ(failed_uids(r), (std::vector<std::uint32_t>{8}));
    EXPECT_THAT(r.failures.empty() ? "" : r.failures[0].reason, HasSubstr("Invalid characters"));
    EXPECT_LE(target.logins, 6U);
    expect_all_but_poison();
    expect_closed_by_the_next_run();
}

TEST_F(pass_refusal_test, bad_for_several_fails_each_of_them) {
    fill(30, {3, 4, 17, 30});
    target.refuses = "poison";
    target.refuses_with = refusal(retry_class::protocol, "", "Invalid characters");
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::synced) << (r.stopped_by ? r.stopped_by->message() : "");
    EXPECT_THAT(failed_uids(r), UnorderedElementsAre(3, 4, 17, 30));
    EXPECT_EQ(sheet(r.messages), "30 = 26 + 0 + 0 + 4");
    expect_all_but_poison();
    expect_closed_by_the_next_run();
}

TEST_F(pass_refusal_test, a_message_that_kills_the_line_fails_after_a_few_attempts) {
    for (const bool late : {false, true}) {
        SCOPED_TRACE(late ? "stores after death" : "what was not answered is not there");
        source = target = {};
        lose_ledger();
        fill(20, {8});
        target.kills_line = "poison";
        target.stores_after_death = late;
        const mailbox_report r = run();
        EXPECT_EQ(r.state, mailbox_state::synced) << (r.stopped_by ? r.stopped_by->message() : "");
        EXPECT_EQ(sheet(r.messages), "20 = 19 + 0 + 0 + 1");
        EXPECT_EQ(failed_uids(r), (std::vector<std::uint32_t>{8}));
        EXPECT_THAT(r.failures.empty() ? "" : r.failures[0].reason, HasSubstr("connection was lost"));
        EXPECT_LE(target.logins, 6U);
        expect_all_but_poison();
        expect_closed_by_the_next_run();
    }
}

TEST_F(pass_refusal_test, several_messages_that_kill_the_line) {
    fill(30, {3, 4, 17, 30});
    target.kills_line = "poison";
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::synced) << (r.stopped_by ? r.stopped_by->message() : "");
    EXPECT_THAT(failed_uids(r), UnorderedElementsAre(3, 4, 17, 30));
    expect_all_but_poison();
    expect_closed_by_the_next_run();
}

TEST_F(pass_refusal_test, a_server_that_dies_of_everything_ends_the_attempts) {
    fill(30);
    target.kills_line = "good";
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::failed);
    EXPECT_EQ(target.messages(), 0U);
    EXPECT_LE(target.logins, 40U);
    expect_closed_by_the_next_run();
}

TEST_F(pass_refusal_test, a_source_that_dies_of_one_message_brings_the_others) {
    fill(20, {8});
    source.on_operation = [&](std::string_view op) {
        if (op == "fetch INBOX 8") source.dies_at = source.count;
    };
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "20 = 19 + 0 + 0 + 1") << (r.stopped_by ? r.stopped_by->message() : "");
    EXPECT_EQ(failed_uids(r), (std::vector<std::uint32_t>{8}));
    EXPECT_LE(source.logins, 8U);
    source.on_operation = {};
    expect_all_but_poison();
    expect_closed_by_the_next_run();
}

TEST_F(pass_refusal_test, a_full_target_ends_the_mailbox_with_the_reason) {
    fill(20);
    source.folders["Other"].add(mail("other"));
    target.quota = 9;
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::failed);
    ASSERT_TRUE(r.stopped_by);
    EXPECT_EQ(r.stopped_by->response_code, "OVERQUOTA");
    EXPECT_THAT(r.stopped_by->message(), HasSubstr("raise its quota"));
    EXPECT_EQ(r.stopped_by->what, "The target refused (folder INBOX)") << "once, however many batches were under way";
    EXPECT_EQ(sheet(r.messages), "21 = 9 + 0 + 0 + 0 open 12") << "what did not fit is open, not failed";
    EXPECT_EQ(target.logins, 1U) << "it is not tried again";
    expect_closed_by_the_next_run();
}

TEST_F(pass_refusal_test, a_full_target_in_the_middle_of_a_message_that_streams) {
    fill(4);
    source.inbox().add(mail("big", std::string(5'000, 'x')));
    fill(4);
    for (std::size_t quota = 0; quota <= 8; ++quota) {
        SCOPED_TRACE(quota);
        target = {};
        lose_ledger();
        target.quota = quota;
        target.batch_messages = 1;
        const mailbox_report r = run();
        ASSERT_TRUE(r.stopped_by);
        EXPECT_EQ(r.stopped_by->response_code, "OVERQUOTA");
        EXPECT_EQ(r.messages.copied, target.messages());
        EXPECT_EQ(r.messages.failed, 0U);
        expect_closed_by_the_next_run();
    }
}

TEST_F(pass_refusal_test, a_pause_that_the_server_asks_for_is_made) {
    fill(10);
    target.throttles = 1;
    target.backoff_ms = 30;
    const auto from = std::chrono::steady_clock::now();
    const mailbox_report r = run();
    EXPECT_GE(std::chrono::steady_clock::now() - from, std::chrono::milliseconds(30));
    EXPECT_EQ(r.state, mailbox_state::synced);
    EXPECT_EQ(sheet(r.messages), "10 = 10 + 0 + 0 + 0");
    EXPECT_TRUE(
        std::ranges::any_of(told_progress, [](const progress& p) { return p.state == mailbox_state::throttled; }));
    EXPECT_EQ(target.logins, 2U);
    expect_all_but_poison();
}

TEST_F(pass_refusal_test, a_throttled_mailbox_needs_no_hand) {
    fill(10);
    options.attempts = 2;
    target.throttles = 12; // several in each attempt, and more attempts than that: it is no failure
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::synced);
    EXPECT_EQ(sheet(r.messages), "10 = 10 + 0 + 0 + 0");
    EXPECT_GE(r.throttled.times, 3U);
    EXPECT_GE(r.throttled.seconds, 0.3); // 50 ms, and more while nothing is brought
    EXPECT_EQ(r.throttled.by, "new");
    EXPECT_EQ(r.throttled.reason, "Slow down");
    const auto shown = std::ranges::find(told_progress, mailbox_state::throttled, &progress::state);
    ASSERT_NE(shown, told_progress.end());
    EXPECT_EQ(shown->throttled_by, "new");
    EXPECT_GT(shown->until_unix, 0);
    EXPECT_THAT(shown->note, HasSubstr("throttled by new until "));
    EXPECT_EQ(told_progress.back().until_unix, 0);
    expect_all_but_poison();
}

TEST_F(pass_refusal_test, without_waiting_it_ends_and_says_when_to_come_again) {
    fill(10);
    target.throttles = 1;
    target.backoff_ms = 90'000;
    options.no_wait = true;
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::throttled);
    EXPECT_EQ(r.stopped_by->cls, retry_class::throttled);
    EXPECT_THAT(r.stopped_by->advice, HasSubstr("Run the same command again after "));
    EXPECT_EQ(r.throttled.times, 0U);
    expect_closed_by_the_next_run();
}

TEST_F(pass_refusal_test, a_wrong_password_is_told_and_not_hidden_by_a_pause) {
    fill(1);
    source.refuses_login = refusal(retry_class::throttled, "LIMIT", "Slow down");
    source.refuses_login->backoff_ms = 3'600'000;
    target.refuses_login = refusal(retry_class::auth, "", "Wrong password");
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::failed);
    EXPECT_EQ(r.stopped_by->cls, retry_class::auth);
    EXPECT_THAT(r.stopped_by->message(),
                AllOf(HasSubstr("Wrong password"), HasSubstr("the source cannot be used now")));
    EXPECT_EQ(r.stopped_by->backoff_ms, 3'600'000);
}

// Whoever waits for the first word does not wait for three times the patience with a server that says nothing.
TEST_F(pass_refusal_test, a_first_connection_that_has_taken_its_time_is_not_tried_again) {
    fill(1);
    source.refuses_login = refusal(retry_class::transient, "", "no answer for 30 s");
    EXPECT_EQ(run().state, mailbox_state::failed);
    EXPECT_EQ(notes.size(), 2U) << "three attempts where it says at once that it is not there";
    notes.clear();
    options.first_patience = std::chrono::milliseconds(0);
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::failed);
    EXPECT_THAT(r.stopped_by->message(), HasSubstr("no answer for 30 s"));
    EXPECT_THAT(notes, testing::IsEmpty());
}

TEST_F(pass_refusal_test, a_wait_can_be_stopped) {
    fill(10);
    target.throttles = 1;
    target.backoff_ms = 3'600'000;
    on_progress = [this](const progress& p) {
        if (p.state == mailbox_state::throttled) running->stop();
    };
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::interrupted);
    on_progress = {};
    expect_closed_by_the_next_run();
}

// A line that dies because its server wants a pause is no message's fault: none is brought in smaller company, and none
// is suspected after it has happened often.
TEST_F(pass_refusal_test, a_pause_accuses_no_message) {
    fill(10);
    unsigned cuts = 0;
    source.on_operation = [&](std::string_view op) {
        if (op != "fetch INBOX 5" || ++cuts > 6) return;
        source.dies_at = source.count;
        source.dies_of = error{.cls = retry_class::throttled,
                               .where = phase::connect,
                               .what = "old closed the connection",
                               .server_said = "BYE Request is throttled",
                               .advice = {},
                               .response_code = {}};
    };
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::synced);
    EXPECT_EQ(sheet(r.messages), "10 = 10 + 0 + 0 + 0");
    EXPECT_EQ(r.throttled.times, 6U);
    EXPECT_EQ(r.throttled.by, "old");
}

TEST_F(pass_refusal_test, it_enters_where_there_is_room_and_leaves_while_it_waits) {
    fill(3);
    target.throttles = 1;
    target.backoff_ms = 1'500;
    unsigned entered = 0, left = 0;
    admit = [&]() -> task<result<std::shared_ptr<void>>> {
        ++entered;
        co_return std::shared_ptr<void>(&entered, [&](void*) { ++left; });
    };
    on_progress = [&](const progress& p) { // the second attempt begins
        if (p.state == mailbox_state::connecting && entered == 2) {
            EXPECT_EQ(left, 1U);
        }
    };
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::synced);
    EXPECT_EQ(entered, 2U);
    EXPECT_EQ(left, 2U);
}

TEST_F(pass_refusal_test, a_folder_that_is_deleted_under_our_hands_is_named) {
    fill(4);
    source.folders["Other"].add(mail("other"));
    target.folders["Other"];
    target.on_operation = [&](std::string_view op) {
        if (op == "store Other") target.folders.erase("Other");
    };
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::failed);
    EXPECT_EQ(sheet(r.messages), "5 = 4 + 0 + 0 + 0 open 1");
    EXPECT_THAT(r.warnings, ElementsAre(HasSubstr("Other")));
    target.on_operation = {};
    expect_closed_by_the_next_run();
}

TEST_F(pass_refusal_test, a_login_that_is_refused_is_not_tried_again) {
    fill(1);
    target.refuses_login = error{.cls = retry_class::auth,
                                 .where = phase::login,
                                 .what = "The server refused the login",
                                 .server_said = "no",
                                 .advice = {},
                                 .response_code = {}};
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::failed);
    EXPECT_EQ(r.stopped_by->cls, retry_class::auth);
    EXPECT_THAT(r.stopped_by->what, HasSubstr("target: "));
    EXPECT_EQ(source.logins, 1U);
    target.refuses_login.reset();
    expect_closed_by_the_next_run();
}

// A message that this run copied and that vanishes from the source before the next attempt sees it.
TEST_F(pass_refusal_test, what_vanishes_between_two_attempts_does_not_unbalance_the_sheet) {
    fill(9);
    bool died = false;
    target.on_operation = [&](std::string_view op) {
        if (op != "store INBOX" || target.messages() < 6 || std::exchange(died, true)) return;
        target.dies_at = target.count;
        source.inbox().erase(1);
        source.inbox().erase(9);
    };
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::synced);
    EXPECT_EQ(r.messages.residual(), 0);
    EXPECT_EQ(r.messages.source, 7U);
    EXPECT_EQ(target.messages(), 8U);
}

} // namespace
} // namespace postferry::transfer

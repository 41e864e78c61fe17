// What an end may be like, beside what it holds: flags of every kind, messages in halves, targets that nobody can look
// into, servers that take their time to say goodbye.
#include "support/pass_bench.hpp"

namespace postferry::transfer {
namespace {

using namespace support;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class pass_ends_test : public testing::Test, public pass_bench {
  protected:
    const std::vector<std::string>& flags(std::uint32_t uid) { return target.inbox().messages.at(uid).flags; }
};

// quirk exchange
TEST_F(pass_ends_test, flagged_is_set_behind_append_where_append_loses_it) {
    target.keeps_flagged = false;
    source.inbox().add(mail("a"), {"\\Flagged", "\\Seen"});
    source.inbox().add(mail("b"), {"\\Seen"});
    source.inbox().add(mail("c"), {"\\Flagged"});
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "3 = 3 + 0 + 0 + 0");
    EXPECT_EQ(r.flags_updated, 0U) << "nothing changed on the source";
    EXPECT_THAT(content(target), testing::UnorderedElementsAreArray(content(source)));
    EXPECT_EQ(target.done("store flags INBOX 1,3"), 1U);
    run();
    EXPECT_EQ(target.done("store flags"), 0U);
}

TEST_F(pass_ends_test, flagged_that_could_not_be_set_is_set_by_the_next_run) {
    target.keeps_flagged = false;
    source.inbox().add(mail("a"), {"\\Flagged", "\\Seen"});
    options.attempts = 1;
    target.on_operation = [this](std::string_view what) {
        if (what.starts_with("store flags")) target.dies_at = target.count;
    };
    EXPECT_EQ(run().state, mailbox_state::failed);
    EXPECT_THAT(flags(1), ElementsAre("\\Seen"));
    target.on_operation = {};
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::synced);
    EXPECT_EQ(r.messages.copied, 0U);
    EXPECT_THAT(flags(1), testing::UnorderedElementsAre("\\Flagged", "\\Seen"));
}

TEST_F(pass_ends_test, more_sets_of_keywords_than_are_kept) {
    options.flag_limits.sets = 3;
    for (int i = 1; i <= 6; ++i) source.inbox().add(mail(fmt::format("{}", i)), {"\\Seen", fmt::format("$k{}", i)});
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::synced);
    EXPECT_EQ(sheet(r.messages), "6 = 6 + 0 + 0 + 0");
    EXPECT_THAT(r.folders.at(0).notes, Contains(HasSubstr("more different sets of keywords than are kept")));
    EXPECT_THAT(flags(3), testing::UnorderedElementsAre("\\Seen", "$k3"));
    options.flag_limits = {};
    EXPECT_THAT(run().folders.at(0).notes, IsEmpty());
}

TEST_F(pass_ends_test, keywords_that_were_left_out_are_no_change) {
    source.condstore = false;
    options.flag_limits.sets = 3;
    for (int i = 1; i <= 5; ++i) source.inbox().add(mail(fmt::format("{}", i)), {"\\Seen", fmt::format("$k{}", i)});
    run();
    EXPECT_EQ(run().flags_updated, 0U);
    EXPECT_EQ(target.done("store flags"), 0U);
}

// quirk empty-body
TEST_F(pass_ends_test, what_came_in_halves_is_named) {
    for (int i = 1; i <= 4; ++i) source.inbox().add(mail(fmt::format("{}", i)));
    source.halves = {2, 4};
    target.refuses = "Subject: 4";
    options.repairs = {};
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "4 = 3 + 0 + 0 + 1");
    EXPECT_THAT(r.folders.at(0).notes, Contains(HasSubstr("1 messages were put together from header and text")));
    EXPECT_THAT(r.folders.at(0).notes, Contains(HasSubstr(": UID 2")));
    source.halves.clear();
    EXPECT_THAT(run().folders.at(0).notes, IsEmpty());
}

// A target that lets nobody look (LMTP) must not be given more than one message that is not on record.
TEST_F(pass_ends_test, a_target_may_wait_until_what_it_has_is_on_record) {
    target.batch_messages = 1;
    target.batches_in_flight = 0;
    std::vector<std::size_t> records;
    std::size_t calls = 0;
    books->before = [&calls](std::string_view call) -> std::optional<error> {
        calls += call == "record" ? 1U : 0U;
        return std::nullopt;
    };
    target.on_recorded = [&] { records.push_back(calls); };
    for (int i = 1; i <= 4; ++i) source.inbox().add(mail(fmt::format("{}", i)));
    EXPECT_EQ(run().state, mailbox_state::synced);
    EXPECT_THAT(records, ElementsAre(1, 2, 3, 4));
}

TEST_F(pass_ends_test, books_that_fail_end_the_wait_for_them) {
    target.batch_messages = 1;
    target.on_recorded = [] {};
    books->before = [](std::string_view call) -> std::optional<error> {
        if (call != "record") return std::nullopt;
        return fail(retry_class::local, phase::ledger, "disk full").error();
    };
    for (int i = 1; i <= 4; ++i) source.inbox().add(mail(fmt::format("{}", i)));
    const mailbox_report r = run();
    ASSERT_TRUE(r.stopped_by);
    EXPECT_EQ(r.stopped_by->what, "disk full");
}

TEST_F(pass_ends_test, nobody_waits_for_goodbyes_that_others_take_over) {
    std::vector<std::unique_ptr<mailbox::source>> leaving;
    see_off = [&leaving](std::unique_ptr<mailbox::source> end) { leaving.push_back(std::move(end)); };
    source.inbox().add(mail("a"));
    source.leaves_by_itself = true; // the target's is waited for: something may depend on it
    EXPECT_EQ(run().state, mailbox_state::synced);
    EXPECT_EQ(leaving.size(), 1U);
    EXPECT_EQ(source.left, 0U);
    EXPECT_EQ(target.left, 1U);
    target.leaves_by_itself = true;
    leaving.clear();
    EXPECT_EQ(run().state, mailbox_state::synced);
    EXPECT_EQ(leaving.size(), 2U);
    EXPECT_TRUE(plan());
    EXPECT_EQ(verify().state, mailbox_state::completed);
    EXPECT_EQ(leaving.size(), 6U);
}

// The place at the server is wanted for the next attempt at once.
TEST_F(pass_ends_test, between_attempts_goodbyes_are_waited_for) {
    std::size_t seen_off = 0;
    see_off = [&seen_off](std::unique_ptr<mailbox::source>) { ++seen_off; };
    source.leaves_by_itself = target.leaves_by_itself = true;
    source.inbox().add(mail("a"));
    source.dies_at = 3;
    EXPECT_EQ(run().state, mailbox_state::synced);
    EXPECT_EQ(source.logins, 2U);
    EXPECT_EQ(source.left, 1U);
    EXPECT_EQ(seen_off, 2U);
}

} // namespace
} // namespace postferry::transfer

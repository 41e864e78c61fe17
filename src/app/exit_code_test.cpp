#include "app/exit_code.hpp"
#include "app/sample_reports.hpp"

#include <gtest/gtest.h>

namespace postferry::app {
namespace {

using transfer::mailbox_report;

template <class... Results> int code_of(const Results&... results) {
    exit_tally tally;
    (tally.add(results), ...);
    return tally.code();
}

mailbox_report stopped(retry_class cls, phase where, std::uint64_t copied = 0) {
    mailbox_report r = samples::wrong_password();
    r.stopped_by->cls = cls;
    r.stopped_by->where = where;
    r.messages = {.source = copied, .copied = copied};
    return r;
}

TEST(exit_code, before_the_start) {
    const auto code = [](retry_class cls, phase where) { return exit_code_of(fail(cls, where, "x").error()); };
    EXPECT_EQ(code(retry_class::config, phase::usage), 2);
    EXPECT_EQ(code(retry_class::config, phase::ledger), 2);
    EXPECT_EQ(code(retry_class::local, phase::ledger), 5);
    EXPECT_EQ(code(retry_class::config, phase::resolve), 3);
    EXPECT_EQ(code(retry_class::config, phase::tls), 3);
    EXPECT_EQ(code(retry_class::auth, phase::login), 3);
    EXPECT_EQ(code(retry_class::cancelled, phase::usage), 130);
}

TEST(exit_code, done) {
    EXPECT_EQ(code_of(), 0);
    EXPECT_EQ(code_of(samples::synced(), samples::verified()), 0);
    auto waived = samples::with_failures();
    waived.failures.erase(waived.failures.begin());
    waived.messages = {.source = 1, .failed = 1};
    EXPECT_EQ(code_of(waived), 0); // waived items are named, and allowed
}

TEST(exit_code, incomplete) {
    EXPECT_EQ(code_of(samples::synced(), samples::with_failures()), 1);
    EXPECT_EQ(code_of(samples::synced(), samples::wrong_password()), 1); // one endpoint of several down
    auto residual = samples::synced();
    ++residual.messages.source;
    EXPECT_EQ(code_of(residual), 1);
    auto unlisted = samples::synced();
    unlisted.messages = {.source = 1, .failed = 1}; // counted, but its reason was not kept
    EXPECT_EQ(code_of(unlisted), 1);
    auto missing = samples::verified();
    missing.verify->missing = 1;
    EXPECT_EQ(code_of(missing), 1);
    auto different = samples::verified();
    different.verify->different = 1;
    EXPECT_EQ(code_of(different), 1);
    auto waived = samples::with_failures(); // one is, the other is not
    waived.failures[0].waived = true;
    EXPECT_EQ(code_of(waived), 0);
    waived.verify = transfer::verify_report{.missing = 2};
    EXPECT_EQ(code_of(waived), 0);
    waived.verify->missing = 3;
    EXPECT_EQ(code_of(waived), 1);
    EXPECT_EQ(code_of(samples::with_deletions()), 1); // something that was to be deleted stays
    auto folder = samples::synced();
    folder.folders[0].state = "failed";
    EXPECT_EQ(code_of(folder), 1);
    auto interrupted = samples::synced();
    interrupted.state = transfer::mailbox_state::interrupted;
    EXPECT_EQ(code_of(interrupted), 1);
    // The connection went in the middle and would not come back.
    EXPECT_EQ(code_of(stopped(retry_class::transient, phase::connect, 7)), 1);
    EXPECT_EQ(code_of(stopped(retry_class::permanent, phase::list)), 1);
}

TEST(exit_code, nothing_could_start) {
    EXPECT_EQ(code_of(samples::wrong_password()), 3);
    EXPECT_EQ(code_of(stopped(retry_class::config, phase::tls), stopped(retry_class::config, phase::resolve)), 3);
}

TEST(exit_code, a_budget_or_a_pause_that_was_not_waited_for) {
    auto come_again = stopped(retry_class::throttled, phase::fetch, 7);
    come_again.state = transfer::mailbox_state::throttled;
    EXPECT_EQ(code_of(come_again), 4);
    EXPECT_EQ(code_of(samples::synced(), come_again), 4);
    EXPECT_EQ(code_of(samples::with_failures(), come_again), 1);
    auto before_login = stopped(retry_class::throttled, phase::login);
    before_login.state = transfer::mailbox_state::throttled;
    EXPECT_EQ(code_of(before_login), 4);
    EXPECT_EQ(code_of(samples::wrong_password(), before_login), 1);
}

TEST(exit_code, local_trouble_and_signals_go_before_the_rest) {
    EXPECT_EQ(code_of(samples::synced(), stopped(retry_class::local, phase::ledger, 7)), 5);
    exit_tally tally;
    tally.add(samples::with_failures());
    tally.local_trouble();
    EXPECT_EQ(tally.code(), 5);
    tally.signalled(2);
    EXPECT_EQ(tally.code(), 130);
    tally.signalled(15);
    EXPECT_EQ(tally.code(), 143);
}

TEST(exit_code, plan_and_check) {
    EXPECT_EQ(code_of(samples::planned()), 0);
    EXPECT_EQ(code_of(samples::not_planned()), 3);
    EXPECT_EQ(code_of(samples::planned(), samples::not_planned()), 1);
    EXPECT_EQ(code_of(samples::ready(), samples::with_warnings()), 0);
    EXPECT_EQ(code_of(samples::not_ready()), 3);
    EXPECT_EQ(code_of(samples::ready(), samples::not_ready()), 1);
    auto quota_failed = samples::not_ready();
    quota_failed.target.steps[1].where = phase::list;
    EXPECT_EQ(code_of(quota_failed), 1);
}

} // namespace
} // namespace postferry::app

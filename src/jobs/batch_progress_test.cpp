#include "jobs/batch_progress.hpp"
#include "jobs/eta.hpp"

#include <gtest/gtest.h>

namespace postferry::jobs {
namespace {

using store::batch_state;
using store::mailbox_state;

std::vector<store::batch_tally> tally(std::initializer_list<mailbox_state> states) {
    std::vector<store::batch_tally> out;
    for (const mailbox_state s : states) out.push_back({.state = s, .mailboxes = 2});
    return out;
}

TEST(jobs_batch_progress, is_in_step_when_nothing_waits_or_runs) {
    using enum mailbox_state;
    EXPECT_EQ(next_state(batch_state::syncing, tally({synced, queued})), std::nullopt);
    EXPECT_EQ(next_state(batch_state::syncing, tally({synced, ready})), std::nullopt);
    EXPECT_EQ(next_state(batch_state::syncing, tally({synced, cancelled})), batch_state::synced);
    EXPECT_EQ(next_state(batch_state::synced, tally({synced, copying})), std::nullopt) << "a delta";
    EXPECT_EQ(next_state(batch_state::syncing, {}), std::nullopt);
}

TEST(jobs_batch_progress, asks_for_a_look_when_something_failed) {
    using enum mailbox_state;
    for (const mailbox_state trouble : {failed, needs_credentials, paused, invalid})
        EXPECT_EQ(next_state(batch_state::syncing, tally({synced, trouble})), batch_state::review_for_cutover);
    EXPECT_EQ(next_state(batch_state::review_for_cutover, tally({synced})), batch_state::synced);
    EXPECT_EQ(next_state(batch_state::cutting_over, tally({completed, failed})), batch_state::review_for_cutover);
}

TEST(jobs_batch_progress, is_completed_when_all_of_it_is) {
    using enum mailbox_state;
    EXPECT_EQ(next_state(batch_state::cutting_over, tally({synced})), std::nullopt) << "its last pass is to come";
    EXPECT_EQ(next_state(batch_state::cutting_over, tally({completed, verifying})), std::nullopt);
    EXPECT_EQ(next_state(batch_state::cutting_over, tally({completed, completed_with_exceptions, cancelled})),
              batch_state::completed);
    EXPECT_EQ(next_state(batch_state::syncing, tally({completed})), batch_state::completed) << "accounts only";
}

TEST(jobs_batch_progress, leaves_what_somebody_has_stopped) {
    for (const batch_state s :
         {batch_state::stopped, batch_state::draft, batch_state::archived, batch_state::completed})
        EXPECT_EQ(next_state(s, tally({mailbox_state::synced})), std::nullopt);
}

store::batch_tally part(mailbox_state s, std::uint64_t mailboxes, std::uint64_t source, std::uint64_t copied,
                        std::uint64_t octets) {
    return {.state = s,
            .mailboxes = mailboxes,
            .counts = {.messages_source = source, .messages_copied = copied, .octets_copied = octets}};
}

TEST(jobs_eta, an_even_pace_gives_a_narrow_band) {
    pace_meter meter;
    EXPECT_FALSE(meter.now());
    for (int i = 0; i <= 20; ++i) meter.add(i * 5'000, static_cast<std::uint64_t>(i) * 5'000'000);
    ASSERT_TRUE(meter.now());
    EXPECT_NEAR(meter.now()->octets_per_second, 1e6, 1);
    const auto left = left_of({part(mailbox_state::copying, 1, 100, 60, 60'000'000)});
    ASSERT_TRUE(left);
    EXPECT_DOUBLE_EQ(left->octets, 40e6);
    const auto eta = eta_of(left, meter.now());
    ASSERT_TRUE(eta);
    EXPECT_NEAR(eta->likely, 40, 0.1);
    EXPECT_NEAR(eta->most - eta->least, 0, 1);
}

TEST(jobs_eta, a_pace_that_swings_gives_a_wide_one) {
    pace_meter meter;
    std::uint64_t octets = 0;
    for (int i = 0; i <= 40; ++i) meter.add(i * 5'000, octets += i % 2 == 0 ? 1'000'000 : 9'000'000);
    const auto eta = eta_of(work_left{.octets = 100e6}, meter.now());
    ASSERT_TRUE(eta);
    EXPECT_LT(eta->least, eta->likely * 0.7);
    EXPECT_GT(eta->most, eta->likely * 2);
}

TEST(jobs_eta, old_samples_fade) {
    pace_meter meter;
    for (int i = 0; i <= 10; ++i) meter.add(i * 5'000, static_cast<std::uint64_t>(i) * 50'000'000);
    for (int i = 11; i <= 300; ++i) meter.add(i * 5'000, 500'000'000 + static_cast<std::uint64_t>(i - 10) * 5'000'000);
    EXPECT_NEAR(meter.now()->octets_per_second, 1e6, 1e3);
    meter.add(301 * 5'000, 0); // begun anew
    EXPECT_NEAR(meter.now()->octets_per_second, 1e6, 1e3);
}

TEST(jobs_eta, what_nobody_has_looked_into_is_guessed_from_the_others) {
    const auto left =
        left_of({part(mailbox_state::synced, 10, 1'000, 1'000, 1'000'000), part(mailbox_state::queued, 5, 0, 0, 0)});
    ASSERT_TRUE(left);
    EXPECT_DOUBLE_EQ(left->octets, 500e3);
    EXPECT_TRUE(left->guessed);
    EXPECT_FALSE(left_of({part(mailbox_state::queued, 5, 0, 0, 0)})) << "nobody knows";
    EXPECT_EQ(left_of({part(mailbox_state::synced, 5, 10, 10, 10)})->octets, 0);
}

} // namespace
} // namespace postferry::jobs

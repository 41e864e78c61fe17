#include "jobs/decide.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::jobs {
namespace {

using store::batch_state;
using store::mailbox_state;
using testing::HasSubstr;
using testing::Optional;
using transfer::pass_kind;
using how = pass_end::how;

class jobs_decide : public testing::Test {
  protected:
    jobs_decide() {
        s_.mailbox.id = 64;
        s_.mailbox.state = mailbox_state::copying;
        s_.now = 1'000'000;
    }
    decision after(how what, retry_class cls = retry_class::permanent) {
        pass_end end{.what = what};
        if (what == how::failed)
            end.why = error{.cls = cls, .what = "it broke", .server_said = {}, .advice = {}, .response_code = {}};
        return after_pass(s_, end);
    }
    situation s_;
};

TEST_F(jobs_decide, a_copy_is_synced_and_says_when_the_next_one_comes) {
    auto d = after(how::done);
    EXPECT_EQ(d.change.to, mailbox_state::synced);
    EXPECT_EQ(d.change.due, std::nullopt);
    EXPECT_EQ(d.change.next_pass, "delta");
    s_.settings.delta_every_minutes = 60;
    d = after(how::done);
    EXPECT_THAT(d.change.due, Optional(s_.now + 3'600'000));
    EXPECT_EQ(d.change.until, d.change.due);
}

TEST_F(jobs_decide, a_delta_waits_for_a_window) {
    s_.now = 1'795'370'400'000; // 2026-11-22, a Sunday, 18:00 UTC
    s_.settings.delta_every_minutes = 60;
    s_.settings.windows = {{.days = 0x7F, .from_minute = 22 * 60, .to_minute = 6 * 60}};
    EXPECT_THAT(after(how::done).change.due, Optional(s_.now + 4 * 3'600'000));
}

TEST_F(jobs_decide, the_last_copy_is_verified_at_once) {
    for (const pass_kind last : {pass_kind::final, pass_kind::sweep}) {
        s_.kind = last;
        const auto d = after(how::done);
        EXPECT_EQ(d.change.to, mailbox_state::verifying);
        EXPECT_EQ(d.go_on, pass_kind::verify);
    }
}

TEST_F(jobs_decide, a_pass_that_began_before_the_cutover_is_not_the_last) {
    s_.kind = pass_kind::delta;
    s_.batch = batch_state::cutting_over;
    const auto d = after(how::done);
    EXPECT_EQ(d.change.to, mailbox_state::queued);
    EXPECT_THAT(d.change.next_pass, Optional(std::string("final")));
    EXPECT_THAT(d.change.due, Optional(s_.now));
    EXPECT_EQ(d.go_on, std::nullopt);
}

TEST_F(jobs_decide, a_pass_whose_hours_are_over_waits_for_the_next_ones) {
    s_.now = 1'795'370'400'000; // 2026-11-22, a Sunday, 18:00 UTC
    s_.settings.windows = {{.days = 0x7F, .from_minute = 22 * 60, .to_minute = 6 * 60}};
    const auto d = after(how::stopped);
    EXPECT_EQ(d.change.to, mailbox_state::paused);
    EXPECT_EQ(d.change.reason, "window");
    EXPECT_THAT(d.change.due, Optional(s_.now + 4 * 3'600'000));
}

TEST_F(jobs_decide, only_what_is_proven_is_completed) {
    s_.kind = pass_kind::verify;
    s_.mailbox.state = mailbox_state::verifying;
    pass_end end{.what = how::done, .proven = true};
    EXPECT_EQ(after_pass(s_, end).change.to, mailbox_state::completed);
    end.counts.messages_failed = 1;
    EXPECT_EQ(after_pass(s_, end).change.to, mailbox_state::completed_with_exceptions);
    end = {.what = how::done, .proven = false};
    EXPECT_EQ(after_pass(s_, end).change.to, mailbox_state::completed_with_exceptions);
    EXPECT_THAT(after_pass(s_, end).change.reason, HasSubstr("differences"));
}

TEST_F(jobs_decide, what_is_waived_holds_nothing_up) {
    s_.kind = pass_kind::verify;
    s_.mailbox.state = mailbox_state::verifying;
    pass_end end{.what = how::done, .proven = true, .waived = 2};
    end.counts.messages_failed = 2;
    EXPECT_EQ(after_pass(s_, end).change.to, mailbox_state::completed);
    EXPECT_THAT(after_pass(s_, end).change.reason, HasSubstr("2 messages left behind and waived"));
    end.counts.messages_failed = 3;
    EXPECT_EQ(after_pass(s_, end).change.to, mailbox_state::completed_with_exceptions);
}

TEST_F(jobs_decide, none_is_said_for_deltas) {
    s_.settings.delta_every_minutes = 0;
    EXPECT_EQ(after(how::done).change.due, std::nullopt);
}

TEST_F(jobs_decide, a_refused_login_asks_for_credentials) {
    const auto d = after(how::failed, retry_class::auth);
    EXPECT_EQ(d.change.to, mailbox_state::needs_credentials);
    EXPECT_EQ(d.change.due, std::nullopt);
    EXPECT_THAT(d.change.reason, HasSubstr("it broke"));
}

TEST_F(jobs_decide, what_may_pass_is_tried_again_and_not_for_ever) {
    s_.settings.retries = 2;
    s_.failures_in_a_row = 1;
    auto d = after(how::failed, retry_class::transient);
    EXPECT_EQ(d.change.to, mailbox_state::queued);
    EXPECT_THAT(d.change.due, Optional(s_.now + 30'000));
    EXPECT_EQ(d.change.next_pass, "bulk");
    s_.failures_in_a_row = 2;
    EXPECT_THAT(after(how::failed, retry_class::transient).change.due, Optional(s_.now + 60'000));
    s_.failures_in_a_row = 3;
    EXPECT_EQ(after(how::failed, retry_class::transient).change.to, mailbox_state::failed);
    s_.failures_in_a_row = 1;
    EXPECT_EQ(after(how::failed, retry_class::config).change.to, mailbox_state::failed);
}

TEST_F(jobs_decide, pauses_grow_are_bounded_and_do_not_fall_together) {
    EXPECT_EQ(pause_before(1, 0), 30'000);
    EXPECT_EQ(pause_before(4, 0), 240'000);
    EXPECT_EQ(pause_before(40, 0), 3'600'000);
    EXPECT_EQ(pause_before(1, 32), 30'000 + 3'750);
}

TEST_F(jobs_decide, a_throttled_one_comes_back_when_it_may) {
    pass_end end{.what = how::throttled, .until = s_.now + 5'000, .throttled_by = "old.example.org:993"};
    const auto d = after_pass(s_, end);
    EXPECT_EQ(d.change.to, mailbox_state::throttled);
    EXPECT_THAT(d.change.due, Optional(s_.now + 5'000));
    EXPECT_EQ(d.change.throttled_by, "old.example.org:993");
    end.until = s_.now - 10; // never at once, whatever the server says
    EXPECT_THAT(after_pass(s_, end).change.due, Optional(s_.now + 1'000));
}

TEST_F(jobs_decide, a_stopped_worker_leaves_it_to_the_next_and_a_pause_stands) {
    EXPECT_EQ(after(how::stopped).change.to, mailbox_state::queued);
    EXPECT_THAT(after(how::stopped).change.due, Optional(s_.now));
    s_.mailbox.state = mailbox_state::paused;
    s_.mailbox.reason = "manual";
    s_.settings.delta_every_minutes = 60;
    for (const how what : {how::stopped, how::done, how::failed, how::throttled}) {
        const auto d = after(what, retry_class::transient);
        EXPECT_EQ(d.change.to, mailbox_state::paused);
        EXPECT_EQ(d.change.due, std::nullopt);
        EXPECT_EQ(d.change.reason, "manual");
        EXPECT_EQ(d.go_on, std::nullopt);
    }
}

TEST_F(jobs_decide, knows_the_pass_that_is_due) {
    store::migration m;
    EXPECT_EQ(next_pass_of(m), pass_kind::bulk);
    m.next_pass = "sweep";
    EXPECT_EQ(next_pass_of(m), pass_kind::sweep);
}

} // namespace
} // namespace postferry::jobs

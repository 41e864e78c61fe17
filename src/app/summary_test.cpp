#include "app/sample_reports.hpp"
#include "app/summary.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::app {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(summary, one_mailbox_done) {
    summary s(command::copy);
    s.add(samples::synced());
    EXPECT_EQ(s.text(0, "", "", 12.34),
              "imaps://alice@old -> imaps://alice@new: done in 12 s\n"
              "  5,000 messages on the source = 4,820 copied (140 MB) + 180 present already + 0 skipped by rule + 0 "
              "failed; nothing is "
              "unaccounted for\n"
              "  flags brought up to date on 7 messages\n"
              "  grade: perfect\n"
              "Run it again at any time for what is new; postferry verify proves that the copy is identical.\n");
}

TEST(summary, what_was_not_done_is_named) {
    summary s(command::migrate);
    s.add(samples::synced());
    s.add(samples::with_failures());
    s.add(samples::wrong_password());
    s.rows_skipped(1);
    const auto text = s.text(1, "r.json", "", 60);
    for (const char* part :
         {"1 of 3 mailboxes done in 1 min 00 s\n", "  skipped: 6 messages by --max-size 25 MB\n",
          "  3 messages vanished from the source", "  keywords that the target does not keep: Project/X\n",
          "  1 failure waived\n", "  note: 12 dates are stored differently by the target\n",
          "  1 faulty row left out (--skip-invalid)\n", "  grade: 1 perfect, 1 investigate, 1 not started\n",
          "1 mailbox stopped early:\n  imaps://alice@old: the server refused the login of alice; server said: "
          "Authentication failed. Check user name and password\n",
          "1 message failed:\n  imaps://bob@old: Archive/2019",
          "UID 4711, 61 MB, <big@example.org>: server said: [LIMIT]", "Report: r.json\n",
          "Run it again: it copies only what is missing."})
        EXPECT_THAT(text, HasSubstr(part));
    EXPECT_THAT(text, Not(HasSubstr("body is empty"))); // waived
}

TEST(summary, a_residual_cannot_be_overlooked) {
    auto r = samples::synced();
    r.messages.copied -= 3;
    summary s(command::copy);
    s.add(r);
    EXPECT_THAT(s.text(1, "", "", 1), HasSubstr("3 NOT ACCOUNTED FOR"));
}

TEST(summary, what_a_stopped_mailbox_had_before_it_is_to_be_done_not_lost) {
    auto r = samples::synced();
    r.messages.copied -= 3000;
    r.state = transfer::mailbox_state::interrupted;
    r.mark = transfer::grade::poor;
    r.stopped_by = error{.cls = retry_class::cancelled,
                         .where = phase::usage,
                         .what = "Stopped on request",
                         .server_said = {},
                         .advice = {},
                         .response_code = {}};
    summary s(command::copy);
    s.add(r);
    EXPECT_THAT(s.text(130, "", "", 1), HasSubstr("5,000 messages on the source = 1,820 copied (140 MB) + 180 present "
                                                  "already + 0 skipped by rule + 0 failed + 3,000 still to do\n"));
    EXPECT_THAT(s.text(130, "", "", 1), Not(HasSubstr("grade")));
    auto odd = samples::synced();
    odd.messages.copied -= 2;
    s.add(odd);
    EXPECT_THAT(s.text(130, "", "", 1), HasSubstr(" + 3,000 still to do; 2 NOT ACCOUNTED FOR\n"));
    EXPECT_THAT(s.text(130, "", "", 1), HasSubstr("  grade: 1 perfect, 1 interrupted\n"));
}

TEST(summary, an_interrupted_run_adds_up_and_does_not_hide_what_failed) {
    summary s(command::migrate, 1000);
    auto told_to_stop = samples::synced();
    told_to_stop.stopped_by = samples::wrong_password().stopped_by;
    told_to_stop.stopped_by->cls = retry_class::cancelled;
    told_to_stop.stopped_by->where = phase::usage;
    for (int i = 0; i < 30; ++i) s.add(told_to_stop);
    s.add(samples::wrong_password());
    for (int i = 0; i < 100; ++i) s.add(samples::synced());
    const auto text = s.text(130, "", "", 1);
    EXPECT_THAT(text, HasSubstr("100 of 1,000 mailboxes done"));
    EXPECT_THAT(text, HasSubstr("  grade: 100 perfect, 1 not started, 30 interrupted, 869 not begun\n"));
    EXPECT_THAT(text, HasSubstr("1 mailbox stopped early:\n  imaps://alice@old: the server refused"));
}

TEST(summary, shows_twenty_failures_and_says_where_the_others_are) {
    auto r = samples::with_failures();
    r.failures.assign(50, r.failures[0]);
    summary s(command::copy);
    for (int i = 0; i < 3; ++i) s.add(r);
    const auto lines = [](const std::string& text) {
        std::size_t n = 0;
        for (std::size_t at = text.find("UID 4711"); at != std::string::npos; at = text.find("UID 4711", at + 1)) ++n;
        return n;
    };
    EXPECT_EQ(lines(s.text(1, "", "", 1)), summary::shown_failures);
    EXPECT_THAT(s.text(1, "r.json", "x.log", 1), HasSubstr("150 messages failed:"));
    EXPECT_THAT(s.text(1, "r.json", "x.log", 1), HasSubstr("and 130 more; all of them are in r.json\n"));
    EXPECT_THAT(s.text(1, "", "x.log", 1), HasSubstr("and 130 more; all of them are in x.log\n"));
    EXPECT_THAT(s.text(1, "", "", 1), HasSubstr("and 130 more; run again with --report FILE.json"));
}

TEST(summary, a_proof_says_what_was_proven) {
    summary s(command::verify);
    s.add(samples::verified());
    EXPECT_THAT(
        s.text(0, "", "", 1),
        HasSubstr("content compared: 4,998 identical, 0 missing, 0 different, 2 altered by the server, 1 only on the "
                  "target, 4 changed by their owners since\n"));
    EXPECT_THAT(s.text(0, "", "", 1), HasSubstr("Proven: everything on the source is on the target."));
}

TEST(summary, repairs_are_named_and_counted) {
    auto r = samples::synced();
    r.repairs = {{"nul", 2}};
    summary s(command::copy);
    s.add(r);
    EXPECT_THAT(s.text(0, "", "", 1), HasSubstr("  repaired: 2 messages by nul\n"));
    auto proof = samples::verified();
    proof.verify->altered_by_repair = 2;
    summary proven(command::verify);
    proven.add(proof);
    EXPECT_THAT(proven.text(0, "", "", 1), HasSubstr("1 only on the target, 2 repaired, 4 changed"));
}

TEST(summary, each_exit_code_has_its_advice) {
    summary s(command::copy);
    s.add(samples::wrong_password());
    EXPECT_THAT(s.text(3, "", "", 1), HasSubstr("postferry check shows step by step what is wrong."));
    EXPECT_THAT(s.text(3, "", "", 1), Not(HasSubstr("0 messages on the source")));
    EXPECT_THAT(s.text(3, "", "", 1), Not(HasSubstr("grade")));
    EXPECT_THAT(s.text(5, "", "", 1), HasSubstr("The state is safe."));
    EXPECT_THAT(s.text(130, "", "", 1), HasSubstr("Stopped on request."));
    EXPECT_THAT(s.text(143, "", "", 1), HasSubstr("Stopped on request."));
}

} // namespace
} // namespace postferry::app

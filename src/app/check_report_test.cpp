#include "app/check_report.hpp"
#include "app/sample_reports.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::app {
namespace {

using testing::HasSubstr;

TEST(check_report, verdicts) {
    EXPECT_EQ(verdict_of(samples::ready()), check_verdict::ready);
    EXPECT_EQ(verdict_of(samples::with_warnings()), check_verdict::warnings);
    EXPECT_EQ(verdict_of(samples::not_ready()), check_verdict::not_ready);
    auto step = samples::ready();
    step.source.steps[0].state = step_state::warning;
    EXPECT_EQ(verdict_of(step), check_verdict::warnings);
    auto oversize = samples::ready();
    oversize.oversize->count = 1;
    EXPECT_EQ(verdict_of(oversize), check_verdict::warnings);
    auto note = samples::ready();
    note.collisions = {{.sources = {"A", "a"}, .target = "A", .how = "differ only in case", .fatal = false}};
    EXPECT_EQ(verdict_of(note), check_verdict::ready);
    note.collisions[0].fatal = true;
    EXPECT_EQ(verdict_of(note), check_verdict::warnings);
}

TEST(check_report, a_quota_counts_only_when_it_is_too_small) {
    auto c = samples::ready();
    c.target.quotas = {{.root = "", .used_octets = 0, .limit_octets = 145'000'000}};
    EXPECT_EQ(verdict_of(c), check_verdict::ready);
    c.target.quotas[0].used_octets = 1;
    EXPECT_EQ(verdict_of(c), check_verdict::warnings);
    EXPECT_THAT(text_of(c), HasSubstr("the quota of the target leaves 145 MB"));
    c.target.quotas[0] = {.root = "", .used_octets = 20, .limit_octets = 10}; // over it already
    EXPECT_EQ(verdict_of(c), check_verdict::warnings);
}

TEST(check_report, reads_like_this) {
    EXPECT_EQ(
        text_of(samples::not_ready()),
        "imaps://alice@old -> imaps://alice@new\n"
        "  source imaps://alice@old\n"
        "    ok   resolve      192.0.2.1\n"
        "    ok   login        alice by SCRAM-SHA-256\n"
        "    quirk dovecot (its greeting says \"Dovecot\"): takes commands of 64 kB\n"
        "    limits: preset gmail (host imap.gmail.com): 15 connections an account, 2.5 GB a day from the account\n"
        "  target imaps://alice@new\n"
        "    ok   resolve      192.0.2.1\n"
        "    FAIL login        the server refused the login of alice. Check user name and password\n"
        "    -    quota        \n"
        "    quirk dovecot (its greeting says \"Dovecot\"): takes commands of 64 kB\n"
        "    limits: preset gmail (host imap.gmail.com): 15 connections an account, 2.5 GB a day from the account\n"
        "  not ready: what failed above must be put right first\n");
    const auto text = text_of(samples::with_warnings());
    for (const char* part : {"quota of the mailbox: 900 MB of 1.0 GB used", "takes messages up to 25 MB",
                             "2 messages larger than 25 MB (the largest has 61 MB)", "collision: A, a and A: same name",
                             "note: Courier moves", "5,000 messages in 10 folders, 145 MB", "ready, with warnings"})
        EXPECT_THAT(text, HasSubstr(part));
}

} // namespace
} // namespace postferry::app

#include "transfer/report.hpp"

#include <gtest/gtest.h>

namespace postferry::transfer {
namespace {

mailbox_report report_of(std::uint64_t source, std::uint64_t failed = 0) {
    mailbox_report report;
    report.state = mailbox_state::synced;
    report.messages = {.source = source, .copied = source - failed, .present = 0, .skipped = 0, .failed = failed};
    return report;
}

TEST(grade_of, perfect_is_everything_as_it_was) {
    EXPECT_EQ(grade_of(report_of(0)), grade::perfect);
    EXPECT_EQ(grade_of(report_of(5000)), grade::perfect);
    auto report = report_of(5000);
    report.verify = verify_report{.identical = 5000, .changed_since = 3};
    report.vanished = 2;
    report.skip_rules = {{"--since", 0}};
    EXPECT_EQ(grade_of(report), grade::perfect);
}

TEST(grade_of, good_has_named_harmless_differences) {
    auto skipped = report_of(100);
    skipped.messages.copied = 90;
    skipped.messages.skipped = 10;
    EXPECT_EQ(grade_of(skipped), grade::good);
    auto keywords = report_of(100);
    keywords.keywords_dropped = {"Work"};
    EXPECT_EQ(grade_of(keywords), grade::good);
    auto warned = report_of(100);
    warned.warnings = {"3 dates"};
    EXPECT_EQ(grade_of(warned), grade::good);
    auto extra = report_of(100);
    extra.verify = verify_report{.identical = 100, .extra = 1};
    EXPECT_EQ(grade_of(extra), grade::good);
}

TEST(grade_of, waived_failures_are_good) {
    auto report = report_of(20, 2);
    report.failures.resize(2);
    for (failure& f : report.failures) f.waived = true;
    EXPECT_EQ(grade_of(report), grade::good);
    report.verify = verify_report{.identical = 18, .missing = 2};
    EXPECT_EQ(grade_of(report), grade::good);
    report.failures[1].waived = false;
    EXPECT_EQ(grade_of(report), grade::poor);
}

TEST(grade_of, investigate_is_one_in_a_thousand_and_ten_at_most) {
    EXPECT_EQ(grade_of(report_of(1000, 1)), grade::investigate);
    EXPECT_EQ(grade_of(report_of(999, 1)), grade::poor);
    EXPECT_EQ(grade_of(report_of(1'000'000, 10)), grade::investigate);
    EXPECT_EQ(grade_of(report_of(1'000'000, 11)), grade::poor);
    auto altered = report_of(10);
    altered.verify = verify_report{.identical = 9, .altered_by_server = 1};
    EXPECT_EQ(grade_of(altered), grade::investigate);
}

TEST(grade_of, what_verify_misses_counts_as_failed_once) {
    auto report = report_of(1000);
    report.verify = verify_report{.identical = 999, .missing = 1};
    EXPECT_EQ(grade_of(report), grade::investigate);
    report.verify = verify_report{.identical = 998, .missing = 1, .different = 1};
    EXPECT_EQ(grade_of(report), grade::poor);
    auto both = report_of(1000, 1);
    both.verify = verify_report{.identical = 999, .missing = 1};
    EXPECT_EQ(grade_of(both), grade::investigate);
}

TEST(grade_of, poor_is_what_did_not_end_or_does_not_add_up) {
    auto stopped = report_of(10);
    stopped.stopped_by = error{};
    EXPECT_EQ(grade_of(stopped), grade::poor);
    auto open = report_of(10);
    open.messages.source = 11;
    EXPECT_EQ(grade_of(open), grade::poor);
    open.messages.source = 9;
    EXPECT_EQ(grade_of(open), grade::poor);
    auto interrupted = report_of(10);
    interrupted.state = mailbox_state::interrupted;
    EXPECT_EQ(grade_of(interrupted), grade::poor);
    auto folder = report_of(10);
    folder.folders = {
        folder_report{.source = "a", .target = "a", .messages = {}, .octets = {}, .state = "failed", .notes = {}}};
    EXPECT_EQ(grade_of(folder), grade::poor);
    EXPECT_EQ(grade_of(report_of(10, 10)), grade::poor);
}

TEST(name_of, is_what_the_report_says) {
    EXPECT_EQ(name_of(mailbox_state::synced), "synced");
    EXPECT_EQ(name_of(mailbox_state::interrupted), "interrupted");
    EXPECT_EQ(name_of(grade::investigate), "investigate");
    EXPECT_EQ(name_of(pass_kind::delta), "delta");
}

} // namespace
} // namespace postferry::transfer

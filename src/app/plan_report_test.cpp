#include "app/plan_report.hpp"
#include "app/sample_reports.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::app {
namespace {

using testing::HasSubstr;

TEST(plan_report, reads_like_this) {
    EXPECT_EQ(
        text_of(samples::planned()),
        "imaps://alice@old -> imaps://alice@new\n"
        "  INBOX    -> INBOX         1,200    34 MB, 1,000 in the ledger, 1,001 on the target\n"
        "  Gesendet -> Sent             10        ?, new folder (special use \\Sent)\n"
        "  Trash       excluded: --exclude Trash\n"
        "  note: Work, work and Work: differ only in case\n"
        "  note: shared folders are left out\n"
        "  2 folders, 1,210 messages, size not told by the server; 210 to copy or to match, between 0.1 s and 4.2 s\n");
    EXPECT_THAT(
        text_of(samples::not_planned()),
        HasSubstr("cannot be planned: the server refused the login of alice; server said: Authentication failed."));
}

TEST(plan_report, json_says_the_same) {
    const auto j = json_of(samples::planned());
    EXPECT_EQ(j.at("folders").at(0).at("verdict"), "copy");
    EXPECT_EQ(j.at("folders").at(0).at("in_ledger"), 1000);
    EXPECT_TRUE(j.at("folders").at(1).at("bytes").is_null());
    EXPECT_EQ(j.at("folders").at(2).at("why"), "--exclude Trash");
    EXPECT_EQ(j.at("totals").at("to_copy"), 210);
    EXPECT_FALSE(j.contains("stopped_by"));
    EXPECT_EQ(json_of(samples::not_planned()).at("stopped_by").at("class"), "auth");
}

TEST(plan_report, time_goes_by_octets_or_by_messages) {
    transfer::mailbox_plan plan;
    transfer::planned_folder f;
    f.folder = {.source = "a", .target = "a", .why = {}};
    f.messages = f.to_copy = 1000;
    f.octets = 1'000'000'000;
    plan.folders = {f};
    EXPECT_DOUBLE_EQ(estimated_time(plan).low_seconds, 10);
    EXPECT_DOUBLE_EQ(estimated_time(plan).high_seconds, 500);
    plan.folders[0].octets = 1000;
    EXPECT_DOUBLE_EQ(estimated_time(plan).high_seconds, 20);
    plan.folders[0].folder.what = transfer::mapped_folder::verdict::excluded;
    EXPECT_DOUBLE_EQ(estimated_time(plan).high_seconds, 0);
}

TEST(plan_report, tells_what_would_be_deleted) {
    const auto text = text_of(samples::planned_deletion());
    EXPECT_THAT(text, HasSubstr("    would delete 3 messages from the target: UIDs 7:9\n"));
    EXPECT_THAT(text, HasSubstr("  not deleted: Trash: 9 messages"));
    EXPECT_THAT(text, HasSubstr("  3 messages would be deleted from the target"));
    EXPECT_THAT(text_of(samples::planned()), testing::Not(HasSubstr("delete")));
    EXPECT_EQ(json_of(samples::planned_deletion()).at("to_delete"), 3);
}

} // namespace
} // namespace postferry::app

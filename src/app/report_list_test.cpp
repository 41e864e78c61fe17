#include "app/report_json.hpp"
#include "app/report_list.hpp"
#include "app/sample_reports.hpp"

#include <gmock/gmock.h>

namespace postferry::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using transfer::kept_report;

std::vector<kept_report> ledger() {
    const auto one = [](std::string source, std::string pass, std::string ended) {
        return kept_report{.source_key = std::move(source),
                           .target_key = "imaps://new",
                           .pass = std::move(pass),
                           .ended = std::move(ended),
                           .body = "{}"};
    };
    return {one("imaps://bob@old", "bulk", "2024-01-01T00:00:00Z"),
            one("imaps://bob@old", "verify", "2024-01-02T00:00:00Z"),
            one("imaps://alice@old", "bulk", "2024-01-03T00:00:00Z")};
}

std::vector<std::string> names(const std::vector<kept_report>& reports) {
    std::vector<std::string> out;
    for (const kept_report& r : reports) out.push_back(r.source_key + " " + r.pass);
    return out;
}

TEST(report_list, the_last_pass_of_each_mailbox) {
    EXPECT_THAT(names(chosen(ledger(), {}, "")), ElementsAre("imaps://bob@old verify", "imaps://alice@old bulk"));
    EXPECT_THAT(names(chosen(ledger(), {}, "bulk")), ElementsAre("imaps://bob@old bulk", "imaps://alice@old bulk"));
    EXPECT_THAT(names(chosen(ledger(), {"ALICE", "carol"}, "")), ElementsAre("imaps://alice@old bulk"));
    EXPECT_THAT(names(chosen(ledger(), {"//new"}, "verify")), ElementsAre("imaps://bob@old verify"));
    EXPECT_THAT(chosen(ledger(), {"carol"}, ""), IsEmpty());
}

TEST(report_list, names_are_found_as_people_write_them) {
    auto reports = ledger();
    reports[2].source_key = "imaps://m%C3%BCller%40example.org@old";
    EXPECT_THAT(names(chosen(reports, {"müller@example"}, "")), ElementsAre(reports[2].source_key + " bulk"));
}

TEST(report_list, what_a_stopped_pass_did_not_reach_is_still_to_do) {
    transfer::mailbox_report r = samples::synced();
    r.messages.copied -= 3000;
    r.stopped_by = samples::wrong_password().stopped_by;
    const auto text = text_of({kept_report_of(r, ""), kept_report_of(samples::synced(), "")});
    ASSERT_TRUE(text);
    EXPECT_THAT(*text, HasSubstr("5,000 = 1,820 copied + 180 present + 0 skipped + 0 failed + 3,000 still to do\n"
                                 "  stopped: the server refused the login of alice"));
    EXPECT_THAT(*text, HasSubstr("2 mailboxes: 10,000 = 6,640 copied + 360 present + 0 skipped + 0 failed + 3,000 "
                                 "still to do\n"));
    EXPECT_THAT(*text, Not(HasSubstr("NOT ACCOUNTED FOR")));
}

TEST(report_list, is_told_in_lines) {
    const auto text = text_of({kept_report_of(samples::with_failures(), "2024-02-29T12:00:00Z"),
                               kept_report_of(samples::synced(), "2024-02-29T12:30:00Z")});
    ASSERT_TRUE(text);
    EXPECT_THAT(
        *text,
        HasSubstr(
            "imaps://bob@old -> imaps://bob@new\n  investigate, synced, pass bulk, ended 2024-02-29T12:00:00Z\n"));
    EXPECT_THAT(*text, HasSubstr("2 mailboxes: 10,000 = 9,632 copied + 360 present + 6 skipped + 2 failed"));
    EXPECT_FALSE(text_of({{.source_key = "x", .target_key = "y", .pass = "bulk", .ended = "", .body = "{"}}));
}

TEST(report_list, not_more_failures_are_kept_than_fit) {
    transfer::mailbox_report r = samples::with_failures();
    r.failures.assign(5'000, r.failures[0]);
    const auto body = boost::json::parse(kept_report_of(r, "").body);
    EXPECT_EQ(body.at("failures").as_array().size(), 1'000U);
    EXPECT_EQ(body.at("messages").at("failed"), 2);
}

} // namespace
} // namespace postferry::app

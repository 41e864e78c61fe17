// One pass after the other over servers that behave.
#include "support/pass_bench.hpp"

namespace postferry::transfer {
namespace {

using namespace support;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAreArray;

class pass_test : public testing::Test, public pass_bench {
  protected:
    void fill() {
        for (int i = 1; i <= 7; ++i) source.inbox().add(mail(fmt::format("in{}", i)), {"\\Seen", "$Label1"});
        for (int i = 1; i <= 4; ++i)
            source.folders["Lists/C++"].add(mail(fmt::format("list{}", i), std::string(400, 'x')));
        source.folders["Empty"];
    }
    void expect_same() { EXPECT_THAT(content(target), UnorderedElementsAreArray(content(source))); }
    void expect_synced(const mailbox_report& r, std::string_view messages) {
        EXPECT_EQ(r.state, mailbox_state::synced) << (r.stopped_by ? r.stopped_by->message() : "");
        EXPECT_EQ(sheet(r.messages), messages);
    }
    const folder_report& folder(const mailbox_report& r, std::string_view name) {
        const auto at = std::ranges::find(r.folders, name, &folder_report::source);
        if (at == r.folders.end()) throw std::runtime_error("no such folder");
        return *at;
    }
};

TEST_F(pass_test, copies_everything) {
    fill();
    source.folders["Lists/C++"].subscribed = true;
    const mailbox_report r = run();
    expect_synced(r, "11 = 11 + 0 + 0 + 0");
    EXPECT_EQ(r.mark, grade::perfect);
    EXPECT_EQ(r.octets.copied, r.octets.source);
    EXPECT_THAT(r.warnings, IsEmpty());
    EXPECT_TRUE(target.folders.contains("Empty"));
    EXPECT_TRUE(target.folders["Lists/C++"].subscribed);
    EXPECT_FALSE(target.folders["Empty"].subscribed);
    expect_same();
    EXPECT_EQ(bodies(target.inbox()), bodies(source.inbox())) << "in order";
}

TEST_F(pass_test, copies_a_message_only_once_a_pass) {
    fill();
    run();
    EXPECT_EQ(source.done("fetch"), 11U);
    EXPECT_EQ(source.done("header"), 0U) << "an empty target needs no matching";
    EXPECT_EQ(target.done("fetch"), 0U);
}

TEST_F(pass_test, a_re_run_costs_a_list) {
    fill();
    source.folders["Lists/C++"].subscribed = true;
    run();
    const mailbox_report r = run();
    expect_synced(r, "11 = 0 + 11 + 0 + 0");
    EXPECT_THAT(source.operations, ElementsAre("list"));
    EXPECT_THAT(target.operations, ElementsAre("list"));
}

TEST_F(pass_test, only_the_folder_that_moved_is_looked_at) {
    fill();
    run();
    source.inbox().add(mail("new"));
    const mailbox_report r = run();
    expect_synced(r, "12 = 1 + 11 + 0 + 0");
    EXPECT_THAT(source.operations, ElementsAre("list", "scan INBOX", "examine INBOX", "fetch INBOX 8"));
    EXPECT_EQ(target.done("prepare"), 2U) << "before the copy, and to see that it is there";
    EXPECT_EQ(target.done("header"), 0U);
    expect_same();
}

TEST_F(pass_test, without_condstore_every_folder_is_scanned_but_nothing_is_fetched) {
    fill();
    source.condstore = false;
    run();
    const mailbox_report r = run();
    expect_synced(r, "11 = 0 + 11 + 0 + 0");
    EXPECT_EQ(source.done("scan"), 3U);
    EXPECT_EQ(source.done("fetch"), 0U);
    source.inbox().set_flags(2, {"\\Answered"});
    EXPECT_EQ(run().flags_updated, 1U);
    expect_same();
}

TEST_F(pass_test, carries_flags_that_changed_on_the_source_and_no_others) {
    fill();
    run();
    target.inbox().set_flags(1, {"\\Flagged"}); // by the user, on the new server
    EXPECT_EQ(run().flags_updated, 0U);
    EXPECT_THAT(target.inbox().messages.at(1).flags, ElementsAre("\\Flagged"));

    source.inbox().set_flags(1, {"$Label1", "\\Answered"});
    source.inbox().set_flags(2, {});
    const mailbox_report r = run();
    expect_synced(r, "11 = 0 + 11 + 0 + 0");
    EXPECT_EQ(r.flags_updated, 2U);
    EXPECT_THAT(target.inbox().messages.at(1).flags, ElementsAre("\\Answered", "\\Flagged"))
        << "what the user did stays";
    EXPECT_THAT(target.inbox().messages.at(2).flags, IsEmpty());
    EXPECT_EQ(run().flags_updated, 0U);
}

TEST_F(pass_test, flags_and_new_mail_at_once) {
    fill();
    run();
    source.inbox().set_flags(3, {"\\Deleted"});
    source.inbox().add(mail("new"), {"NewKeyword"});
    const mailbox_report r = run();
    expect_synced(r, "12 = 1 + 11 + 0 + 0");
    EXPECT_EQ(r.flags_updated, 1U);
    expect_same();
    EXPECT_EQ(run().flags_updated, 0U) << "the indices of flag sets hold";
}

TEST_F(pass_test, mail_that_vanished_from_the_source_stays_on_the_target) {
    fill();
    run();
    source.inbox().erase(2);
    source.inbox().erase(3);
    source.inbox().add(mail("new"));
    const mailbox_report r = run();
    expect_synced(r, "10 = 1 + 9 + 0 + 0");
    EXPECT_EQ(r.vanished, 2U);
    EXPECT_EQ(target.inbox().messages.size(), 8U);
    expect_synced(run(), "10 = 0 + 10 + 0 + 0");
    EXPECT_THAT(source.operations, ElementsAre("list"));
}

TEST_F(pass_test, mail_that_the_user_moved_away_on_the_target_does_not_come_back) {
    fill();
    run();
    target.inbox().erase(4);
    source.inbox().add(mail("new"));
    expect_synced(run(), "12 = 1 + 11 + 0 + 0");
    EXPECT_EQ(target.inbox().messages.size(), 7U);
}

TEST_F(pass_test, names_a_keyword_that_the_target_does_not_keep_once) {
    fill();
    source.inbox().set_flags(1, {"Project/X", "\\Seen"});
    target.inbox().permanent_flags = {"\\Seen", "\\Answered"};
    const mailbox_report r = run();
    expect_synced(r, "11 = 11 + 0 + 0 + 0");
    EXPECT_THAT(r.keywords_dropped, testing::UnorderedElementsAre("$Label1", "Project/X"));
    EXPECT_EQ(r.mark, grade::good);
    for (const auto& [uid, m] : target.inbox().messages) EXPECT_THAT(m.flags, ElementsAre("\\Seen"));
    run();
    EXPECT_THAT(source.operations, ElementsAre("list")) << "no flag moved";
}

TEST_F(pass_test, counts_what_rules_leave_out) {
    fill();
    source.folders["Trash"].add(mail("trash"));
    source.inbox().add({.body = mail("old"),
                        .flags = {},
                        .date = message_date{.unix_seconds = some_day - 10 * 86'400, .zone_minutes = 0}});
    options.rules.exclude = {"Trash"};
    options.max_octets = 300;
    options.since_unix = some_day - 86'400;
    const mailbox_report r = run();
    expect_synced(r, "13 = 7 + 0 + 6 + 0");
    EXPECT_EQ(r.skip_rules, (std::map<std::string, std::uint64_t>{{"--max-size", 4}, {"--since", 1}, {"excluded", 1}}));
    EXPECT_FALSE(target.folders.contains("Trash"));
    expect_synced(run(), "13 = 0 + 7 + 6 + 0");
    options.max_octets.reset();
    options.since_unix.reset();
    options.rules.exclude.clear();
    expect_synced(run(), "13 = 6 + 7 + 0 + 0");
    expect_same();
}

TEST_F(pass_test, a_date_between_the_days_is_decided_by_the_second) {
    options.since_unix = some_day;
    source.inbox().add(
        {.body = mail("before"), .flags = {}, .date = message_date{.unix_seconds = some_day - 1, .zone_minutes = 0}});
    source.inbox().add(
        {.body = mail("after"), .flags = {}, .date = message_date{.unix_seconds = some_day, .zone_minutes = 0}});
    expect_synced(run(), "2 = 1 + 0 + 1 + 0");
    EXPECT_THAT(bodies(target.inbox()), ElementsAre(mail("after")));
}

TEST_F(pass_test, takes_dates_from_headers_and_says_so) {
    source.inbox().add({.body = "Date: Mon, 1 Jan 2001 10:00:00 +0100\r\n" + mail("a"), .flags = {}, .date = {}});
    const mailbox_report r = run();
    expect_synced(r, "1 = 1 + 0 + 0 + 0");
    ASSERT_TRUE(target.inbox().messages.at(1).date);
    EXPECT_EQ(target.inbox().messages.at(1).date->unix_seconds, 978'339'600);
    EXPECT_THAT(r.warnings, ElementsAre(HasSubstr("1 messages have no usable INTERNALDATE")));
}

TEST_F(pass_test, keeps_to_the_append_limit) {
    fill();
    target.append_limit = 300;
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "11 = 7 + 0 + 0 + 4");
    EXPECT_EQ(source.done("fetch Lists"), 0U) << "too big ones are not even read";
    EXPECT_THAT(r.failures[0].reason, HasSubstr("APPENDLIMIT 300"));
    EXPECT_EQ(r.failures[0].message_id, "<list1@old.example>");
    target.append_limit = 0;
    expect_synced(run(), "11 = 4 + 7 + 0 + 0");
    expect_same();
}

TEST_F(pass_test, the_plan_changes_nothing) {
    fill();
    const auto p = plan();
    ASSERT_TRUE(p);
    std::uint64_t to_copy = 0;
    for (const planned_folder& f : p->folders) to_copy += f.to_copy;
    EXPECT_EQ(to_copy, 11U);
    EXPECT_EQ(target.messages(), 0U);
    EXPECT_FALSE(target.folders.contains("Empty"));
    expect_synced(run(), "11 = 11 + 0 + 0 + 0");
    source.inbox().add(mail("new"));
    const auto later = plan();
    ASSERT_TRUE(later);
    for (const planned_folder& f : later->folders)
        EXPECT_EQ(f.to_copy, f.folder.source == "INBOX" ? 1U : 0U) << f.folder.source;
}

TEST_F(pass_test, a_uidvalidity_of_the_source_that_changes_between_passes_copies_nothing_twice) {
    fill();
    run();
    fake_folder& in = source.inbox();
    fake_folder anew{
        .uid_validity = 200, .uid_next = 1, .modseq = 1, .messages = {}, .attributes = {}, .permanent_flags = {}};
    for (auto& [uid, m] : in.messages) anew.add(m);
    anew.add(mail("new"), {"\\Seen"});
    in = std::move(anew);
    expect_synced(run(), "12 = 1 + 11 + 0 + 0");
    expect_same();
    run();
    EXPECT_THAT(source.operations, ElementsAre("list"));
}

TEST_F(pass_test, a_uidvalidity_of_the_target_that_changes_between_passes_copies_nothing_twice) {
    fill();
    run();
    target.inbox().uid_validity = 200;
    source.inbox().add(mail("new"));
    expect_synced(run(), "12 = 1 + 11 + 0 + 0");
    expect_same();
    source.inbox().set_flags(1, {});
    EXPECT_EQ(run().flags_updated, 1U);
    expect_same();
}

TEST_F(pass_test, a_target_folder_that_was_deleted_is_filled_again) {
    fill();
    run();
    target.folders["Lists/C++"] = {
        .uid_validity = 300, .uid_next = 1, .modseq = 1, .messages = {}, .attributes = {}, .permanent_flags = {}};
    run();
    expect_same();
    target.folders.erase("Lists/C++");
    run();
    expect_same();
}

TEST_F(pass_test, a_uidvalidity_that_changes_between_scan_and_fetch_is_planned_again) {
    fill();
    bool done = false;
    source.on_operation = [&](std::string_view op) {
        if (op == "examine INBOX" && !std::exchange(done, true)) source.inbox().uid_validity = 200;
    };
    expect_synced(run(), "11 = 11 + 0 + 0 + 0");
    expect_same();
}

TEST_F(pass_test, a_uidvalidity_that_never_stands_still_fails_the_folder_alone) {
    fill();
    source.on_operation = [&](std::string_view op) {
        if (op == "examine INBOX") ++source.inbox().uid_validity;
    };
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::failed);
    EXPECT_EQ(folder(r, "INBOX").state, "failed");
    EXPECT_EQ(sheet(folder(r, "INBOX").messages), "7 = 0 + 0 + 0 + 0 open 7");
    EXPECT_EQ(target.folders["Lists/C++"].messages.size(), 4U);
    source.on_operation = {};
    expect_synced(run(), "11 = 7 + 4 + 0 + 0");
    expect_same();
}

TEST_F(pass_test, a_message_that_vanishes_between_scan_and_fetch_is_no_failure) {
    fill();
    source.on_operation = [&](std::string_view op) {
        if (op == "fetch INBOX 3") source.inbox().erase(3);
    };
    const mailbox_report r = run();
    expect_synced(r, "10 = 10 + 0 + 0 + 0");
    EXPECT_EQ(r.vanished, 1U);
    EXPECT_THAT(r.failures, IsEmpty());
    expect_same();
}

TEST_F(pass_test, mail_that_arrives_during_the_pass_comes_with_the_next) {
    fill();
    source.on_operation = [&](std::string_view op) {
        if (op == "fetch INBOX 3") source.inbox().add(mail("late"));
    };
    expect_synced(run(), "11 = 11 + 0 + 0 + 0");
    source.on_operation = {};
    expect_synced(run(), "12 = 1 + 11 + 0 + 0");
    expect_same();
}

TEST_F(pass_test, ok_without_a_body_is_a_failure_of_that_message) {
    fill();
    source.no_body = {{"INBOX", 3}};
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "11 = 10 + 0 + 0 + 1");
    ASSERT_EQ(r.failures.size(), 1U);
    EXPECT_EQ(r.failures[0].source_uid, 3U);
    EXPECT_THAT(r.failures[0].reason, HasSubstr("sent no message"));
    EXPECT_EQ(told_failures.size(), 1U);
    source.no_body.clear();
    expect_synced(run(), "11 = 1 + 10 + 0 + 0");
    expect_same();
}

TEST_F(pass_test, works_without_uidplus) {
    fill();
    target.uidplus = false;
    expect_synced(run(), "11 = 11 + 0 + 0 + 0");
    expect_same();
    expect_synced(run(), "11 = 0 + 11 + 0 + 0");
    EXPECT_THAT(target.operations, ElementsAre("list"));
    source.inbox().add(mail("new"));
    expect_synced(run(), "12 = 1 + 11 + 0 + 0");
    EXPECT_EQ(target.done("header"), 0U) << "nothing that this pass did not bring is above the mark";
    source.inbox().set_flags(1, {});
    const mailbox_report r = run();
    EXPECT_EQ(r.flags_updated, 0U);
    EXPECT_THAT(r.warnings, ElementsAre(HasSubstr("no UIDPLUS")));
}

} // namespace
} // namespace postferry::transfer

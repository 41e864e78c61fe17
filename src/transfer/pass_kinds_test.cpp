// The kinds of passes: what each brings, and what it leaves to the others.
#include "support/pass_bench.hpp"

namespace postferry::transfer {
namespace {

using namespace support;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAreArray;

class pass_kinds_test : public testing::Test, public pass_bench {
  protected:
    void fill(int messages) {
        target.inbox().uid_validity = 200;
        for (int i = 1; i <= messages; ++i) source.inbox().add(mail(fmt::format("in{}", i)), {"\\Seen"});
        for (int i = 1; i <= 3; ++i) source.folders["Work"].add(mail(fmt::format("work{}", i)));
    }
    mailbox_report pass(pass_kind kind) {
        options.kind = kind;
        mailbox_report r = run();
        EXPECT_EQ(r.state, mailbox_state::synced) << (r.stopped_by ? r.stopped_by->message() : "");
        EXPECT_EQ(r.pass, kind);
        return r;
    }
    std::vector<std::uint32_t> uids_there(const std::string& folder) {
        std::vector<std::uint32_t> out;
        for (const auto& [uid, m] : target.folders.at(folder).messages) out.push_back(uid);
        return out;
    }
    void expect_same() { EXPECT_THAT(content(target), UnorderedElementsAreArray(content(source))); }
};

TEST_F(pass_kinds_test, trial_brings_the_oldest_and_the_newest) {
    fill(30);
    const mailbox_report r = pass(pass_kind::trial);
    EXPECT_EQ(sheet(r.messages), "33 = 13 + 0 + 20 + 0");
    EXPECT_EQ(r.skip_rules.at("trial"), 20U);
    EXPECT_EQ(r.mark, grade::good);
    std::vector<std::string> want;
    for (const int i : {1, 2, 3, 4, 5, 26, 27, 28, 29, 30}) want.push_back(mail(fmt::format("in{}", i)));
    EXPECT_EQ(bodies(target.inbox()), want);
    EXPECT_EQ(target.folders["Work"].messages.size(), 3U) << "a small folder is brought whole";
}

// The rest would have to come above the newest: the clients' copies would be worth nothing.
TEST_F(pass_kinds_test, trial_into_a_place_that_keeps_uids_brings_the_oldest) {
    fill(30);
    target.inbox().uid_validity = source.inbox().uid_validity;
    target.keeps_uids = true;
    EXPECT_EQ(sheet(pass(pass_kind::trial).messages), "33 = 13 + 0 + 20 + 0");
    EXPECT_EQ(bodies(target.inbox()).back(), mail("in10"));
    pass(pass_kind::bulk);
    EXPECT_EQ(bodies(target.inbox()), bodies(source.inbox())) << "in order";
}

// Two servers that make it from the time, and mailboxes that were made in one second.
TEST_F(pass_kinds_test, the_same_uidvalidity_by_chance_changes_nothing) {
    fill(30);
    target.inbox().uid_validity = source.inbox().uid_validity;
    pass(pass_kind::trial);
    EXPECT_EQ(bodies(target.inbox()).back(), mail("in30"));
}

TEST_F(pass_kinds_test, a_trial_that_is_repeated_brings_nothing) {
    fill(30);
    pass(pass_kind::trial);
    EXPECT_EQ(sheet(pass(pass_kind::trial).messages), "33 = 0 + 13 + 20 + 0");
}

TEST_F(pass_kinds_test, bulk_after_a_trial_brings_the_rest_once) {
    fill(30);
    pass(pass_kind::trial);
    const mailbox_report r = pass(pass_kind::bulk);
    EXPECT_EQ(sheet(r.messages), "33 = 20 + 13 + 0 + 0");
    EXPECT_THAT(notes, testing::Not(testing::Contains(HasSubstr("cut off")))) << "a trial is no accident";
    expect_same();
    EXPECT_EQ(sheet(pass(pass_kind::delta).messages), "33 = 0 + 33 + 0 + 0");
}

TEST_F(pass_kinds_test, bulk_after_a_trial_onto_what_another_tool_brought) {
    fill(30);
    for (int i = 1; i <= 30; ++i) target.inbox().add(mail(fmt::format("in{}", i)), {"\\Seen"});
    EXPECT_EQ(sheet(pass(pass_kind::trial).messages), "33 = 3 + 30 + 0 + 0") << "what is there needs no trial";
    pass(pass_kind::bulk);
    expect_same();
}

// The same trap with a rule of the user's: the mark must not hide what another tool had brought.
TEST_F(pass_kinds_test, a_rule_that_falls_away_makes_no_duplicates) {
    fill(3);
    source.inbox().add(mail("big", std::string(500, 'x')));
    target.inbox().add(mail("in1"), {"\\Seen"});
    target.inbox().add(mail("big", std::string(500, 'x')));
    options.max_octets = 300;
    pass(pass_kind::bulk);
    options.max_octets.reset();
    pass(pass_kind::bulk);
    EXPECT_EQ(target.inbox().messages.size(), 4U);
}

TEST_F(pass_kinds_test, final_looks_at_what_seems_unmoved) {
    fill(4);
    pass(pass_kind::bulk);
    // A server whose HIGHESTMODSEQ does not tell of a flag: only reading all flags finds it.
    source.inbox().messages.at(2).flags = {"\\Flagged"};
    EXPECT_EQ(pass(pass_kind::delta).flags_updated, 0U);
    EXPECT_EQ(source.done("scan"), 0U);
    const mailbox_report r = pass(pass_kind::final);
    EXPECT_EQ(source.done("scan"), 2U);
    EXPECT_EQ(r.flags_updated, 1U);
    EXPECT_EQ(sheet(r.messages), "7 = 0 + 7 + 0 + 0");
    expect_same();
    EXPECT_EQ(pass(pass_kind::final).flags_updated, 0U);
}

TEST_F(pass_kinds_test, sweep_brings_stragglers_and_leaves_flags_alone) {
    fill(3);
    pass(pass_kind::bulk);
    source.inbox().set_flags(1, {"\\Seen", "\\Answered"});
    target.inbox().set_flags(2, {"\\Flagged"});
    target.inbox().erase(3);
    source.inbox().add(mail("late"));
    const mailbox_report r = pass(pass_kind::sweep);
    EXPECT_EQ(sheet(r.messages), "7 = 1 + 6 + 0 + 0");
    EXPECT_EQ(r.flags_updated, 0U);
    EXPECT_EQ(target.done("store flags"), 0U);
    EXPECT_EQ(target.inbox().messages.at(1).flags, std::vector<std::string>{"\\Seen"});
    EXPECT_THAT(uids_there("INBOX"), ElementsAre(1, 2, 4)) << "what its owner deleted stays deleted";
    EXPECT_EQ(pass(pass_kind::sweep).messages.copied, 0U);
    EXPECT_EQ(pass(pass_kind::delta).flags_updated, 1U) << "a sweep before the cutover loses no flag";
}

TEST_F(pass_kinds_test, sweep_makes_no_folder_that_its_owner_has_thrown_away) {
    fill(2);
    pass(pass_kind::bulk);
    target.folders.erase("Work");
    source.inbox().add(mail("late"));
    const mailbox_report r = pass(pass_kind::sweep);
    EXPECT_EQ(sheet(r.messages), "6 = 1 + 5 + 0 + 0");
    EXPECT_FALSE(target.folders.contains("Work"));
}

TEST_F(pass_kinds_test, sweep_into_a_folder_that_was_made_anew) {
    fill(2);
    pass(pass_kind::bulk);
    target.folders["Projects"] = target.folders["Work"]; // its owner renamed it
    target.folders.erase("Work");
    source.folders["Work"].add(mail("late"), {"\\Seen"});
    EXPECT_EQ(sheet(pass(pass_kind::sweep).messages), "6 = 1 + 5 + 0 + 0");
    EXPECT_EQ(bodies(target.folders["Work"]), std::vector<std::string>{mail("late")});
    target.folders["Work"].uid_validity = 777; // and again
    source.folders["Work"].add(mail("later"));
    EXPECT_EQ(sheet(pass(pass_kind::sweep).messages), "7 = 1 + 6 + 0 + 0");
    EXPECT_EQ(target.folders["Work"].messages.size(), 2U);
    EXPECT_EQ(pass(pass_kind::sweep).messages.copied, 0U);
}

TEST_F(pass_kinds_test, repair_brings_only_what_failed) {
    fill(3);
    source.inbox().add(mail("poison"));
    target.refuses = "poison";
    options.kind = pass_kind::bulk;
    EXPECT_EQ(sheet(run().messages), "7 = 6 + 0 + 0 + 1");
    source.inbox().add(mail("new"));
    source.folders["Work"].add(mail("new too"));
    source.inbox().set_flags(1, {"\\Answered"});
    target.refuses.clear();
    const mailbox_report r = pass(pass_kind::repair);
    EXPECT_EQ(sheet(r.messages), "9 = 1 + 6 + 2 + 0");
    EXPECT_EQ(r.skip_rules.at("repair"), 2U);
    EXPECT_EQ(target.done("store flags"), 0U);
    EXPECT_EQ(source.done("scan"), 1U) << "a folder without failures is not looked into";
    const mailbox_report later = pass(pass_kind::delta);
    EXPECT_EQ(sheet(later.messages), "9 = 2 + 7 + 0 + 0");
    EXPECT_EQ(later.flags_updated, 1U);
    expect_same();
}

TEST_F(pass_kinds_test, repair_that_is_refused_again) {
    fill(1);
    source.inbox().add(mail("poison"));
    target.refuses = "poison";
    options.kind = pass_kind::bulk;
    run();
    options.kind = pass_kind::repair;
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "5 = 0 + 4 + 0 + 1");
    ASSERT_EQ(r.failures.size(), 1U);
    EXPECT_FALSE(r.failures[0].waived);
}

TEST_F(pass_kinds_test, repair_without_failures_or_without_books_does_nothing) {
    fill(1);
    EXPECT_EQ(sheet(pass(pass_kind::repair).messages), "4 = 0 + 0 + 4 + 0");
    EXPECT_THAT(content(target), IsEmpty());
    pass(pass_kind::bulk);
    EXPECT_EQ(sheet(pass(pass_kind::repair).messages), "4 = 0 + 4 + 0 + 0");
    EXPECT_THAT(source.operations, ElementsAre("list"));
}

TEST_F(pass_kinds_test, plan_says_what_a_trial_would_bring) {
    fill(30);
    options.kind = pass_kind::trial;
    const auto p = plan();
    ASSERT_TRUE(p);
    std::uint64_t to_copy = 0;
    for (const planned_folder& f : p->folders) to_copy += f.to_copy;
    EXPECT_EQ(to_copy, 13U);
}

TEST_F(pass_kinds_test, what_is_waived_is_named_and_no_fault) {
    fill(1);
    source.inbox().add(mail("poison"));
    target.refuses = "poison";
    options.kind = pass_kind::bulk;
    options.waived = std::make_shared<const std::set<std::pair<std::string, std::uint32_t>>>(
        std::set<std::pair<std::string, std::uint32_t>>{{"INBOX", 2}, {"Work", 9}});
    for (const pass_kind kind : {pass_kind::bulk, pass_kind::verify}) {
        options.kind = kind;
        const mailbox_report r = kind == pass_kind::verify ? verify() : run();
        ASSERT_EQ(r.failures.size(), 1U);
        EXPECT_TRUE(r.failures[0].waived);
        EXPECT_EQ(r.mark, grade::good);
        EXPECT_EQ(r.state, kind == pass_kind::verify ? mailbox_state::completed : mailbox_state::synced);
        for (const folder_report& f : r.folders) EXPECT_EQ(f.state, "synced") << f.source;
    }
}

// A target that says OK and keeps nothing.

TEST_F(pass_kinds_test, a_target_that_forgets_is_found_out_at_once) {
    fill(4);
    target.swallows = [](const std::string& body) { return body.find("in2") != std::string::npos; };
    options.kind = pass_kind::bulk;
    mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "7 = 6 + 0 + 0 + 1");
    ASSERT_EQ(r.failures.size(), 1U);
    EXPECT_EQ(r.failures[0].source_uid, 2U);
    EXPECT_THAT(r.failures[0].reason, HasSubstr("said OK"));
    EXPECT_EQ(verify().verify->missing, 1U);
    // A filter of the target may have put it elsewhere: only who asks for it gets it a second time.
    options.kind = pass_kind::bulk;
    EXPECT_EQ(sheet(run().messages), "7 = 0 + 6 + 0 + 1");
    EXPECT_EQ(target.done("take"), 0U);
    target.swallows = nullptr;
    r = pass(pass_kind::repair);
    EXPECT_EQ(sheet(r.messages), "7 = 1 + 6 + 0 + 0");
    expect_same();
}

TEST_F(pass_kinds_test, what_shows_late_is_brought_no_second_time) {
    fill(4);
    std::vector<fake_message> hidden;
    target.swallows = [](const std::string& body) { return body.find("in2") != std::string::npos; };
    options.kind = pass_kind::bulk;
    run();
    run(); // not yet
    target.swallows = nullptr;
    target.inbox().messages.emplace(2, fake_message{.body = mail("in2"), .flags = {"\\Seen"}});
    EXPECT_EQ(sheet(pass(pass_kind::bulk).messages), "7 = 0 + 7 + 0 + 0");
    expect_same();
}

TEST_F(pass_kinds_test, a_target_that_forgets_and_tells_no_uids) {
    fill(4);
    target.uidplus = false;
    target.swallows = [](const std::string& body) { return body.find("in2") != std::string::npos; };
    options.kind = pass_kind::bulk;
    mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "7 = 6 + 0 + 0 + 1");
    ASSERT_EQ(r.failures.size(), 1U);
    EXPECT_EQ(r.failures[0].source_uid, 2U);
    target.swallows = nullptr;
    pass(pass_kind::repair);
    expect_same();
}

} // namespace
} // namespace postferry::transfer

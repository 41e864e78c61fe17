// --delete-extra and what keeps it from doing harm.
#include "support/pass_bench.hpp"
#include "transfer/deletion.hpp"

namespace postferry::transfer {
namespace {

using namespace support;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST(deletion, a_source_that_lost_more_than_half_is_not_believed) {
    EXPECT_EQ(why_not_delete(50, 100), "");
    EXPECT_THAT(why_not_delete(49, 100), HasSubstr("fewer than half"));
    EXPECT_THAT(why_not_delete(0, 1), HasSubstr("lists no message"));
    EXPECT_EQ(why_not_delete(1, 2), "");
    EXPECT_EQ(why_not_delete(200, 100), "") << "it has grown";
    EXPECT_EQ(why_not_delete(5, 0), "");
}

class pass_delete_test : public testing::Test, public pass_bench {
  protected:
    void SetUp() override {
        for (int i = 1; i <= 6; ++i) source.inbox().add(mail(fmt::format("in{}", i)));
        for (int i = 1; i <= 4; ++i) source.folders["Work"].add(mail(fmt::format("work{}", i)));
        run();
        options.delete_extra = true;
    }
    mailbox_plan dry_run() {
        auto p = plan();
        EXPECT_TRUE(p) << (p ? "" : p.error().message());
        EXPECT_EQ(target.done("remove"), 0U);
        return p ? std::move(*p) : mailbox_plan{};
    }
    static std::uint64_t to_delete(const mailbox_plan& p) {
        std::uint64_t n = 0;
        for (const planned_folder& f : p.folders) n += f.to_delete;
        return n;
    }
    std::size_t there() { return target.messages(); }
};

TEST_F(pass_delete_test, removes_what_a_dry_run_has_shown_and_nothing_else) {
    source.inbox().erase(2);
    source.inbox().erase(5);
    target.inbox().add(mail("received on the new server"));
    const mailbox_plan p = dry_run();
    ASSERT_EQ(to_delete(p), 2U);
    EXPECT_EQ(p.folders[0].delete_uids.to_string(), "2,5");
    EXPECT_THAT(p.not_deleted, IsEmpty());
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::synced);
    EXPECT_EQ(r.deleted, 2U);
    EXPECT_EQ(sheet(r.messages), "8 = 0 + 8 + 0 + 0");
    EXPECT_THAT(r.not_deleted, IsEmpty());
    EXPECT_EQ(there(), 9U);
    EXPECT_FALSE(target.inbox().messages.contains(2));
    EXPECT_FALSE(target.inbox().messages.contains(5));
    EXPECT_EQ(run().deleted, 0U);
}

TEST_F(pass_delete_test, what_no_dry_run_has_shown_stays) {
    source.inbox().erase(2);
    const mailbox_report r = run();
    EXPECT_EQ(r.deleted, 0U);
    ASSERT_THAT(r.not_deleted, SizeIs(1));
    EXPECT_THAT(r.not_deleted[0], HasSubstr("--dry-run"));
    EXPECT_EQ(there(), 10U);
}

TEST_F(pass_delete_test, what_vanished_since_the_dry_run_stays) {
    source.inbox().erase(2);
    dry_run();
    source.inbox().erase(3);
    const mailbox_report r = run();
    EXPECT_EQ(r.deleted, 1U);
    EXPECT_THAT(r.warnings, Contains(HasSubstr("1 more messages vanished")));
    EXPECT_TRUE(target.inbox().messages.contains(3));
}

TEST_F(pass_delete_test, passes_in_between_forget_nothing) {
    options.delete_extra = false;
    source.inbox().erase(2);
    EXPECT_EQ(run().vanished, 1U);
    source.inbox().erase(3);
    run();
    EXPECT_THAT(source.operations, Contains("list"));
    EXPECT_EQ(run().messages.source, 8U);
    EXPECT_THAT(source.operations, ElementsAre("list")) << "and cost nothing";
    options.delete_extra = true;
    EXPECT_EQ(to_delete(dry_run()), 2U);
    EXPECT_EQ(run().deleted, 2U);
}

TEST_F(pass_delete_test, what_was_there_already_is_not_ours) {
    options.delete_extra = false;
    source.folders["Old"].add(mail("a"));
    source.folders["Old"].add(mail("b"));
    source.folders["Old"].add(mail("c"));
    target.folders["Old"].add(mail("a"));
    run();
    source.folders["Old"].erase(1);
    options.delete_extra = true;
    EXPECT_EQ(to_delete(dry_run()), 0U);
}

TEST_F(pass_delete_test, a_folder_that_lost_more_than_half) {
    for (const std::uint32_t uid : {1U, 2U, 3U}) source.folders["Work"].erase(uid);
    source.inbox().erase(1);
    const mailbox_plan p = dry_run();
    EXPECT_EQ(to_delete(p), 1U) << "the other folder is to be believed";
    ASSERT_THAT(p.not_deleted, SizeIs(1));
    EXPECT_THAT(p.not_deleted[0], HasSubstr("Work: 3 messages"));
    for (int again = 0; again < 2; ++again) {
        const mailbox_report r = run();
        EXPECT_EQ(r.deleted, again == 0 ? 1U : 0U);
        ASSERT_THAT(r.not_deleted, SizeIs(1));
        EXPECT_THAT(r.not_deleted[0], HasSubstr("fewer than half")) << "also at the second time";
    }
    EXPECT_EQ(target.folders["Work"].messages.size(), 4U);
    // A pass without the option takes the new number as right.
    options.delete_extra = false;
    run();
    options.delete_extra = true;
    EXPECT_EQ(to_delete(dry_run()), 3U);
    EXPECT_EQ(run().deleted, 3U);
}

TEST_F(pass_delete_test, a_source_that_lists_nothing) {
    dry_run();
    source.inbox().messages.clear();
    source.folders["Work"].messages.clear();
    EXPECT_EQ(to_delete(dry_run()), 0U);
    const mailbox_report r = run();
    EXPECT_EQ(r.deleted, 0U);
    EXPECT_THAT(r.not_deleted, SizeIs(2));
    EXPECT_EQ(there(), 10U);
}

TEST_F(pass_delete_test, a_source_that_lost_a_whole_folder_counts_it) {
    source.folders.erase("INBOX");
    source.folders["Work"].erase(1);
    const mailbox_plan p = dry_run();
    EXPECT_EQ(to_delete(p), 0U);
    ASSERT_THAT(p.not_deleted, SizeIs(1));
    EXPECT_THAT(p.not_deleted[0], HasSubstr("of the whole mailbox"));
}

TEST_F(pass_delete_test, an_excluded_folder_is_left_alone_and_not_missed) {
    options.rules.exclude = {"INBOX"};
    source.inbox().messages.clear();
    source.folders["Work"].erase(1);
    EXPECT_EQ(to_delete(dry_run()), 1U);
    EXPECT_EQ(run().deleted, 1U);
    EXPECT_EQ(target.inbox().messages.size(), 6U);
}

TEST_F(pass_delete_test, what_comes_back_is_brought_no_second_time) {
    const fake_message lost = source.inbox().messages.at(2);
    source.inbox().erase(2);
    dry_run();
    source.inbox().messages.emplace(2, lost);
    ++source.inbox().modseq;
    const mailbox_report r = run();
    EXPECT_EQ(r.deleted, 0U);
    EXPECT_EQ(sheet(r.messages), "10 = 0 + 10 + 0 + 0");
    EXPECT_EQ(there(), 10U);
    options.delete_extra = false;
    run();
    EXPECT_THAT(source.operations, ElementsAre("list"));
}

TEST_F(pass_delete_test, a_target_that_cannot) {
    source.inbox().erase(2);
    dry_run();
    target.refuses_removal = refusal(retry_class::config, "", "no UIDPLUS");
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::synced);
    EXPECT_EQ(r.deleted, 0U);
    ASSERT_THAT(r.not_deleted, SizeIs(1));
    EXPECT_THAT(r.not_deleted[0], HasSubstr("no UIDPLUS"));
}

TEST_F(pass_delete_test, a_line_that_dies_at_any_operation_of_the_target) {
    for (std::size_t at = 1;; ++at) {
        SCOPED_TRACE(at);
        const std::uint32_t uid = source.inbox().add(mail(fmt::format("short-lived {}", at)));
        options.delete_extra = false;
        run();
        source.inbox().erase(uid);
        options.delete_extra = true;
        ASSERT_EQ(to_delete(dry_run()), 1U);
        target.dies_at = target.count + at;
        const mailbox_report r = run();
        const bool died = target.count >= std::exchange(target.dies_at, std::nullopt).value_or(0);
        EXPECT_EQ(r.state, mailbox_state::synced) << (r.stopped_by ? r.stopped_by->message() : "");
        EXPECT_EQ(r.deleted, 1U);
        EXPECT_EQ(there(), 10U);
        if (!died) break;
        ASSERT_LT(at, 40U);
    }
}

TEST_F(pass_delete_test, verify_tells_what_is_kept) {
    options.delete_extra = false;
    source.inbox().erase(2);
    run();
    const mailbox_report r = verify();
    EXPECT_EQ(r.state, mailbox_state::completed);
    EXPECT_EQ(r.verify->kept, 1U);
    EXPECT_EQ(r.verify->extra, 0U);
}

} // namespace
} // namespace postferry::transfer

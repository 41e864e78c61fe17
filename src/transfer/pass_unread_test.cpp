// Messages that were listed and are not there when their turn comes.
#include "support/pass_bench.hpp"

#include <gtest/gtest.h>

namespace postferry::transfer {
namespace {

using namespace support;
using testing::HasSubstr;
using testing::IsEmpty;

class pass_unread_test : public testing::Test, public pass_bench {
  protected:
    pass_unread_test() {
        for (int i = 0; i < 5; ++i) source.inbox().add(mail(fmt::format("m{}", i)));
    }
    // As Mailutils does with what lies in new/ of a Maildir: another number at each look, under one UIDVALIDITY.
    void renumber_all() {
        for (std::size_t n = source.inbox().messages.size(); n > 0; --n)
            renumber(source.inbox().messages.begin()->first);
    }
    void renumber(std::uint32_t uid) {
        auto message = source.inbox().messages.extract(uid);
        message.key() = source.inbox().uid_next++;
        source.inbox().messages.insert(std::move(message));
    }
    void move_last() { renumber(source.inbox().messages.rbegin()->first); }
    void do_before(std::string_view operation, std::function<void()> what, unsigned times = UINT_MAX) {
        source.on_operation = [operation = std::string(operation), what = std::move(what),
                               times](std::string_view op) mutable {
            if (op == operation && times > 0) {
                --times;
                what();
            }
        };
    }
};

TEST_F(pass_unread_test, that_got_other_numbers_are_looked_for_and_brought) {
    do_before("examine INBOX", [this] { move_last(); }, 1);
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::synced);
    EXPECT_EQ(sheet(r.messages), "5 = 5 + 0 + 0 + 0");
    EXPECT_EQ(content(source), content(target));
}

TEST_F(pass_unread_test, all_of_a_folder_that_is_numbered_anew_are_brought) {
    do_before("examine INBOX", [this] { renumber_all(); }, 1);
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "5 = 5 + 0 + 0 + 0");
    EXPECT_EQ(content(source), content(target));
}

// The worst that could happen is a balance that closes without them.
TEST_F(pass_unread_test, that_get_other_numbers_at_each_look_are_failures_by_name) {
    do_before("examine INBOX", [this] { move_last(); });
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::synced) << "the pass itself came to its end";
    EXPECT_EQ(sheet(r.messages), "5 = 4 + 0 + 0 + 1");
    ASSERT_EQ(r.failures.size(), 1U);
    EXPECT_THAT(r.failures[0].reason, HasSubstr("other numbers at the next look"));
    EXPECT_EQ(r.folders[0].state, "failed");
    EXPECT_EQ(r.mark, grade_of(r));
    source.on_operation = {};
    const mailbox_report mended = run();
    EXPECT_EQ(mended.messages.failed, 0U);
    EXPECT_EQ(mended.messages.residual(), 0);
    EXPECT_EQ(content(source), content(target));
}

TEST_F(pass_unread_test, that_were_removed_are_no_failures_where_new_mail_came_meanwhile) {
    do_before(
        "examine INBOX",
        [this] {
            source.inbox().erase(3);
            source.inbox().add(mail("new"));
        },
        1);
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "5 = 5 + 0 + 0 + 0");
    EXPECT_THAT(r.failures, IsEmpty());
    EXPECT_EQ(content(source), content(target));
}

} // namespace
} // namespace postferry::transfer

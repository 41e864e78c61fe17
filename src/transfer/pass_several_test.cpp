// Several connections at work on one mailbox.
#include "support/pass_bench.hpp"

#include <gtest/gtest.h>

namespace postferry::transfer {
namespace {

using namespace support;

class pass_several_test : public testing::Test, public pass_bench {
  protected:
    pass_several_test() {
        options.connections = 3;
        options.messages_per_connection = 4;
        fill(*this);
    }
    static void fill(pass_bench& b) {
        b.options.connections = 3;
        b.options.messages_per_connection = 4;
        for (const auto* name : {"INBOX", "Archive", "Sent", "Old"})
            for (int i = 0; i < 6; ++i)
                b.source.folders[name].add(mail(fmt::format("{}-{}", name, i), std::string(40, 'x')));
    }
};

TEST_F(pass_several_test, share_the_folders_and_bring_every_message_once) {
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::synced);
    EXPECT_EQ(sheet(r.messages), "24 = 24 + 0 + 0 + 0");
    EXPECT_EQ(content(source), content(target));
    EXPECT_EQ(source.logins, 3U);
    EXPECT_EQ(target.logins, 3U);
}

TEST_F(pass_several_test, keep_the_order_within_a_folder) {
    run();
    for (const auto& [name, f] : source.folders) EXPECT_EQ(bodies(f), bodies(target.folders.at(name))) << name;
}

TEST_F(pass_several_test, are_not_opened_for_little_work) {
    run();
    source.inbox().add(mail("late"));
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "25 = 1 + 24 + 0 + 0");
    EXPECT_EQ(source.logins, 4U) << "three of the first run, one of the second";
}

TEST_F(pass_several_test, go_on_with_one_where_the_server_does_not_want_more) {
    for (fake_server* small : {&source, &target}) {
        pass_bench b;
        fill(b);
        (small == &source ? b.source : b.target).most_logins = 1;
        const mailbox_report r = b.run();
        EXPECT_EQ(r.state, mailbox_state::synced);
        EXPECT_EQ(content(b.source), content(b.target));
        EXPECT_THAT(b.notes, testing::Contains(testing::HasSubstr("going on with one")));
    }
}

TEST_F(pass_several_test, lose_nothing_and_double_nothing_when_any_of_them_dies_at_any_operation) {
    run();
    const std::uint64_t source_steps = source.count, target_steps = target.count;
    for (const bool at_source : {true, false}) {
        for (std::uint64_t step = 1; step <= (at_source ? source_steps : target_steps); ++step) {
            for (const bool stores : {false, true}) {
                pass_bench b;
                fill(b);
                (at_source ? b.source : b.target).dies_at = step;
                b.target.stores_after_death = stores;
                const mailbox_report r = b.run();
                ASSERT_EQ(r.state, mailbox_state::synced) << (at_source ? "source" : "target") << " died at " << step;
                ASSERT_EQ(content(b.source), content(b.target))
                    << (at_source ? "source" : "target") << " died at " << step << (stores ? ", stores" : "");
                ASSERT_EQ(r.messages.residual(), 0);
            }
        }
    }
}

TEST_F(pass_several_test, are_all_stopped_in_an_orderly_way) {
    target.on_operation = [this](std::string_view what) {
        if (what.starts_with("answer") && running != nullptr) running->stop();
    };
    const mailbox_report stopped = run();
    EXPECT_EQ(stopped.state, mailbox_state::interrupted);
    target.on_operation = {};
    const mailbox_report r = run();
    EXPECT_EQ(r.state, mailbox_state::synced);
    EXPECT_EQ(content(source), content(target));
}

TEST_F(pass_several_test, split_a_refused_batch_whoever_brought_it) {
    target.refuses = "Sent-3";
    const mailbox_report r = run();
    EXPECT_EQ(sheet(r.messages), "24 = 23 + 0 + 0 + 1");
    ASSERT_EQ(r.failures.size(), 1U);
    EXPECT_EQ(r.failures.front().folder, "Sent");
}

// Only a folder of more than 20,000 messages is cut. All of it gets other numbers while two connections read it
// (docs/quirks.md#numbers-move): what they have copied by then must not come again.
TEST(pass_several, of_a_cut_folder_whose_numbers_move_bring_each_message_once) {
    pass_bench b;
    b.options.connections = 2;
    b.options.limits = {.buffered_octets = 200'000, .whole_octets = 300};
    b.target.batch_messages = 500;
    for (int i = 0; i < 20'100; ++i) b.source.inbox().add(mail(fmt::format("{}", i)));
    std::size_t copied = 0;
    b.source.on_operation = [&, fetched = 0](std::string_view op) mutable {
        if (!op.starts_with("fetch INBOX") || ++fetched != 5'000) return;
        copied = b.target.inbox().messages.size();
        fake_folder& inbox = b.source.inbox();
        for (auto old = std::exchange(inbox.messages, {}); auto& [uid, m] : old)
            inbox.messages.emplace(inbox.uid_next++, std::move(m));
    };
    const mailbox_report r = b.run();
    EXPECT_EQ(r.messages.residual(), 0);
    EXPECT_EQ(r.messages.failed, 0U);
    EXPECT_EQ(pass_bench::content(b.source), pass_bench::content(b.target));
    EXPECT_GT(copied, 1'000U);
    EXPECT_EQ(b.source.logins, 3U) << "two, and one for what was left";
}

} // namespace
} // namespace postferry::transfer

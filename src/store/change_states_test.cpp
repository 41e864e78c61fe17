// Many mailboxes at once: as one after the other, and in few statements. Over both databases.
#include "store/refusal.hpp"
#include "support/counting_connection.hpp"
#include "support/test_store.hpp"

#include <gmock/gmock.h>

#include <thread>

namespace postferry::store {
namespace {

using testing::ElementsAre;

class many_mailboxes : public testing::TestWithParam<sql::dialect> {
  protected:
    std::vector<migration> to(const std::vector<record_id>& ids, changes steps) {
        return s_.must([&](tables& t) { return change_states(t, ids, [&](const migration&) { return steps; }); });
    }
    std::vector<std::string> events_of(record_id id) {
        std::vector<std::string> out;
        for (const event& e : s_.must([&](tables& t) { return t.events.list({.migration = id}, {}); }).rows)
            out.push_back(fmt::format("{} {} -> {} {} {}", e.at, e.before, e.after, e.actor, e.detail));
        return out;
    }
    migration mailbox(record_id id) {
        return s_.must([&](tables& t) { return t.migrations.find(id); }).value();
    }
    test_store s_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(on, many_mailboxes, support::both_databases(), support::name_of);

TEST_P(many_mailboxes, change_as_each_would_alone) {
    const auto batch = s_.batch_of();
    const auto ids = s_.add(batch, 3);
    const auto counts = [&](record_id id, std::uint64_t n) {
        s_.must(
            [&](tables& t) { return t.migrations.set_counts(id, {.messages_source = n, .octets_source = n * 10}); });
    };
    counts(ids[0], 4);
    counts(ids[2], 5);
    s_.now += 100;
    // Each by what it is; a number twice, and one that is not there.
    const auto changed = s_.must([&](tables& t) {
        return change_states(t, {ids[2], ids[0], ids[2], ids[1], 999}, [&](const migration& m) {
            if (m.id == ids[1]) return changes{};
            return changes{{.to = mailbox_state::queued,
                            .actor = fmt::format("a{}", m.position),
                            .reason = "because",
                            .due = m.id,
                            .next_pass = "bulk"}};
        });
    });
    ASSERT_EQ(changed.size(), 2U);
    EXPECT_EQ(changed[0].id, ids[0]);
    const auto m = mailbox(ids[2]);
    EXPECT_EQ(m.state, mailbox_state::queued);
    EXPECT_EQ(m.due, ids[2]);
    EXPECT_EQ(m.reason, "because");
    EXPECT_EQ(m.until, std::nullopt);
    EXPECT_EQ(m.since, s_.now);
    EXPECT_EQ(m.version, 2);
    EXPECT_EQ(changed[1].version, 2);
    EXPECT_EQ(mailbox(ids[1]).version, 1);
    EXPECT_EQ(s_.tally(batch), "ready 1, queued 2");
    EXPECT_EQ(s_.must([&](tables& t) { return t.batches.tally(batch); }).at(1).counts.octets_source, 90U);
    EXPECT_THAT(events_of(ids[2]), ElementsAre("1000100 ready -> queued a3 {\"reason\":\"because\"}"));
    EXPECT_THAT(events_of(ids[1]), testing::IsEmpty());
}

TEST_P(many_mailboxes, go_through_a_state_and_leave_it_with_an_event_each) {
    const auto batch = s_.batch_of();
    const auto ids = s_.add(batch, 2, mailbox_state::queued, 7);
    s_.now += 50;
    const auto changed = to(ids, {{.to = mailbox_state::provisioning, .actor = "w"},
                                  {.to = mailbox_state::failed, .actor = "w", .reason = "full"}});
    EXPECT_EQ(changed.at(1).queued_ms, 50U);
    EXPECT_EQ(changed.at(1).running_ms, 0U);
    EXPECT_EQ(mailbox(ids[1]).version, 3);
    EXPECT_EQ(mailbox(ids[1]).due, std::nullopt);
    EXPECT_THAT(events_of(ids[0]), ElementsAre("1000050 queued -> provisioning w {}",
                                               "1000050 provisioning -> failed w {\"reason\":\"full\"}"));
    EXPECT_EQ(s_.tally(batch), "failed 2");
}

TEST_P(many_mailboxes, change_all_or_none) {
    const auto batch = s_.batch_of();
    const auto ids = s_.add(batch, 2);
    to({ids[1]}, {{.to = mailbox_state::cancelled, .actor = "t"}});
    const auto refused = s_.in([&](tables& t) {
        return change_states(t, ids,
                             [](const migration&) { return changes{{.to = mailbox_state::paused, .actor = "t"}}; });
    });
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().response_code, refusal::not_allowed);
    EXPECT_EQ(s_.tally(batch), "ready 1, cancelled 1");
    EXPECT_EQ(mailbox(ids[0]).version, 1);
    EXPECT_TRUE(to({}, {}).empty());
}

TEST_P(many_mailboxes, get_another_moment_each_once) {
    const auto batch = s_.batch_of();
    const auto ids = s_.add(batch, 3, mailbox_state::queued, 7); // three: the statement has room for four
    s_.must([&](tables& t) {
        return t.migrations.set_due({{ids[0], 10, "bulk"}, {ids[1], std::nullopt, "delta"}, {ids[2], 0, "final"}});
    });
    EXPECT_EQ(mailbox(ids[0]).due, 10);
    EXPECT_EQ(mailbox(ids[1]).due, std::nullopt);
    EXPECT_EQ(mailbox(ids[2]).due, 1) << "0 is a moment, too";
    EXPECT_EQ(mailbox(ids[2]).next_pass, "final");
    EXPECT_EQ(mailbox(ids[2]).version, 2);
}

TEST_P(many_mailboxes, cost_few_statements) {
    const auto ids = s_.add(s_.batch_of(), 600);
    support::asked asked;
    support::counting_connection counted(s_.place().open({.name = "counted"}), asked);
    tables t(counted, [this] { return s_.now; });
    const auto changed = test_store::in(t, [&](tables& in) {
        return change_states(in, ids,
                             [](const migration&) { return changes{{.to = mailbox_state::queued, .actor = "t"}}; });
    });
    ASSERT_TRUE(changed) << changed.error().message();
    EXPECT_EQ(changed->size(), 600U);
    // 256 at a time to lock and to change, 2 x 256 + 64 + 16 + 4 + 4 events, and one tally.
    EXPECT_LE(asked.statements, 3 + 3 + 2 + 6);
    EXPECT_EQ(asked.transactions, 1);
}

TEST_P(many_mailboxes, do_not_make_two_wait_for_each_other_crosswise) {
    if (GetParam() == sql::dialect::sqlite) GTEST_SKIP() << "one writer at a time";
    const auto batch = s_.batch_of();
    auto ids = s_.add(batch, 300, mailbox_state::queued, 7);
    const auto often = [&](std::vector<record_id> all, int shard) {
        // Longer than any load makes the other take: what ends one of them is nothing but waiting crosswise.
        auto db = s_.place().open({.name = "other", .busy_timeout = std::chrono::seconds(60)});
        tables t(*db, [this] { return s_.now; }, shard);
        for (int round = 0; round < 20; ++round) {
            ASSERT_TRUE(db->begin(sql::durability::ordered));
            const auto done = change_states(t, all, [](const migration& m) {
                return changes{{.to = m.state == mailbox_state::queued ? mailbox_state::paused : mailbox_state::queued,
                                .actor = "t"}};
            });
            ASSERT_TRUE(done) << done.error().message();
            ASSERT_TRUE(db->commit());
        }
    };
    std::thread forwards(often, ids, 1);
    std::ranges::reverse(ids);
    std::thread backwards(often, ids, 2);
    forwards.join();
    backwards.join();
    EXPECT_EQ(s_.tally(batch), "queued 300");
}

} // namespace
} // namespace postferry::store

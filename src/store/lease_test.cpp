// Leases: who may work on what. Over both databases; the last tests let many threads contend, each with a connection of
// its own, as processes on several machines would.
#include "store/refusal.hpp"
#include "support/test_store.hpp"

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>

namespace postferry::store {
namespace {

class leases : public testing::TestWithParam<sql::dialect> {
  protected:
    void SetUp() override { know("w1"), know("w2"); }
    void know(const std::string& id) {
        s_.must([&](tables& t) { return t.leases.put(worker{.id = id, .started = s_.now, .seen = s_.now}); });
    }
    std::vector<record_id> take(const std::string& worker, int want, int connections = 1) {
        std::vector<record_id> ids;
        for (const taken& one : s_.must([&](tables& t) {
                 return t.leases.take({.worker = worker,
                                       .want = want,
                                       .now = s_.now,
                                       .source_connections = connections,
                                       .target_connections = connections});
             })) {
            ids.push_back(one.mailbox.id);
            tokens_[one.mailbox.id] = one.hold.token;
        }
        return ids;
    }
    void limit(const std::string& key, int connections) {
        s_.must([&](tables& t) { return t.leases.put(server{.key = key, .connections_max = connections}); });
    }
    void run(record_id id) {
        s_.must([&](tables& t) {
            return change_state(t, id, {.to = mailbox_state::copying, .actor = "worker/w1", .token = tokens_[id]});
        });
    }

    test_store s_{GetParam()};
    record_id batch_ = s_.batch_of();
    std::map<record_id, std::int64_t> tokens_;
};

INSTANTIATE_TEST_SUITE_P(on, leases, support::both_databases(), support::name_of);

using ids = std::vector<record_id>;

TEST_P(leases, what_is_due_is_taken_by_priority_then_by_moment) {
    const auto id = s_.add(batch_, 6, mailbox_state::queued, s_.now);
    s_.must([&](tables& t) { return t.migrations.set_due(id[0], s_.now + 1, "bulk"); });
    s_.must([&](tables& t) { return t.migrations.set_due(id[1], std::nullopt, "bulk"); });
    s_.must([&](tables& t) { return t.migrations.set_due(id[4], s_.now - 5, "bulk"); });
    s_.must([&](tables& t) { return t.migrations.set_priority(id[5], 3); });
    s_.must([&](tables& t) { return t.migrations.set_priority(id[3], -3); });
    EXPECT_EQ(take("w1", 2), (ids{id[5], id[4]}));
    EXPECT_EQ(take("w2", 10), (ids{id[2], id[3]}));
    EXPECT_EQ(take("w2", 10), ids{}) << "everything that is due is held";
    s_.now += 1;
    EXPECT_EQ(take("w1", 10), ids{id[0]});
}

TEST_P(leases, a_server_takes_no_more_connections_than_it_allows_and_a_full_one_blocks_nobody) {
    auto id = s_.add(batch_, 6, mailbox_state::queued, s_.now);
    auto other = test_store::mailbox(batch_, 7, mailbox_state::queued);
    other.source_server = "elsewhere:993";
    other.target_server = "another:993";
    other.due = s_.now;
    const auto free = s_.must([&](tables& t) { return t.migrations.add({other}); })[0];
    limit("new.example.org:993", 5);
    EXPECT_EQ(take("w1", 10, 2), (ids{id[0], id[1], free}));
    EXPECT_EQ(take("w2", 10, 2), ids{});
    EXPECT_EQ(take("w2", 10, 1), ids{id[2]}) << "one connection is left";
    EXPECT_TRUE(s_.must([&](tables& t) { return t.leases.release(id[0], tokens_[id[0]]); }));
    EXPECT_EQ(take("w2", 10, 2), ids{id[0]}) << "first again, as it is still due";
    const auto servers = s_.must([](tables& t) { return t.leases.servers(); });
    ASSERT_EQ(servers.size(), 4U);
    EXPECT_EQ(servers[2].limits.key, "new.example.org:993");
    EXPECT_EQ(servers[2].connections, 5);
    EXPECT_EQ(servers[2].mailboxes, 3);
    EXPECT_EQ(servers[2].workers, 2);
}

TEST_P(leases, where_a_server_is_full_the_others_still_go_by_priority_and_moment) {
    std::vector<migration> all;
    const auto wait = [&](int position, const std::string& source, const std::string& target, unix_ms due,
                          int priority) {
        auto m = test_store::mailbox(batch_, position, mailbox_state::queued);
        m.source_server = source;
        m.target_server = target;
        m.due = due;
        m.priority = priority;
        all.push_back(m);
    };
    for (int i = 1; i <= 20; ++i) wait(i, "a:993", "full:993", s_.now - 1'000, 0);
    wait(21, "a:993", "t:993", s_.now - 1, 0);
    wait(22, "b:993", "t:993", s_.now - 2, 0);
    wait(23, "b:993", "u:993", s_.now - 3, 0);
    wait(24, "c:993", "u:993", s_.now, 5);
    wait(25, "c:993", "u:993", s_.now + 1, 0);
    const auto id = s_.must([&](tables& t) { return t.migrations.add(all); });
    s_.must([&](tables& t) { return t.leases.pause_server("full:993", s_.now + 1'000, "not now"); });
    EXPECT_EQ(take("w1", 10), (ids{id[23], id[22], id[21], id[20]}));
}

TEST_P(leases, servers_without_a_limit_of_their_own_have_the_usual_one) {
    const auto id = s_.add(batch_, 5, mailbox_state::queued, s_.now);
    limit("old.example.org:993", 4);
    const auto taken = s_.must([&](tables& t) {
        return t.leases.take({.worker = "w1", .want = 10, .now = s_.now, .connections_per_server = 3});
    });
    EXPECT_EQ(taken.size(), 3U) << "of the target, which has none";
}

TEST_P(leases, a_batch_has_no_more_at_work_than_it_may) {
    const auto id = s_.add(batch_, 5, mailbox_state::queued, s_.now);
    const auto some = [&](int room) {
        return s_
            .must([&](tables& t) {
                return t.leases.take({.worker = "w1", .want = 10, .now = s_.now, .batch_room = {{batch_, room}}});
            })
            .size();
    };
    EXPECT_EQ(some(0), 0U);
    EXPECT_EQ(some(2), 2U);
    EXPECT_EQ(s_.must([](tables& t) { return t.leases.at_work(); }), (std::map<record_id, int>{{batch_, 2}}));
}

TEST_P(leases, a_paused_server_is_passed_over_until_its_moment) {
    const auto id = s_.add(batch_, 1, mailbox_state::queued, s_.now);
    auto pause = [&](std::optional<unix_ms> until) {
        s_.must([&](tables& t) { return t.leases.pause_server("old.example.org:993", until, "[THROTTLED]"); });
    };
    pause(s_.now + 100);
    pause(s_.now + 50);
    s_.now += 60;
    EXPECT_EQ(take("w1", 1), ids{}) << "the later moment stands";
    s_.now += 40;
    EXPECT_EQ(take("w1", 1), ids{id[0]});
    pause(s_.now + 100);
    pause(std::nullopt);
    EXPECT_FALSE(s_.must([](tables& t) { return t.leases.find_server("old.example.org:993"); })->paused_until);
}

TEST_P(leases, a_heartbeat_keeps_them_and_tells_what_others_have_changed) {
    const auto id = s_.add(batch_, 2, mailbox_state::queued, s_.now);
    EXPECT_EQ(take("w1", 2), id);
    run(id[0]);
    s_.now += 50'000;
    s_.must([&](tables& t) {
        return change_state(t, id[0], {.to = mailbox_state::paused, .actor = "person/1", .reason = "manual"});
    });
    const auto held = s_.must([&](tables& t) { return t.leases.renew("w1", s_.now); });
    ASSERT_EQ(held.size(), 2U);
    EXPECT_EQ(held[0].state, mailbox_state::paused);
    EXPECT_EQ(held[1].state, mailbox_state::queued);
    EXPECT_EQ(held[0].batch, batch_state::syncing);
    s_.now += 50'000;
    EXPECT_EQ(s_.must([](tables& t) { return requeue_lapsed(t, "system"); }), 0);
    EXPECT_EQ(s_.must([&](tables& t) { return t.leases.renew("w1", s_.now); }).size(), 2U);
}

TEST_P(leases, a_lapsed_one_goes_to_another_and_the_first_can_write_nothing_any_more) {
    const auto id = s_.add(batch_, 1, mailbox_state::queued, s_.now)[0];
    take("w1", 1);
    const auto old = tokens_[id];
    run(id);
    s_.now += 59'999;
    EXPECT_EQ(s_.must([](tables& t) { return requeue_lapsed(t, "system"); }), 0);
    EXPECT_EQ(take("w2", 1), ids{});
    s_.now += 2;
    EXPECT_EQ(s_.must([](tables& t) { return requeue_lapsed(t, "system"); }), 1);
    EXPECT_EQ(take("w2", 1), ids{id});
    EXPECT_GT(tokens_[id], old);
    EXPECT_FALSE(s_.must([&](tables& t) { return t.leases.holds(id, old); }));
    EXPECT_TRUE(s_.must([&](tables& t) { return t.leases.renew("w1", s_.now); }).empty());
    auto late = s_.in([&](tables& t) {
        return change_state(t, id, {.to = mailbox_state::synced, .actor = "worker/w1", .token = old});
    });
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().response_code, refusal::lease_lost);
    const auto m = s_.must([&](tables& t) { return t.migrations.find(id); });
    EXPECT_EQ(m->state, mailbox_state::queued);
    EXPECT_EQ(m->running_ms, 0U);
    EXPECT_EQ(m->stalled_ms, 60'001U) << "nobody had heard of the worker since it began";
}

TEST_P(leases, a_worker_that_is_gone_leaves_everything_at_once) {
    const auto id = s_.add(batch_, 3, mailbox_state::queued, s_.now);
    take("w1", 3);
    run(id[0]), run(id[1]);
    s_.must([](tables& t) { return t.leases.set_others_gone("w2"); });
    EXPECT_EQ(s_.must([](tables& t) { return requeue_lapsed(t, "system"); }), 2) << "the third had not begun";
    EXPECT_EQ(take("w2", 9).size(), 3U);
    auto renewed = s_.in([&](tables& t) { return t.leases.renew("w1", s_.now); });
    ASSERT_FALSE(renewed);
    EXPECT_EQ(renewed.error().response_code, refusal::missing);
    auto more = s_.in([&](tables& t) { return t.leases.take({.worker = "w1", .now = s_.now}); });
    EXPECT_FALSE(more) << "a worker that was declared gone takes nothing";
}

TEST_P(leases, a_mailbox_that_runs_and_is_held_by_nobody_is_taken_up_again) {
    const auto id = s_.add(batch_, 1, mailbox_state::copying)[0];
    EXPECT_EQ(s_.must([](tables& t) { return requeue_lapsed(t, "system"); }), 1);
    EXPECT_EQ(take("w1", 1), ids{id});
}

/// Workers that take, work for a moment, sometimes die without a word, and go on under another name.
class contention {
  public:
    contention(const support::test_database& place, int mailboxes, int cap)
        : place_(place), left_(mailboxes), cap_(cap) {}

    void work(int number) {
        auto db = place_.open({.name = "store", .busy_timeout = std::chrono::seconds(30)});
        tables t(*db, [this] { return now_.load(); }, number);
        for (int life = 0; left_ > 0; ++life) live(t, fmt::format("w{}.{}", number, life));
    }
    [[nodiscard]] const std::string& fault() const { return fault_; }
    [[nodiscard]] int worst() const { return worst_; }
    [[nodiscard]] int deaths() const { return deaths_; }

  private:
    void live(tables& t, const std::string& name) {
        if (!test_store::in(t, [&](tables& in) { return in.leases.put(worker{.id = name, .seen = now_}); })) return;
        for (int round = 0; left_ > 0; ++round) {
            (void)test_store::in(t, [&](tables& in) { return requeue_lapsed(in, "system"); });
            auto got = test_store::in(
                t, [&](tables& in) { return in.leases.take({.worker = name, .want = 4, .now = now_.load()}); });
            if (!got) return say(got.error().message());
            begin(*got);
            if (round % 7 == 6) return die(t, name, *got);
            for (const taken& one : *got) finish(t, one);
            if (got->empty()) std::this_thread::yield();
        }
    }
    void begin(const std::vector<taken>& got) {
        const std::lock_guard lock(mutex_);
        for (const taken& one : got)
            if (!at_work_.insert(one.mailbox.id).second) fault_ = "a mailbox was taken twice at once";
        worst_ = std::max(worst_, static_cast<int>(at_work_.size()));
        if (static_cast<int>(at_work_.size()) > cap_) fault_ = "more at work than the server allows";
    }
    void finish(tables& t, const taken& one) {
        leave(one.mailbox.id); // before others can see it
        auto done = test_store::in(t, [&](tables& in) -> result<bool> {
            auto changed =
                change_state(in, one.mailbox.id, {.to = mailbox_state::copying, .actor = "w", .token = one.hold.token});
            if (changed)
                changed = change_state(in, one.mailbox.id,
                                       {.to = mailbox_state::synced, .actor = "w", .token = one.hold.token});
            if (!changed) return std::unexpected(changed.error());
            return in.leases.release(one.mailbox.id, one.hold.token);
        });
        if (!done || !*done) return say(done ? "a lease was gone" : done.error().message());
        --left_;
    }
    void die(tables& t, const std::string& name, const std::vector<taken>& got) {
        for (const taken& one : got) leave(one.mailbox.id);
        ++deaths_;
        (void)test_store::in(t, [&](tables& in) { return in.leases.set_gone(name); });
    }
    void leave(record_id id) {
        const std::lock_guard lock(mutex_);
        at_work_.erase(id);
    }
    void say(const std::string& what) {
        const std::lock_guard lock(mutex_);
        fault_ = what;
        left_ = 0;
    }

    const support::test_database& place_;
    std::atomic<int> left_, deaths_{0};
    int cap_, worst_ = 0;
    std::atomic<unix_ms> now_{5'000'000};
    std::mutex mutex_;
    std::set<record_id> at_work_;
    std::string fault_;
};

TEST_P(leases, many_that_contend_take_no_mailbox_twice_forget_none_and_keep_to_the_cap) {
    constexpr int mailboxes = 200, cap = 7;
    s_.add(batch_, mailboxes, mailbox_state::queued, s_.now);
    limit("old.example.org:993", cap);
    contention all(s_.place(), mailboxes, cap);
    std::vector<std::thread> threads;
    for (int i = 0; i < 6; ++i) threads.emplace_back([&all, i] { all.work(i); });
    for (std::thread& t : threads) t.join();
    EXPECT_EQ(all.fault(), "");
    EXPECT_GT(all.worst(), 1);
    EXPECT_GT(all.deaths(), 0);
    EXPECT_EQ(s_.tally(batch_), "synced 200");
    EXPECT_TRUE(s_.must([&](tables& t) { return t.leases.of_worker("w0.0"); }).empty());
}

} // namespace
} // namespace postferry::store

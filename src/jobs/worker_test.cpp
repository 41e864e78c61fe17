// A worker over both databases, with passes that are made without any mail.
#include "jobs/hook.hpp"
#include "jobs/provision.hpp"
#include "jobs/worker.hpp"
#include "store/change_state.hpp"
#include "store/refusal.hpp"
#include "support/test_store.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::jobs {
namespace {

namespace asio = boost::asio;
using store::batch_state;
using store::mailbox_state;
using store::tables;
using testing::ElementsAre;
using testing::IsEmpty;
using transfer::pass_kind;

/// What a pass does is a function; by default it copies ten messages.
class fake_runner final : public pass_runner {
  public:
    using made = std::function<task<pass_end>(const work&, const pass_hooks&, std::stop_token)>;
    task<pass_end> run(work what, pass_hooks hooks, std::stop_token stop) override {
        kinds.emplace_back(transfer::name_of(what.kind));
        co_return co_await behave(what, hooks, stop);
    }
    made behave = [](const work&, const pass_hooks&, std::stop_token) -> task<pass_end> {
        pass_end end{.grade = "perfect", .proven = true, .report = "{}"};
        end.counts.messages_source = end.counts.messages_copied = 10;
        co_return end;
    };
    std::vector<std::string> kinds;
};

class jobs_worker : public testing::TestWithParam<sql::dialect> {
  protected:
    template <class T> T wait_for(task<T> work) {
        io_.restart();
        auto outcome = asio::co_spawn(io_, std::move(work), asio::use_future);
        while (outcome.wait_for(std::chrono::seconds(0)) != std::future_status::ready) io_.run_one();
        return outcome.get();
    }
    template <class F> auto must(F f) {
        auto out = wait_for(db_->alone(std::move(f)));
        EXPECT_TRUE(out) << out.error().message();
        return std::move(out).value();
    }
    void SetUp() override {
        store::database_options options;
        options.clock = [this] {
            const unix_ms now = now_;
            if (on_clock_) on_clock_();
            return now;
        };
        auto opened = store::database::open(place_.url(), options);
        ASSERT_TRUE(opened) << opened.error().message();
        db_ = std::move(*opened);
        batch_ = must([](tables& t) {
                     return t.batches.add({.name = "b", .state = batch_state::syncing, .created_by = "t"});
                 }).id;
    }
    std::vector<store::record_id> add(int count, mailbox_state state = mailbox_state::queued,
                                      std::string pass = "bulk") {
        std::vector<store::migration> all;
        for (int i = 1; i <= count; ++i) {
            all.push_back(store::test_store::mailbox(batch_, i, state));
            all.back().due = now_;
            all.back().next_pass = pass;
        }
        return must([all](tables& t) { return t.migrations.add(all); });
    }
    store::migration mailbox(store::record_id id) {
        return must([id](tables& t) { return t.migrations.find(id); }).value();
    }
    std::unique_ptr<worker> make(worker_options options = {}) {
        auto w = std::make_unique<worker>(io_.get_executor(), *db_, runner_, options);
        EXPECT_TRUE(wait_for(w->enlist(store::worker_state::running)));
        return w;
    }
    /// Takes what is due and waits until it has ended.
    int work_off(worker& w) {
        const auto taken = wait_for(take(w));
        EXPECT_TRUE(taken) << taken.error().message();
        wait_for(settle(w));
        return taken.value_or(-1);
    }
    static task<result<int>> take(worker& w) {
        co_return co_await asio::co_spawn(w.strand(), w.take(), asio::use_awaitable);
    }
    static task<result<void>> beat(worker& w) {
        co_return co_await asio::co_spawn(w.strand(), w.beat(), asio::use_awaitable);
    }
    static task<int> settle(worker& w) {
        co_await asio::co_spawn(w.strand(), w.settle(), asio::use_awaitable);
        co_return 0;
    }
    void set_settings(std::string json) {
        must([this, json](tables& t) -> result<store::batch> {
            auto b = t.batches.find(batch_);
            if (!b) return std::unexpected(b.error());
            (*b)->settings = json;
            return t.batches.update(**b);
        });
    }
    /// A pass that waits until it is told to stop.
    static task<pass_end> until_stopped(std::stop_token stop, bool& running) {
        asio::steady_timer timer(co_await asio::this_coro::executor);
        running = true;
        while (!stop.stop_requested()) {
            timer.expires_after(std::chrono::milliseconds(1));
            co_await timer.async_wait(asio::use_awaitable);
        }
        co_return pass_end{.what = pass_end::how::stopped};
    }
    task<int> wait_until(const bool& flag) {
        asio::steady_timer timer(io_);
        while (!flag) {
            timer.expires_after(std::chrono::milliseconds(1));
            co_await timer.async_wait(asio::use_awaitable);
        }
        co_return 0;
    }

    support::test_database place_{GetParam()};
    std::atomic<unix_ms> now_ = 1'795'370'400'000;
    std::function<void()> on_clock_; ///< when the database is asked for the time, on its thread
    asio::io_context io_;
    std::unique_ptr<store::database> db_;
    store::record_id batch_ = 0, other_ = 0;
    fake_runner runner_;
};

INSTANTIATE_TEST_SUITE_P(on, jobs_worker, support::both_databases(), support::name_of);

TEST_P(jobs_worker, makes_the_pass_that_is_due_and_keeps_what_came_of_it) {
    const auto id = add(1).at(0);
    auto w = make();
    EXPECT_EQ(work_off(*w), 1);
    const auto m = mailbox(id);
    EXPECT_EQ(m.state, mailbox_state::synced);
    EXPECT_EQ(m.counts.messages_copied, 10U);
    EXPECT_EQ(m.grade, "perfect");
    EXPECT_EQ(m.next_pass, "delta");
    EXPECT_FALSE(must([id](tables& t) { return t.leases.find(id); }));
    const auto passes = must([id](tables& t) { return t.passes.list(id, {}); }).rows;
    ASSERT_EQ(passes.size(), 1U);
    EXPECT_EQ(passes[0].outcome, "done");
    EXPECT_EQ(passes[0].worker, w->id());
    EXPECT_EQ(work_off(*w), 0);
}

TEST_P(jobs_worker, takes_no_more_than_it_has_hands) {
    add(5);
    auto w = make({.jobs = 2});
    EXPECT_EQ(work_off(*w), 2);
    EXPECT_EQ(work_off(*w), 2);
    EXPECT_EQ(work_off(*w), 1);
    EXPECT_EQ(runner_.kinds.size(), 5U);
}

TEST_P(jobs_worker, verifies_after_the_final_pass_under_the_same_lease) {
    const auto id = add(1, mailbox_state::queued, "final").at(0);
    auto w = make();
    work_off(*w);
    EXPECT_THAT(runner_.kinds, ElementsAre("final", "verify"));
    EXPECT_EQ(mailbox(id).state, mailbox_state::completed);
    EXPECT_FALSE(must([id](tables& t) { return t.leases.find(id); }));
}

TEST_P(jobs_worker, takes_a_synced_one_up_again_when_its_time_has_come) {
    set_settings(R"({"delta_every_minutes":60})");
    const auto id = add(1).at(0);
    auto w = make();
    work_off(*w);
    EXPECT_EQ(work_off(*w), 0);
    now_ += 3'600'000;
    EXPECT_EQ(work_off(*w), 1);
    EXPECT_THAT(runner_.kinds, ElementsAre("bulk", "delta"));
    EXPECT_EQ(mailbox(id).state, mailbox_state::synced);
}

TEST_P(jobs_worker, none_calls_off_the_configurations_deltas_also_those_that_were_due) {
    const auto id = add(1).at(0);
    auto w = make({.delta_every_minutes = 60});
    work_off(*w);
    set_settings(R"({"delta_every_minutes":0})");
    now_ += 3'600'000;
    EXPECT_EQ(work_off(*w), 0);
    EXPECT_EQ(mailbox(id).state, mailbox_state::synced);
    EXPECT_EQ(mailbox(id).due, std::nullopt);
    EXPECT_FALSE(must([id](tables& t) { return t.leases.find(id); }));
    EXPECT_THAT(runner_.kinds, ElementsAre("bulk"));
}

TEST_P(jobs_worker, waits_for_a_window) {
    set_settings(R"({"windows":[{"days":"daily","from":"22:00","to":"23:00"}]})"); // it is 18:00
    const auto id = add(1).at(0);
    auto w = make();
    EXPECT_EQ(work_off(*w), 0);
    EXPECT_EQ(mailbox(id).state, mailbox_state::paused);
    EXPECT_EQ(mailbox(id).reason, "window");
    EXPECT_FALSE(must([id](tables& t) { return t.leases.find(id); }));
    now_ += 4 * 3'600'000;
    EXPECT_EQ(work_off(*w), 1);
    EXPECT_EQ(mailbox(id).state, mailbox_state::synced);
}

TEST_P(jobs_worker, counts_failures_in_a_row) {
    set_settings(R"({"retries":1})");
    runner_.behave = [](const work&, const pass_hooks&, std::stop_token) -> task<pass_end> {
        co_return pass_end{.what = pass_end::how::failed,
                           .why = error{.cls = retry_class::transient,
                                        .what = "the line fell",
                                        .server_said = {},
                                        .advice = {},
                                        .response_code = {}}};
    };
    const auto id = add(1).at(0);
    auto w = make();
    EXPECT_EQ(work_off(*w), 1);
    EXPECT_EQ(mailbox(id).state, mailbox_state::queued);
    EXPECT_EQ(work_off(*w), 0); // not before its pause is over
    now_ += 60'000;
    EXPECT_EQ(work_off(*w), 1);
    EXPECT_EQ(mailbox(id).state, mailbox_state::failed);
    EXPECT_EQ(mailbox(id).reason, "the line fell");
}

TEST_P(jobs_worker, stops_a_pass_that_somebody_has_paused) {
    bool at_it = false;
    runner_.behave = [&](const work&, const pass_hooks&, std::stop_token stop) { return until_stopped(stop, at_it); };
    const auto id = add(1).at(0);
    auto w = make();
    ASSERT_TRUE(wait_for(take(*w)));
    wait_for(wait_until(at_it));
    must([id](tables& t) {
        return store::change_state(t, id, {.to = mailbox_state::paused, .actor = "person/1", .reason = "manual"});
    });
    EXPECT_TRUE(wait_for(beat(*w)));
    wait_for(settle(*w));
    EXPECT_EQ(mailbox(id).state, mailbox_state::paused);
    EXPECT_EQ(mailbox(id).reason, "manual");
    EXPECT_FALSE(must([id](tables& t) { return t.leases.find(id); }));
}

TEST_P(jobs_worker, a_mailbox_of_a_worker_that_died_is_taken_up_by_another) {
    bool at_it = false;
    std::shared_ptr<const lease_clock> first;
    runner_.behave = [&](const work& what, const pass_hooks&, std::stop_token stop) {
        first = what.lease;
        return until_stopped(stop, at_it);
    };
    const auto id = add(1).at(0);
    std::int64_t steady = 0;
    auto dead = make(), alive = make({.steady_ms = [&steady] { return steady; }});
    ASSERT_TRUE(wait_for(take(*dead)));
    wait_for(wait_until(at_it));
    runner_.behave = fake_runner().behave;
    for (now_ += 61'000; steady < 45'000; steady += 15'000) { // by the store's clock, which may have been set
        EXPECT_TRUE(wait_for(beat(*alive)));
        EXPECT_EQ(work_off(*alive), 0) << steady;
    }
    steady = 50'000; // and nobody has heard of the first one
    EXPECT_TRUE(wait_for(beat(*alive)));
    EXPECT_EQ(work_off(*alive), 1);
    EXPECT_EQ(mailbox(id).state, mailbox_state::synced);
    // It wakes: its lease does not stand, its pass is stopped, and its end changes nothing.
    EXPECT_TRUE(wait_for(beat(*dead)));
    EXPECT_FALSE(first->stands());
    wait_for(settle(*dead));
    EXPECT_EQ(mailbox(id).state, mailbox_state::synced);
    EXPECT_EQ(mailbox(id).passes, 1U);
}

TEST_P(jobs_worker, a_store_whose_clock_is_set_forward_takes_nothing_from_who_lives) {
    bool at_it = false;
    runner_.behave = [&](const work&, const pass_hooks&, std::stop_token stop) { return until_stopped(stop, at_it); };
    const auto id = add(1).at(0);
    std::int64_t steady = 0;
    auto first = make(), second = make({.steady_ms = [&steady] { return steady; }});
    ASSERT_TRUE(wait_for(take(*first)));
    wait_for(wait_until(at_it));
    EXPECT_TRUE(wait_for(beat(*second)));
    const auto token = must([id](tables& t) { return t.leases.find(id); })->token;
    steady = 15'000;
    now_ += 86'400'000;
    EXPECT_TRUE(wait_for(beat(*second)));
    EXPECT_TRUE(wait_for(beat(*first)));
    steady = 66'000;
    EXPECT_TRUE(wait_for(beat(*second)));
    EXPECT_EQ(must([id](tables& t) { return t.leases.find(id); })->token, token);
    first->stop();
    wait_for(settle(*first));
}

TEST_P(jobs_worker, what_was_due_stays_due_when_the_clock_is_set_back) {
    constexpr unix_ms day = 86'400'000;
    const auto id = add(3);
    must([id, now = now_.load()](tables& t) -> result<store::migration> {
        auto later = store::change_state(t, id[1], {.to = mailbox_state::queued, .actor = "t", .due = now + 30'000});
        if (!later) return later;
        return store::change_state(
            t, id[2], {.to = mailbox_state::throttled, .actor = "t", .until = now + 40'000, .due = now + 40'000});
    });
    auto w = make({.steady_ms = [] { return std::int64_t{0}; }});
    now_ -= day;
    EXPECT_TRUE(wait_for(beat(*w)));
    EXPECT_TRUE(wait_for(beat(*w))) << "once is enough";
    EXPECT_EQ(mailbox(id[0]).due, now_);
    EXPECT_EQ(mailbox(id[1]).due, now_ + 30'000);
    EXPECT_EQ(mailbox(id[2]).due, now_ + 40'000);
    EXPECT_EQ(mailbox(id[2]).until, now_ + 40'000);
    EXPECT_EQ(work_off(*w), 1);
}

TEST_P(jobs_worker, a_moment_that_was_asked_for_stays_when_the_clock_is_set_back) {
    const auto id = add(1).at(0);
    const unix_ms start = now_ + 3'600'000;
    must([id, start, batch = batch_](tables& t) -> result<store::migration> {
        auto b = t.batches.find(batch);
        if (!b) return std::unexpected(b.error());
        (*b)->start_at = start;
        if (auto ok = t.batches.update(**b); !ok) return std::unexpected(ok.error());
        return store::change_state(t, id, {.to = mailbox_state::queued, .actor = "t", .due = start});
    });
    auto w = make();
    now_ -= 86'400'000;
    EXPECT_TRUE(wait_for(beat(*w)));
    EXPECT_EQ(mailbox(id).due, start);
}

TEST_P(jobs_worker, lets_go_of_a_mailbox_whose_pass_broke) {
    runner_.behave = [](const work&, const pass_hooks&, std::stop_token) -> task<pass_end> {
        throw std::runtime_error("a defect");
        co_return pass_end{};
    };
    const auto id = add(1).at(0);
    auto w = make();
    EXPECT_EQ(work_off(*w), 1);
    EXPECT_TRUE(must([id](tables& t) { return t.leases.find(id); }));
    EXPECT_TRUE(wait_for(beat(*w)));
    EXPECT_FALSE(must([id](tables& t) { return t.leases.find(id); }));
    EXPECT_EQ(mailbox(id).state, mailbox_state::queued);
    EXPECT_EQ(mailbox(id).due, now_);
}

TEST_P(jobs_worker, gives_everything_back_when_it_stops) {
    bool at_it = false;
    runner_.behave = [&](const work&, const pass_hooks&, std::stop_token stop) { return until_stopped(stop, at_it); };
    const auto id = add(1).at(0);
    worker w(io_.get_executor(), *db_, runner_, {.look = std::chrono::milliseconds(5)});
    io_.restart();
    auto done = asio::co_spawn(w.strand(), w.run(), asio::use_future);
    wait_for(wait_until(at_it));
    w.stop();
    while (done.wait_for(std::chrono::seconds(0)) != std::future_status::ready) io_.run_one();
    EXPECT_TRUE(done.get());
    EXPECT_EQ(mailbox(id).state, mailbox_state::queued);
    EXPECT_EQ(mailbox(id).due, now_);
    EXPECT_FALSE(must([id](tables& t) { return t.leases.find(id); }));
}

TEST_P(jobs_worker, keeps_the_log_of_a_mailbox) {
    runner_.behave = [](const work&, const pass_hooks& hooks, std::stop_token) -> task<pass_end> {
        hooks.on_line(store::log_level::warning, "INBOX", "keyword dropped");
        for (int i = 0; i < 2'000; ++i) hooks.on_line(store::log_level::info, "", "chatter");
        co_return pass_end{};
    };
    const auto id = add(1).at(0);
    auto w = make();
    work_off(*w);
    const auto lines = must([id](tables& t) { return t.logs.list({.migration = id}, {.limit = 5'000}); }).rows;
    ASSERT_EQ(lines.size(), 1'002U); // bounded, and it says so
    EXPECT_EQ(lines[0].text, "bulk pass begins");
    EXPECT_EQ(lines[1].folder, "INBOX");
    EXPECT_EQ(lines[1'000].text, "1002 more lines were left out");
    EXPECT_EQ(lines.back().text, "bulk pass done: 0 messages on the source, 0 copied, 0 there already");
}

TEST_P(jobs_worker, one_bad_batch_costs_nobody_else_his_turn) {
    const auto good = add(1).at(0);
    const auto other =
        must([](tables& t) {
            return t.batches.add(
                {.name = "bad", .state = batch_state::syncing, .settings = "{\"x\":1}", .created_by = "t"});
        }).id;
    std::swap(batch_, other_ = other);
    const auto bad = add(1).at(0);
    auto w = make();
    EXPECT_EQ(work_off(*w), 1);
    EXPECT_EQ(mailbox(good).state, mailbox_state::synced);
    EXPECT_EQ(mailbox(bad).state, mailbox_state::failed);
    EXPECT_THAT(mailbox(bad).reason, testing::HasSubstr("settings of a batch"));
    EXPECT_THAT(must([](tables& t) { return t.leases.lapsed(INT64_MAX); }), IsEmpty());
}

TEST_P(jobs_worker, what_is_queued_in_a_batch_that_was_stopped_is_paused) {
    const auto id = add(1).at(0);
    must([this](tables& t) {
        return store::change_state(t, batch_, store::batch_change{.to = batch_state::stopped, .actor = "t"});
    });
    auto w = make();
    EXPECT_EQ(work_off(*w), 0);
    EXPECT_EQ(mailbox(id).state, mailbox_state::paused);
    EXPECT_EQ(mailbox(id).reason, "manual");
}

TEST_P(jobs_worker, a_batch_may_have_only_so_many_at_work) {
    add(5);
    set_settings(R"({"mailboxes_at_a_time":2})");
    auto w = make();
    EXPECT_EQ(work_off(*w), 2);
    EXPECT_EQ(work_off(*w), 2);
    EXPECT_EQ(work_off(*w), 1);
}

TEST_P(jobs_worker, servers_without_a_limit_have_the_usual_one) {
    add(5);
    auto w = make({.connections_per_server = 3});
    EXPECT_EQ(work_off(*w), 3);
}

TEST_P(jobs_worker, the_configurations_hours_and_deltas_are_for_batches_that_say_nothing) {
    const auto id = add(1).at(0);
    auto w = make({.delta_every_minutes = 60});
    work_off(*w);
    EXPECT_THAT(mailbox(id).due, testing::Optional(now_ + 3'600'000));
    const auto late = add(2).at(1); // the first is there
    auto closed = make({.windows = {{.days = 0x7F, .from_minute = 22 * 60, .to_minute = 23 * 60}}});
    EXPECT_EQ(work_off(*closed), 0);
    EXPECT_EQ(mailbox(late).state, mailbox_state::paused);
}

TEST_P(jobs_worker, the_account_comes_before_the_first_pass) {
    const auto ids = add(3);
    std::vector<store::record_id> made;
    account_maker accounts;
    accounts.wanted = [](const store::migration& m, store::batch_mode, const batch_settings&) { return m.passes == 0; };
    accounts.make = [&](work what, std::string, std::stop_token) -> task<provision_end> {
        EXPECT_EQ(what.mailbox.state, mailbox_state::provisioning);
        made.push_back(what.mailbox.id);
        provision_end end;
        if (what.mailbox.id == ids[1]) end.what = provision_end::how::done;
        if (what.mailbox.id == ids[2]) {
            end.what = provision_end::how::failed;
            end.why = fail(retry_class::permanent, phase::create, "no such domain").error();
        }
        co_return end;
    };
    auto w = make({.accounts = accounts});
    EXPECT_EQ(work_off(*w), 3);
    EXPECT_THAT(made, testing::UnorderedElementsAreArray(ids));
    EXPECT_THAT(runner_.kinds, ElementsAre("bulk"));
    EXPECT_EQ(mailbox(ids[0]).state, mailbox_state::synced);
    EXPECT_EQ(mailbox(ids[1]).state, mailbox_state::completed);
    EXPECT_EQ(mailbox(ids[2]).state, mailbox_state::failed);
    EXPECT_THAT(mailbox(ids[2]).reason, testing::HasSubstr("no such domain"));
}

class fake_hook final : public hook_runner {
  public:
    task<hook_end> run(const work& what, mailbox_state becomes, std::string grade) override {
        ran.push_back(fmt::format("{} {} {}", what.settings.hook.command.at(0), store::name_of(becomes), grade));
        co_return hook_end{.good = false, .text = "it said no"};
    }
    std::vector<std::string> ran;
};

TEST_P(jobs_worker, the_hook_runs_when_it_is_verified_and_its_failure_is_told) {
    const auto id = add(1, mailbox_state::queued, "final").at(0);
    set_settings(R"({"hook":{"command":["/bin/done"]}})");
    fake_hook hook;
    auto w = make({.hook = &hook});
    EXPECT_EQ(work_off(*w), 1);
    EXPECT_THAT(hook.ran, ElementsAre("/bin/done completed perfect"));
    EXPECT_EQ(mailbox(id).state, mailbox_state::completed);
    const auto lines = must([id](tables& t) { return t.logs.list({.migration = id}, {}); });
    ASSERT_FALSE(lines.rows.empty());
    EXPECT_EQ(lines.rows.back().text, "it said no");
    const auto events =
        must([id](tables& t) { return t.events.list({.migration = id, .kind_prefix = "mailbox.hook"}, {}); });
    ASSERT_EQ(events.rows.size(), 1U);
    EXPECT_EQ(events.rows[0].after, "failed");
}

TEST_P(jobs_worker, the_batch_follows_its_mailboxes) {
    const auto state = [this] { return must([this](tables& t) { return t.batches.find(batch_); })->state; };
    add(3);
    auto w = make({.jobs = 2});
    work_off(*w);
    EXPECT_EQ(state(), batch_state::syncing) << "one still waits";
    work_off(*w);
    EXPECT_EQ(state(), batch_state::synced);
}

TEST_P(jobs_worker, looks_again_when_there_is_news_while_it_looks) {
    const auto id = add(1).at(0);
    must([this, id](tables& t) { return t.migrations.set_due(id, now_ + 1'000, "bulk"); });
    // So long that only the news can be why it is found.
    worker w(io_.get_executor(), *db_, runner_,
             {.term = std::chrono::hours(4), .beat = std::chrono::hours(1), .look = std::chrono::hours(1)});
    int asked = 0;
    on_clock_ = [&] {
        // Registering asks once, the look for work comes after it: it finds nothing, and has not ended yet.
        if (++asked != 2) return;
        now_ += 2'000;
        w.wake();
    };
    runner_.behave = [&](const work&, const pass_hooks&, std::stop_token) -> task<pass_end> {
        w.stop();
        co_return pass_end{.what = pass_end::how::stopped};
    };
    io_.restart();
    auto done = asio::co_spawn(w.strand(), w.run(), asio::use_future);
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (runner_.kinds.empty() && std::chrono::steady_clock::now() < give_up)
        io_.run_one_for(std::chrono::milliseconds(50));
    EXPECT_THAT(runner_.kinds, ElementsAre("bulk")) << "what had happened during the look was forgotten";
    w.stop();
    while (done.wait_for(std::chrono::seconds(0)) != std::future_status::ready) io_.run_one();
    EXPECT_TRUE(done.get());
}

} // namespace
} // namespace postferry::jobs

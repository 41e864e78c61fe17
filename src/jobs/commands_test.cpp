#include "jobs/commands.hpp"
#include "store/change_state.hpp"
#include "store/refusal.hpp"
#include "support/counting_connection.hpp"
#include "support/test_store.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::jobs {
namespace {

namespace asio = boost::asio;
using store::batch_state;
using store::mailbox_state;
using store::tables;
using testing::Optional;

class jobs_commands : public testing::TestWithParam<sql::dialect> {
  protected:
    void SetUp() override {
        store::database_options options;
        options.clock = [this] { return now_.load(); };
        options.in_front = [this](auto db) {
            return std::make_unique<support::counting_connection>(std::move(db), asked_);
        };
        auto opened = store::database::open(place_.url(), options);
        ASSERT_TRUE(opened) << opened.error().message();
        db_ = std::move(*opened);
        commands_ = std::make_unique<commands>(*db_, [this] { ++woken_; });
        batch_ = must(db_->alone([](tables& t) {
                     return t.batches.add({.name = "b", .state = batch_state::ready, .created_by = "t"});
                 })).id;
    }
    template <class T> T wait_for(task<T> work) {
        io_.restart();
        auto outcome = asio::co_spawn(io_, std::move(work), asio::use_future);
        io_.run();
        return outcome.get();
    }
    template <class T> T must(task<result<T>> work) {
        auto out = wait_for(std::move(work));
        EXPECT_TRUE(out) << out.error().message();
        return std::move(out).value();
    }
    store::record_id add(mailbox_state state) {
        store::migration m = store::test_store::mailbox(batch_, ++count_, state);
        return must(db_->alone([m](tables& t) { return t.migrations.add({m}); })).at(0);
    }
    store::migration mailbox(store::record_id id) {
        return must(db_->read([id](tables& t) { return t.migrations.find(id); })).value();
    }
    batch_state state() {
        return must(db_->read([id = batch_](tables& t) { return t.batches.find(id); })).value().state;
    }

    support::asked asked_;
    support::test_database place_{GetParam()};
    std::atomic<unix_ms> now_ = 1'795'370'400'000;
    asio::io_context io_;
    std::unique_ptr<store::database> db_;
    std::unique_ptr<commands> commands_;
    store::record_id batch_ = 0;
    int count_ = 0, woken_ = 0;
};

INSTANTIATE_TEST_SUITE_P(on, jobs_commands, support::both_databases(), support::name_of);

TEST_P(jobs_commands, start_queues_what_is_ready_and_nothing_else) {
    const auto ready = add(mailbox_state::ready), bad = add(mailbox_state::invalid);
    const auto out = must(commands_->batch(batch_, command::start, "person/1"));
    EXPECT_EQ(out.changed, 1);
    EXPECT_EQ(out.left, 1);
    EXPECT_EQ(state(), batch_state::syncing);
    EXPECT_EQ(mailbox(ready).state, mailbox_state::queued);
    EXPECT_THAT(mailbox(ready).due, Optional(now_.load()));
    EXPECT_EQ(mailbox(bad).state, mailbox_state::invalid);
    EXPECT_GT(woken_, 0);
}

TEST_P(jobs_commands, a_large_batch_is_taken_in_bites) {
    std::vector<store::migration> all;
    for (int i = 0; i < commands::bite * 2 + 1; ++i)
        all.push_back(store::test_store::mailbox(batch_, i, mailbox_state::ready));
    must(db_->alone([all](tables& t) { return t.migrations.add(all); }));
    const int before = asked_.statements;
    EXPECT_EQ(must(commands_->batch(batch_, command::start, "person/1")).changed, commands::bite * 2 + 1);
    EXPECT_LE(asked_.statements - before, 100) << "some twenty a bite, and some about the batch";
    EXPECT_EQ(must(commands_->batch(batch_, command::start, "person/1")).changed, 0);
}

TEST_P(jobs_commands, pause_and_resume) {
    const auto id = add(mailbox_state::ready);
    must(commands_->batch(batch_, command::start, "person/1"));
    must(commands_->batch(batch_, command::pause, "person/1"));
    EXPECT_EQ(mailbox(id).state, mailbox_state::paused);
    EXPECT_EQ(mailbox(id).reason, "manual");
    EXPECT_EQ(mailbox(id).due, std::nullopt);
    EXPECT_EQ(state(), batch_state::stopped);
    must(commands_->batch(batch_, command::resume, "person/1"));
    EXPECT_EQ(mailbox(id).state, mailbox_state::queued);
    EXPECT_EQ(state(), batch_state::syncing);
}

TEST_P(jobs_commands, retry_takes_what_failed_only) {
    const auto failed = add(mailbox_state::failed), done = add(mailbox_state::completed);
    must(commands_->batch(batch_, command::start, "person/1"));
    EXPECT_EQ(must(commands_->batch(batch_, command::retry, "person/1")).changed, 1);
    EXPECT_EQ(mailbox(failed).state, mailbox_state::queued);
    EXPECT_EQ(mailbox(done).state, mailbox_state::completed);
}

TEST_P(jobs_commands, finish_asks_for_the_last_pass_and_sweeps_what_is_done) {
    const auto synced = add(mailbox_state::synced), done = add(mailbox_state::completed);
    must(commands_->batch(batch_, command::start, "person/1"));
    EXPECT_EQ(must(commands_->batch(batch_, command::finish, "person/1")).changed, 2);
    EXPECT_EQ(state(), batch_state::cutting_over);
    EXPECT_EQ(mailbox(synced).next_pass, "final");
    EXPECT_EQ(mailbox(done).next_pass, "sweep");
    EXPECT_EQ(mailbox(done).state, mailbox_state::queued);
}

TEST_P(jobs_commands, one_mailbox_at_a_time) {
    const auto id = add(mailbox_state::ready);
    EXPECT_EQ(must(commands_->mailbox(id, command::start, "person/1")).state, mailbox_state::queued);
    const auto refused = wait_for(commands_->mailbox(id, command::resume, "person/1"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().response_code, store::refusal::not_allowed);
    EXPECT_EQ(must(commands_->set_priority(id, 7, "person/1")).priority, 7);
    EXPECT_EQ(mailbox(id).priority, 7);
    EXPECT_EQ(must(commands_->mailbox(id, command::cancel, "person/1")).state, mailbox_state::cancelled);
    EXPECT_EQ(wait_for(commands_->mailbox(99'999, command::cancel, "person/1")).error().response_code,
              store::refusal::missing);
}

TEST_P(jobs_commands, waits_for_the_batchs_start_and_its_windows) {
    const auto id = add(mailbox_state::ready);
    must(db_->alone([this](tables& t) -> result<store::batch> {
        auto b = t.batches.find(batch_);
        if (!b) return std::unexpected(b.error());
        (*b)->start_at = now_ + 86'400'000;
        (*b)->settings = R"({"windows":[{"days":"daily","from":"22:00","to":"23:00"}]})";
        return t.batches.update(**b);
    }));
    must(commands_->batch(batch_, command::start, "person/1"));
    EXPECT_EQ(mailbox(id).state, mailbox_state::ready);
    EXPECT_EQ(must(commands_->start_due()), 0);
    now_ += 86'400'000;
    EXPECT_EQ(must(commands_->start_due()), 1);
    EXPECT_EQ(mailbox(id).state, mailbox_state::queued);
    EXPECT_THAT(mailbox(id).due, Optional(now_ + 4 * 3'600'000)); // when it opens
    EXPECT_EQ(must(commands_->start_due()), 0);
}

} // namespace
} // namespace postferry::jobs

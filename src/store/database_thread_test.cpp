// Which calls share a transaction, and what each of them is told when it goes wrong. The queue fills behind a job that
// holds the thread, so that the groups are the same in every run.
#include "sql/sqlite.hpp"
#include "store/database_thread.hpp"
#include "store/ledger_schema.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <future>

namespace postferry::store {
namespace {

using kind = database_job::kind;

/// What the connection was asked to do, in short: "begin", "begin synced", "savepoint", "release", "undo", "commit",
/// "rollback", "single".
using transcript = std::vector<std::string>;

/// A connection in memory that keeps a transcript, and whose next commits can be made to fail.
class watched_connection final : public sql::connection {
  public:
    watched_connection(transcript& said, int& failing_commits) : said_(said), failing_commits_(failing_commits) {
        EXPECT_TRUE(sql::migrate(*db_, ledger_schema()));
    }
    using sql::connection::prepare;
    result<sql::query> prepare(std::string_view text) override { return db_->prepare(text); }
    sql::dialect dialect() const noexcept override { return db_->dialect(); }
    result<void> script(std::string_view text) override { return db_->script(text); }
    result<void> begin(sql::durability how) override {
        said_.emplace_back(how == sql::durability::synced ? "begin synced" : "begin");
        return db_->begin(how);
    }
    result<void> commit() override {
        if (failing_commits_ > 0) {
            --failing_commits_;
            return fail(retry_class::local, phase::ledger, "the disk is full");
        }
        said_.emplace_back("commit");
        return db_->commit();
    }
    void rollback() noexcept override {
        if (in_transaction()) said_.emplace_back("rollback");
        db_->rollback();
    }
    bool in_transaction() const noexcept override { return db_->in_transaction(); }
    void begin_single() noexcept override {
        said_.emplace_back("single");
        db_->begin_single();
    }
    void end_single() noexcept override { db_->end_single(); }
    result<void> savepoint() override { return said_.emplace_back("savepoint"), db_->savepoint(); }
    result<void> release_savepoint() override { return said_.emplace_back("release"), db_->release_savepoint(); }
    result<void> rollback_to_savepoint() override { return said_.emplace_back("undo"), db_->rollback_to_savepoint(); }
    result<bool> was_committed() override { return db_->was_committed(); }
    result<void> lock_schema() override { return db_->lock_schema(); }
    result<sql::schema_mark> read_schema_mark() override { return db_->read_schema_mark(); }
    result<void> write_schema_mark(std::uint32_t a, int v) override { return db_->write_schema_mark(a, v); }
    sql::trouble last_trouble() const noexcept override { return db_->last_trouble(); }

  private:
    transcript& said_;
    int& failing_commits_;
    std::unique_ptr<sql::connection> db_ = std::move(*sql::open_sqlite({}, {.name = "ledger"}));
};

using work = std::function<result<std::int64_t>(tables&)>;

class test_job final : public database_job {
  public:
    test_job(kind k, work w) : database_job(k), work_(std::move(w)) {}
    bool run(tables& t) override {
        outcome_ = work_(t);
        return outcome_.has_value();
    }
    void fail(const error& why) override { outcome_ = std::unexpected(why); }
    void complete() override { told_.set_value(outcome_ ? std::to_string(*outcome_) : outcome_.error().what); }
    std::future<std::string> told() { return told_.get_future(); }

  private:
    work work_;
    result<std::int64_t> outcome_;
    std::promise<std::string> told_;
};

class group_commit : public testing::Test {
  protected:
    /// Carries out these jobs as they are found waiting together; what each was told ("mailbox id" or the error).
    std::vector<std::string> together(std::vector<std::pair<kind, work>> jobs) {
        std::promise<void> held, go;
        hold(held, go);
        held.get_future().wait();
        std::vector<std::future<std::string>> waiting;
        for (auto& [k, w] : jobs) {
            auto job = std::make_unique<test_job>(k, std::move(w));
            waiting.push_back(job->told());
            queue_.push(std::move(job));
        }
        go.set_value();
        std::vector<std::string> told;
        for (auto& w : waiting) told.push_back(w.get());
        return told;
    }
    void hold(std::promise<void>& held, std::promise<void>& go) {
        queue_.push(std::make_unique<test_job>(
            kind::read, [&held, going = go.get_future().share()](tables&) -> result<std::int64_t> {
                held.set_value();
                going.wait();
                return 0;
            }));
    }
    static work add(const std::string& key) {
        return [key](tables& t) { return t.ledger.add_mailbox(key, "t"); };
    }
    static work find(const std::string& key) {
        return [key](tables& t) -> result<std::int64_t> {
            auto found = t.ledger.find_mailbox(key, "t");
            if (!found) return std::unexpected(found.error());
            return found->value_or(0);
        };
    }

    transcript said_;
    int failing_commits_ = 0;
    void end() {
        queue_.stop();
        thread_.reset();
    }
    void TearDown() override { end(); }

    job_queue queue_{"the ledger's queue is full"};
    outage_board board_;
    std::unique_ptr<database_thread> thread_ =
        std::make_unique<database_thread>(queue_, board_, std::make_unique<watched_connection>(said_, failing_commits_),
                                          thread_settings{.name = "ledger"}, false);
};

using told = std::vector<std::string>;

TEST_F(group_commit, writers_that_wait_share_one_commit) {
    said_.clear();
    EXPECT_EQ(
        together({{kind::write, add("a")}, {kind::write, add("b")}, {kind::read, find("b")}, {kind::write, add("c")}}),
        (told{"1", "2", "2", "3"}));
    end();
    EXPECT_EQ(said_,
              (transcript{"begin", "savepoint", "release", "savepoint", "release", "savepoint", "release", "commit"}));
}

TEST_F(group_commit, a_single_read_sees_what_its_group_has_written) {
    EXPECT_EQ(together({{kind::write, add("a")}, {kind::single_read, find("a")}}), (told{"1", "1"}));
    EXPECT_EQ(together({{kind::single_read, find("a")}}), told{"1"});
}

TEST(a_reader, puts_no_transaction_around_a_single_read) {
    transcript said;
    int no_failures = 0;
    job_queue queue{"full"};
    outage_board board;
    auto thread = std::make_unique<database_thread>(
        queue, board, std::make_unique<watched_connection>(said, no_failures), thread_settings{.name = "ledger"}, true);
    const auto ask = [&](kind how) {
        auto job = std::make_unique<test_job>(how, [](tables& t) -> result<std::int64_t> {
            auto found = t.ledger.find_mailbox("a", "t");
            if (!found) return std::unexpected(found.error());
            return found->value_or(0);
        });
        auto told = job->told();
        queue.push(std::move(job));
        return told.get();
    };
    said.clear();
    EXPECT_EQ(ask(kind::read), "0");
    EXPECT_EQ(ask(kind::single_read), "0");
    queue.stop();
    thread.reset();
    EXPECT_EQ(said, (transcript{"begin", "commit", "single"}));
}

TEST_F(group_commit, fifty_synced_writers_flush_the_disk_once) {
    said_.clear();
    std::vector<std::pair<kind, work>> jobs;
    for (int i = 0; i < 50; ++i) jobs.emplace_back(i == 30 ? kind::synced_write : kind::write, add(std::to_string(i)));
    EXPECT_EQ(together(std::move(jobs)).back(), "50");
    end();
    EXPECT_EQ(std::ranges::count(said_, "begin synced"), 1);
    EXPECT_EQ(std::ranges::count(said_, "commit"), 1);
}

TEST_F(group_commit, one_that_fails_undoes_itself_only) {
    EXPECT_EQ(together({{kind::write, add("a")}}), told{"1"});
    said_.clear();
    const auto outcome =
        together({{kind::write, add("b")}, {kind::write, add("a")}, {kind::write, add("c")}, {kind::read, find("c")}});
    EXPECT_EQ(outcome[0], "2");
    EXPECT_NE(outcome[1].find("UNIQUE constraint failed"), std::string::npos) << outcome[1];
    EXPECT_EQ(outcome[2], "3");
    EXPECT_EQ(outcome[3], "3");
    EXPECT_EQ(together({{kind::read, find("b")}, {kind::read, find("c")}}), (told{"2", "3"}));
    end();
    EXPECT_EQ(said_,
              (transcript{"begin", "savepoint", "release", "savepoint", "undo", "savepoint", "release", "commit"}));
}

TEST_F(group_commit, half_of_what_a_job_did_is_undone_with_it) {
    const work twice = [](tables& t) -> result<std::int64_t> {
        (void)t.ledger.add_mailbox("half", "t");
        return fail(retry_class::local, phase::ledger, "second half failed");
    };
    EXPECT_EQ(together({{kind::write, add("a")}, {kind::write, twice}}), (told{"1", "second half failed"}));
    EXPECT_EQ(together({{kind::write, twice}}), told{"second half failed"}) << "alone as well";
    EXPECT_EQ(together({{kind::read, find("half")}, {kind::read, find("a")}}), (told{"0", "1"}));
}

TEST_F(group_commit, a_commit_that_fails_is_tried_for_each_alone) {
    failing_commits_ = 2; // the group's, and the first one's own
    EXPECT_EQ(together({{kind::write, add("a")}, {kind::synced_write, add("b")}, {kind::read, find("a")}}),
              (told{"the disk is full", "1", "0"}))
        << "nobody is told of a mailbox that was rolled back";
    end();
    EXPECT_EQ(said_, (transcript{"begin synced", "savepoint", "release", "savepoint", "release", "rollback", "begin",
                                 "rollback", "begin synced", "commit"}));
}

TEST_F(group_commit, what_is_queued_is_carried_out_before_the_end) {
    std::promise<void> held, go;
    hold(held, go);
    held.get_future().wait();
    std::vector<std::future<std::string>> waiting;
    for (int i = 0; i < 300; ++i) {
        auto job = std::make_unique<test_job>(kind::write, add(std::to_string(i)));
        waiting.push_back(job->told());
        queue_.push(std::move(job));
    }
    auto ending = std::async(std::launch::async, [&] { end(); });
    go.set_value();
    ending.wait();
    for (int i = 0; i < 300; ++i) EXPECT_EQ(waiting[static_cast<std::size_t>(i)].get(), std::to_string(i + 1));
    EXPECT_EQ(std::ranges::count(said_, "commit"), 3) << "groups of at most 128";
}

TEST_F(group_commit, a_queue_without_end_is_refused) {
    std::promise<void> held, go;
    hold(held, go);
    held.get_future().wait();
    for (std::size_t i = 0; i < job_queue::max_length; ++i)
        queue_.push(std::make_unique<test_job>(kind::read, find("a")));
    auto job = std::make_unique<test_job>(kind::read, find("a"));
    auto refused = job->told();
    queue_.push(std::move(job));
    EXPECT_EQ(refused.get(), "the ledger's queue is full");
    go.set_value();
}

} // namespace
} // namespace postferry::store

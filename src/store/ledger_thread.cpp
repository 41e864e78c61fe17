#include "store/ledger_thread.hpp"

#include <algorithm>
namespace postferry::store {

using sql::durability;

ledger_thread::ledger_thread(std::unique_ptr<sql::connection> db)
    : db_(std::move(db)), repository_(*db_), thread_([this] { work(); }) {}

ledger_thread::~ledger_thread() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

void ledger_thread::push(std::unique_ptr<ledger_job> job) {
    {
        const std::lock_guard lock(mutex_);
        if (queue_.size() < max_queue) queue_.push_back(std::move(job));
    }
    if (!job) {
        wake_.notify_one();
        return;
    }
    job->fail(fail(retry_class::local, phase::ledger, "the ledger's queue is full").error());
    job->complete();
}

ledger_thread::group ledger_thread::next_group() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(std::min(queue_.size(), max_group));
    group jobs(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
    queue_.erase(queue_.begin(), end);
    return jobs;
}

void ledger_thread::work() {
    for (group jobs = next_group(); !jobs.empty(); jobs = next_group()) carry_out(jobs);
}

void ledger_thread::carry_out(group& jobs) {
    const bool writes =
        std::ranges::any_of(jobs, [](const auto& job) { return job->what() != ledger_job::kind::read; });
    if (writes && jobs.size() > 1 && run_together(jobs)) {
        for (const auto& job : jobs) job->complete();
        return;
    }
    // A failure that cost the others their work (disk full, say) is found again by whom it belongs to.
    for (const auto& job : jobs) {
        run_alone(*job);
        job->complete();
    }
}

/// One transaction, so one commit, for all of them. Nobody is told anything before it: a reader among them has seen
/// what is not committed yet. false = none of it has happened.
bool ledger_thread::run_together(group& jobs) {
    const bool synced =
        std::ranges::any_of(jobs, [](const auto& job) { return job->what() == ledger_job::kind::synced_write; });
    if (!db_->begin(synced ? durability::synced : durability::ordered)) return false;
    for (const auto& job : jobs) {
        if (job->what() == ledger_job::kind::read)
            (void)job->run(repository_); // its failure is its outcome
        else if (!run_in_savepoint(*job))
            return db_->rollback(), false;
        if (!db_->in_transaction()) return false;
    }
    if (db_->commit()) return true;
    db_->rollback();
    return false;
}

/// A job that fails undoes its own part only. The answer is about the savepoint, not about the job.
result<void> ledger_thread::run_in_savepoint(ledger_job& job) {
    auto done = db_->savepoint();
    if (!done) return done;
    if (job.run(repository_)) return db_->release_savepoint();
    if (!db_->in_transaction()) return {};
    return db_->rollback_to_savepoint();
}

void ledger_thread::run_alone(ledger_job& job) {
    if (job.what() == ledger_job::kind::read) {
        (void)job.run(repository_);
        return;
    }
    auto done = db_->begin(job.what() == ledger_job::kind::synced_write ? durability::synced : durability::ordered);
    if (done && job.run(repository_)) done = db_->commit();
    db_->rollback(); // of what failed; nothing after a commit
    if (!done) job.fail(done.error());
}

} // namespace postferry::store

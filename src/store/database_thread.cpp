#include "store/database_thread.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

namespace postferry::store {

using sql::durability;
using sql::trouble;
using std::chrono::milliseconds;

namespace {

unix_ms this_machines_clock() {
    return std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string utc(unix_ms at) {
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(at / 1000)));
}

/// A job has failed and tells why itself; only the transaction must learn of it.
std::unexpected<error> undo() { return std::unexpected(error{}); }

} // namespace

void outage_board::gone() {
    const std::lock_guard lock(mutex_);
    if (!outage_) outage_ = outage{.since = this_machines_clock(), .what = {}};
}

void outage_board::because(const std::string& what) {
    const std::lock_guard lock(mutex_);
    if (outage_ && outage_->what.empty()) outage_->what = what;
}

void outage_board::back() {
    const std::lock_guard lock(mutex_);
    outage_.reset();
}

std::optional<outage> outage_board::now() const {
    const std::lock_guard lock(mutex_);
    return outage_;
}

database_thread::database_thread(job_queue& queue, outage_board& board, std::unique_ptr<sql::connection> db,
                                 const thread_settings& settings, bool reads_only)
    : queue_(queue), board_(board), db_(std::move(db)), tables_(*db_, settings.clock, settings.shard),
      settings_(settings), reads_only_(reads_only), thread_([this] { work(); }) {}

database_thread::~database_thread() { thread_.join(); }

void database_thread::work() {
    const std::size_t most = reads_only_ ? 1 : max_group;
    for (job_group jobs = queue_.next(most); !jobs.empty(); jobs = queue_.next(most)) {
        some_jobs left(jobs);
        while (!left.empty()) {
            const std::size_t n = may_share(left);
            carry_out(left.first(n));
            left = left.subspan(n);
        }
    }
}

/// How many from the front may be in one transaction; at least one.
std::size_t database_thread::may_share(some_jobs jobs) const {
    if (db_->dialect() == sql::dialect::sqlite) return jobs.size();
    const auto shares = [](const auto& job) {
        using enum database_job::kind;
        return job->only_reads() || job->what() == record || job->what() == synced_record;
    };
    const auto end = std::ranges::find_if_not(jobs, shares);
    return std::max<std::size_t>(static_cast<std::size_t>(end - jobs.begin()), 1);
}

void database_thread::carry_out(some_jobs jobs) {
    const bool writes = std::ranges::any_of(jobs, [](const auto& job) { return !job->only_reads(); });
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

/// For as long as the outage may still last: jobs that are tried one after the other must not each wait anew.
sql::patience database_thread::wait() {
    milliseconds left = settings_.patience;
    if (const auto outage = board_.now())
        left -= milliseconds(std::clamp<unix_ms>(this_machines_clock() - outage->since, 0, left.count()));
    return {.total = left, .pause = [this](milliseconds how_long) {
                const bool gone = db_->last_trouble() == trouble::gone;
                if (gone) board_.gone();
                return queue_.pause(how_long, gone);
            }};
}

error database_thread::unreachable(error why) const {
    const auto outage = board_.now();
    why.cls = retry_class::transient;
    why.where = phase::ledger;
    if (const std::string name = settings_.name + ": "; why.what.starts_with(name)) why.what.erase(0, name.size());
    board_.because(why.what);
    why.what = fmt::format("{} cannot be reached since {}{}{}", settings_.name,
                           utc(outage ? outage->since : this_machines_clock()), why.what.empty() ? "" : ": ", why.what);
    return why;
}

/// One transaction, so one commit, for all of them. Nobody is told anything before it: a reader among them has seen
/// what is not committed yet. false = none of it has happened.
bool database_thread::run_together(some_jobs jobs) {
    const bool synced = std::ranges::any_of(jobs, [](const auto& job) { return job->is_synced(); });
    auto done =
        sql::transact(*db_, synced ? durability::synced : durability::ordered, [&] { return run_all(jobs); }, wait());
    if (done && board_.now()) board_.back();
    return done.has_value();
}

result<void> database_thread::run_all(some_jobs jobs) {
    for (const auto& job : jobs) {
        if (job->only_reads())
            (void)job->run(tables_); // its failure is its outcome
        else if (auto done = run_in_savepoint(*job); !done)
            return done;
        if (!db_->in_transaction()) return undo();
    }
    return {};
}

/// A job that fails undoes its own part only. The answer is about the savepoint, not about the job.
result<void> database_thread::run_in_savepoint(database_job& job) {
    auto done = db_->savepoint();
    if (!done) return done;
    if (job.run(tables_)) return db_->release_savepoint();
    // What may go away by itself is no outcome: the whole is repeated.
    if (!db_->in_transaction() || sql::repeatable(db_->last_trouble())) return undo();
    return db_->rollback_to_savepoint();
}

void database_thread::run_alone(database_job& job) {
    // A single read on the writer's connection: what it sees is committed, and nobody else writes there meanwhile.
    if (job.only_reads() && !reads_only_ && db_->dialect() == sql::dialect::sqlite) {
        (void)job.run(tables_);
        return;
    }
    bool ran = true;
    const auto run = [&]() -> result<void> {
        ran = job.run(tables_);
        if (!ran) return undo();
        return {};
    };
    auto done = job.what() == database_job::kind::single_read
                    ? sql::read_single(*db_, run, wait())
                    : sql::transact(*db_, job.is_synced() ? durability::synced : durability::ordered, run, wait());
    if (done) {
        if (board_.now()) board_.back();
    } else if (db_->last_trouble() == trouble::gone)
        job.fail(unreachable(std::move(done.error())));
    else if (ran) // else it has failed by its own judgement, and tells why itself
        job.fail(done.error());
}

} // namespace postferry::store

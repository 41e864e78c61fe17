#pragma once
// Databases block, so each connection has a thread of its own. What waits in the queue is committed together.
#include "sql/connection.hpp"
#include "sql/transaction.hpp"
#include "store/database.hpp"
#include "store/job_queue.hpp"
#include "store/tables.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>

namespace postferry::store {

/// Whether the server answers, as the threads have found it. From any thread.
class outage_board {
  public:
    void gone();
    /// Why: what somebody was told who has given up. Of an outage that is known, the first reason stands.
    void because(const std::string& what);
    void back();
    [[nodiscard]] std::optional<outage> now() const;

  private:
    mutable std::mutex mutex_;
    std::optional<outage> outage_;
};

struct thread_settings {
    std::function<unix_ms()> clock = {};
    int shard = 0;
    std::chrono::milliseconds patience = std::chrono::minutes(10);
    std::string name = "database"; ///< for messages
};

class database_thread {
  public:
    /// Bounds what one transaction holds back: the log must not grow without end, nor the first caller wait for it.
    static constexpr std::size_t max_group = 128;

    /// Serves the queue until it is stopped and empty. `reads_only`: one snapshot for each job.
    database_thread(job_queue& queue, outage_board& board, std::unique_ptr<sql::connection> db,
                    const thread_settings& settings, bool reads_only);
    /// The queue must have been stopped.
    ~database_thread();
    database_thread(const database_thread&) = delete;
    database_thread& operator=(const database_thread&) = delete;

  private:
    void work();
    using some_jobs = std::span<std::unique_ptr<database_job>>;
    void carry_out(some_jobs jobs);
    [[nodiscard]] std::size_t may_share(some_jobs jobs) const;
    [[nodiscard]] bool run_together(some_jobs jobs);
    [[nodiscard]] result<void> run_all(some_jobs jobs);
    [[nodiscard]] result<void> run_in_savepoint(database_job& job);
    void run_alone(database_job& job);
    [[nodiscard]] sql::patience wait();
    [[nodiscard]] error unreachable(error why) const;

    job_queue& queue_;
    outage_board& board_;
    std::unique_ptr<sql::connection> db_;
    tables tables_;
    thread_settings settings_;
    bool reads_only_;
    std::thread thread_; // last: it uses all of the above
};

} // namespace postferry::store

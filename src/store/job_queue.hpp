#pragma once
// Where calls wait for a thread of the database.
#include "store/database_job.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

namespace postferry::store {

using job_group = std::vector<std::unique_ptr<database_job>>;

/// From any thread.
class job_queue {
  public:
    /// An entry stands for a coroutine that waits for it, so the queue is as long as there are mailboxes at work, or
    /// requests; only a defect, or a server that is gone for long, could reach this.
    static constexpr std::size_t max_length = 16384;

    explicit job_queue(std::string full) : full_(std::move(full)) {}

    /// Never blocks; in the order pushed. Beyond max_length, and after stop(): the job fails.
    void push(std::unique_ptr<database_job> job);
    /// Blocks. What waits, `most` at a time; a job of kind `alone` comes by itself. Empty: stopped, and nothing is
    /// left.
    [[nodiscard]] job_group next(std::size_t most);
    /// Nothing new is taken; next() hands out what is there.
    void stop();
    /// Waits; false at once, or as soon as, it is stopped or, for a server that is gone, hurried.
    [[nodiscard]] bool pause(std::chrono::milliseconds how_long, bool server_gone);
    /// From now on nobody waits for a server that is gone.
    void hurry();

  private:
    /// A thread that waits for a job, on a condition of its own: with one for all a call could reach a thread in
    /// pause(), and glibc before 2.41 may lose one altogether where several wait (its bug 25847).
    struct sleeper {
        std::condition_variable wake;
        bool called = false;
    };
    /// Whom to wake, or nobody; under the mutex. Woken under it, a thread would only wait for it: a reader of a page of
    /// the API does so twice a page. As soon as it is free the other may be gone, and the queue with it, so whoever
    /// wakes it keeps it.
    [[nodiscard]] std::shared_ptr<sleeper> call_one();

    std::string full_; ///< what a job is told that found no place
    std::mutex mutex_;
    std::condition_variable over_; ///< what pause() waits for
    std::deque<std::unique_ptr<database_job>> waiting_;
    std::vector<std::shared_ptr<sleeper>> idle_; ///< the last one is the one whose memory is warmest
    bool stopped_ = false, hurried_ = false;
};

} // namespace postferry::store

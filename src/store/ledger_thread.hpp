#pragma once
// SQLite blocks, so it has a thread of its own. What waits in the queue is committed together.
#include "sql/connection.hpp"
#include "store/ledger_repository.hpp"

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace postferry::store {

/// One call on its way: owns its values, so that whoever made it may be gone when it runs.
class ledger_job {
  public:
    enum class kind : std::uint8_t {
        read,
        write,
        synced_write, ///< on the disk before it is answered
    };

    explicit ledger_job(kind k) noexcept : kind_(k) {}
    virtual ~ledger_job() = default;
    ledger_job(const ledger_job&) = delete;
    ledger_job& operator=(const ledger_job&) = delete;

    [[nodiscard]] kind what() const noexcept { return kind_; }
    /// Carries it out and keeps the outcome; false = failed. May be asked again when the transaction around it was
    /// lost.
    [[nodiscard]] virtual bool run(ledger_repository& ledger) = 0;
    /// The outcome is this failure instead.
    virtual void fail(const error& why) = 0;
    /// Hands the outcome to whoever waits, on their executor. Once.
    virtual void complete() = 0;

  private:
    kind kind_;
};

class ledger_thread {
  public:
    /// An entry of the queue stands for a coroutine that waits for it, so the queue is as long as there are mailboxes
    /// at work; only a defect could reach this.
    static constexpr std::size_t max_queue = 16384;
    /// Bounds what one transaction holds back: the log must not grow without end, nor the first caller wait for it.
    static constexpr std::size_t max_group = 128;

    explicit ledger_thread(std::unique_ptr<sql::connection> db);
    /// Carries out what is queued, then ends.
    ~ledger_thread();
    ledger_thread(const ledger_thread&) = delete;
    ledger_thread& operator=(const ledger_thread&) = delete;

    /// From any thread; never blocks. In the order pushed.
    void push(std::unique_ptr<ledger_job> job);

  private:
    using group = std::vector<std::unique_ptr<ledger_job>>;

    void work();
    [[nodiscard]] group next_group();
    void carry_out(group& jobs);
    [[nodiscard]] bool run_together(group& jobs);
    [[nodiscard]] result<void> run_in_savepoint(ledger_job& job);
    void run_alone(ledger_job& job);

    std::unique_ptr<sql::connection> db_;
    ledger_repository repository_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::unique_ptr<ledger_job>> queue_;
    bool stopping_ = false;
    std::thread thread_; // last: it uses all of the above
};

} // namespace postferry::store

#pragma once
// A call on its way to a thread of the database.
#include "base/error.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

namespace postferry::store {

struct tables;

/// Owns its values, so that whoever made it may be gone when it runs.
class database_job {
  public:
    enum class kind : std::uint8_t {
        read,
        single_read, ///< of one statement, which is a snapshot by itself
        write,
        synced_write, ///< on the disk before it is answered
        /// A write to rows that no other process writes: it shares a transaction with others on PostgreSQL, too, where
        /// several transactions that hold many rows in different orders would wait for each other.
        record,
        synced_record,
        alone, ///< a write in a transaction of its own: it takes locks that nobody should wait for longer than needed
    };

    explicit database_job(kind k) noexcept : kind_(k) {}
    virtual ~database_job() = default;
    database_job(const database_job&) = delete;
    database_job& operator=(const database_job&) = delete;

    [[nodiscard]] kind what() const noexcept { return kind_; }
    [[nodiscard]] bool only_reads() const noexcept { return kind_ == kind::read || kind_ == kind::single_read; }
    [[nodiscard]] bool is_synced() const noexcept {
        return kind_ == kind::synced_write || kind_ == kind::synced_record;
    }
    /// Carries it out and keeps the outcome; false = failed. May be asked again when the transaction around it was
    /// lost.
    [[nodiscard]] virtual bool run(tables& t) = 0;
    /// The outcome is this failure instead.
    virtual void fail(const error& why) = 0;
    /// Hands the outcome to whoever waits, on their executor. Once.
    virtual void complete() = 0;

  private:
    kind kind_;
};

/// `call(tables&)` answers `R`, a result<...>; `handler` is told.
template <class R, class Call, class Handler> class waiting_job final : public database_job {
  public:
    waiting_job(kind k, Call call, Handler handler)
        : database_job(k), call_(std::move(call)), work_(boost::asio::make_work_guard(handler)),
          handler_(std::move(handler)) {}

    bool run(tables& t) override {
        outcome_.emplace(call_(t));
        return outcome_->has_value();
    }
    void fail(const error& why) override { outcome_.emplace(std::unexpected(why)); }
    void complete() override {
        // Ours until post() has returned: the last answer may end its context's run(), and the context with it, while
        // this thread is still inside.
        const auto work = std::move(work_);
        auto to = work.get_executor();
        boost::asio::post(to, boost::asio::bind_executor(
                                  to, [handler = std::move(handler_), outcome = std::move(*outcome_)]() mutable {
                                      std::move(handler)(std::move(outcome));
                                  }));
    }

  private:
    Call call_; // asked again if a shared transaction is lost: it must leave its values alone
    boost::asio::executor_work_guard<boost::asio::associated_executor_t<Handler>> work_;
    Handler handler_;
    std::optional<R> outcome_;
};

} // namespace postferry::store

#pragma once
// Files block; no I/O thread may. Work on files is posted to these threads and awaited.
#include "net/awaitable.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace postferry::mailbox {

/// A bounded number of threads that all mailboxes on this machine share. They mostly wait for fsync, and file systems
/// answer several at once cheaper than one after the other, so there are more than processors.
class file_pool {
  public:
    explicit file_pool(std::size_t threads) : threads_(threads) {}
    ~file_pool() { threads_.join(); }
    file_pool(const file_pool&) = delete;
    file_pool& operator=(const file_pool&) = delete;

    /// The one of the program; it lives as long as somebody holds it.
    [[nodiscard]] static std::shared_ptr<file_pool> shared();

    /// Carries out `work` on one of the threads and gives its result on the caller's executor. What `work` refers to
    /// must live until then. Cancelling waits for it: a system call cannot be called back.
    template <class Work> task<std::invoke_result_t<Work&>> run(Work work) {
        using value = std::invoke_result_t<Work&>;
        using signature = void(std::exception_ptr, std::optional<value>);
        const auto start = [this](auto handler, Work job) {
            auto guard = boost::asio::make_work_guard(handler);
            boost::asio::post(threads_, [guard = std::move(guard), handler = std::move(handler),
                                         job = std::move(job)]() mutable { finish<value>(guard, handler, job); });
        };
        std::optional<value> done =
            co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, signature>(
                start, boost::asio::use_awaitable, std::move(work));
        co_return std::move(*done);
    }

  private:
    template <class Value, class Guard, class Handler, class Work>
    static void finish(Guard& guard, Handler& handler, Work& job) {
        std::optional<Value> done;
        std::exception_ptr thrown;
        try {
            done.emplace(job());
        } catch (...) {
            thrown = std::current_exception();
        }
        auto executor = guard.get_executor();
        boost::asio::post(
            executor, boost::asio::bind_executor(executor, [handler = std::move(handler), thrown = std::move(thrown),
                                                            done = std::move(done)]() mutable {
                std::move(handler)(std::move(thrown), std::move(done));
            }));
    }

    boost::asio::thread_pool threads_;
};

} // namespace postferry::mailbox

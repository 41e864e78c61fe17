#pragma once
#include "base/deadline.hpp"
#include "base/error.hpp"
#include "net/awaitable.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <exception>
#include <optional>
#include <utility>

namespace postferry::net {

/// Runs `work` until it ends or the deadline passes; then it is cancelled (terminal), joined, and nothing is returned
/// unless it was done all the same. An exception of `work` comes out here. The one place in the program that races a
/// coroutine with a timer: `work || timer` of Boost 1.81 goes on waiting for the timer when `work` throws.
template <class T> task<std::optional<T>> with_deadline(task<T> work, deadline until) {
    if (until.when() == deadline::clock::time_point::max()) {
        T value = co_await std::move(work);
        co_return std::optional<T>(std::move(value));
    }
    const executor ex = co_await boost::asio::this_coro::executor;
    boost::asio::steady_timer timer(ex, until.when());
    auto race = boost::asio::experimental::make_parallel_group(
        boost::asio::co_spawn(ex, std::move(work), boost::asio::deferred), timer.async_wait(boost::asio::deferred));
    auto [order, thrown, value, timer_ec] = co_await race.async_wait(boost::asio::experimental::wait_for_one(),
                                                                     boost::asio::as_tuple(boost::asio::use_awaitable));
    const bool in_time = order[0] == 0;
    // Work that ended because the timer cancelled it throws; that is the deadline's doing and no news.
    if (thrown && in_time) std::rethrow_exception(thrown);
    if (thrown) co_return std::nullopt;
    co_return std::optional<T>(std::move(value));
}

/// The same for work that tells its failures as values: a passed deadline becomes a transient error with this text.
template <class T>
task<result<T>> with_deadline(task<result<T>> work, deadline until, phase where, std::string_view late) {
    std::optional<result<T>> value = co_await with_deadline<result<T>>(std::move(work), until);
    // Work that was cancelled by the timer and says so as a value was late, not cancelled by somebody.
    const bool was_late = !value || (!*value && value->error().cls == retry_class::cancelled && until.passed());
    if (was_late) co_return fail(retry_class::transient, where, std::string(late));
    co_return std::move(*value);
}

} // namespace postferry::net

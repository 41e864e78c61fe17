#pragma once
#include "net/awaitable.hpp"
#include "net/event.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include <exception>
#include <memory>
#include <vector>

namespace postferry::net {

/// Runs all tasks at once on the caller's executor (a strand) and returns when the last one is done; the first
/// exception, if any, comes out here. Being cancelled does not stop them: their own deadlines do.
inline task<> join_all(std::vector<task<>> tasks) {
    const executor ex = co_await boost::asio::this_coro::executor;
    event done(ex);
    std::size_t running = tasks.size();
    std::exception_ptr first;
    for (task<>& t : tasks) {
        boost::asio::co_spawn(ex, std::move(t), [&](std::exception_ptr thrown) {
            if (thrown && !first) first = thrown;
            if (--running == 0) done.notify();
        });
    }
    while (running > 0) co_await done.wait();
    if (first) std::rethrow_exception(first);
}

} // namespace postferry::net

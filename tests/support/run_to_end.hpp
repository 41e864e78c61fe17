#pragma once
// A coroutine to its end, for tests without an executor of their own.
#include "net/awaitable.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>

namespace postferry::support {

/// A wake-up that is lost fails by name and with a core, not as a test that says nothing for as long as it may.
template <class T> T run_to_end(boost::asio::io_context& io, task<T> work) {
    constexpr std::chrono::minutes patience{5};
    io.restart();
    auto outcome = boost::asio::co_spawn(io, std::move(work), boost::asio::use_future);
    io.run_for(patience);
    if (outcome.wait_for(std::chrono::seconds(0)) == std::future_status::ready) return outcome.get();
    std::fputs(io.stopped() ? "run_to_end: nothing is left to run, and the coroutine has not ended\n"
                            : "run_to_end: the coroutine waits for more than five minutes\n",
               stderr);
    std::abort(); // what it waits for may still answer: nothing of it can be taken apart
}

template <class T> T run_to_end(task<T> work) {
    boost::asio::io_context io;
    return run_to_end(io, std::move(work));
}

} // namespace postferry::support

#pragma once
#include "net/awaitable.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <vector>

namespace postferry::net {

/// Lets coroutines of one strand wait for each other. It keeps no state: a waiter looks at its condition again after
/// every wake-up, and waits only while the condition does not hold, so no notification can be missed.
class event {
  public:
    explicit event(executor ex) : executor_(std::move(ex)) {}
    event(const event&) = delete;
    event& operator=(const event&) = delete;

    void notify() noexcept {
        for (boost::asio::steady_timer* t : waiting_) t->cancel();
    }
    task<> wait() { co_await sleep(boost::asio::steady_timer::time_point::max()); }
    /// False when `patience` ran out first.
    task<bool> wait_for(std::chrono::milliseconds patience) {
        co_return co_await sleep(boost::asio::steady_timer::clock_type::now() + patience);
    }

  private:
    task<bool> sleep(boost::asio::steady_timer::time_point until) {
        boost::asio::steady_timer timer(executor_, until);
        waiting_.push_back(&timer);
        const auto [ec] = co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
        std::erase(waiting_, &timer);
        co_return static_cast<bool>(ec);
    }

    executor executor_;
    std::vector<boost::asio::steady_timer*> waiting_;
};

} // namespace postferry::net

#include "client/server_line.hpp"

#include "net/metered_connection.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

namespace postferry::client {

task<result<std::unique_ptr<net::connection>>> open_line(executor ex, const server_settings& settings) {
    auto line =
        co_await net::connection::open(ex, settings.where, settings.tls, deadline::in(settings.connect_patience));
    if (line && settings.may_send) (*line)->ask_before_sending(settings.may_send);
    if (line && settings.allowance) *line = net::metered(std::move(*line), settings.allowance, ex);
    co_return line;
}

error silent_greeting(error why, std::string_view tls_scheme) {
    why.where = phase::greeting;
    why.advice = fmt::format("If this is a TLS port, use {}://", tls_scheme);
    return why;
}

task<> pacing::wait_until(net::allowance::time when) {
    if (stopped_ || when <= std::chrono::steady_clock::now()) co_return;
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, when);
    waiting_ = &timer;
    (void)co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    waiting_ = nullptr;
}

void pacing::stop() noexcept {
    stopped_ = true;
    if (waiting_ != nullptr) waiting_->cancel();
}

} // namespace postferry::client

#pragma once
// What a session of any protocol does with its line: opens it, and waits until it may go on.
#include "client/server_settings.hpp"
#include "net/allowance.hpp"
#include "net/awaitable.hpp"

#include <boost/asio/steady_timer.hpp>

#include <memory>

namespace postferry::client {

/// Connects as settings say, within connect_patience; what goes over the line is counted by the allowance, if there is
/// one. Errors: net::connection::open. The settings must live until it returns.
[[nodiscard]] task<result<std::unique_ptr<net::connection>>> open_line(executor ex, const server_settings& settings);

/// Somebody accepted the connection and said nothing before `why`: most often a TLS port that waits for a handshake.
/// @param tls_scheme what to write then: "imaps"
[[nodiscard]] error silent_greeting(error why, std::string_view tls_scheme);

/// The wait of a session until it may begin the next messages. One at a time, on the session's strand.
class pacing {
  public:
    /// Returns at once when the time has come, or when stop() was called before or is called meanwhile.
    task<> wait_until(net::allowance::time when);
    /// The line is closed: there is nothing to wait for any more.
    void stop() noexcept;

  private:
    boost::asio::steady_timer* waiting_ = nullptr;
    bool stopped_ = false;
};

} // namespace postferry::client

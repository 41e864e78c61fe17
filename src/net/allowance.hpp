#pragma once
#include "base/error.hpp"
#include "net/wire_trace.hpp"

#include <chrono>
#include <cstddef>

namespace postferry::net {

/// What one connection asks before it burdens its server, and tells when it has: rates and budgets that it shares with
/// all other connections there. It answers with moments, never waits itself; the connection and the session wait, so
/// that closing them ends the wait. From any thread.
class allowance {
  public:
    using time = std::chrono::steady_clock::time_point;

    virtual ~allowance() = default;

    /// Octets have moved. Answers when the next ones may; `now` or earlier: at once.
    virtual time moved(direction way, std::size_t octets, time now) = 0;
    /// The most octets that may move in one go, so that those who share a small rate take short turns; SIZE_MAX: any.
    [[nodiscard]] virtual std::size_t turn() const noexcept = 0;
    /// So many messages are about to be asked for or brought. Answers when. An error (class throttled, with the time in
    /// backoff_ms): a budget is spent, no message is to be begun.
    virtual result<time> begin_messages(std::size_t messages, time now) = 0;
    /// How many messages may be asked for in one command, so that a small rate is kept within a second; SIZE_MAX: any.
    [[nodiscard]] virtual std::size_t messages_at_once() const noexcept = 0;
};

} // namespace postferry::net

#pragma once
#include "app/remote_place.hpp"
#include "base/deadline.hpp"
#include "net/awaitable.hpp"

#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace postferry::app {

/// response_code of an error: nobody listens on the local socket.
inline constexpr std::string_view no_service = "NO-SERVICE";

/// A connection to the service: its local socket, or TCP with TLS. One reader and one writer at a time, on one strand
/// or thread.
class remote_line {
  public:
    /// Errors: of the socket, phase connect, with what to do about it; else as net::connection::open.
    static task<result<std::unique_ptr<remote_line>>> open(executor ex, const remote_place& place, deadline until);
    virtual ~remote_line() = default;

    /// At least one octet; 0: the peer closed. After a passed deadline (transient) the line is of no use any more.
    virtual task<result<std::size_t>> read_some(std::span<char> room, deadline until) = 0;
    /// All of it, which must live until then; none of it may wait longer than `patience`.
    virtual task<result<void>> write(std::string_view octets, std::chrono::milliseconds patience) = 0;
};

} // namespace postferry::app

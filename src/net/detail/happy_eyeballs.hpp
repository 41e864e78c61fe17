#pragma once
#include "net/connection.hpp"
#include "net/detail/resolver.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <chrono>

namespace postferry::net::detail {

/// Between two attempts (RFC 8305 section 5: "Connection Attempt Delay").
inline constexpr std::chrono::milliseconds attempt_delay{250};

/// Alternates the families, the family of the first address first; the order within a family stays (RFC 8305 section
/// 4).
[[nodiscard]] address_list interleave(const address_list& addresses);

/// Connects to the first address that answers: a new attempt every 250 ms or as soon as one fails, the others go on.
/// Errors: config when every address refused, transient otherwise (unreachable, deadline), cancelled. The text lists
/// each address with its reason.
[[nodiscard]] task<result<boost::asio::ip::tcp::socket>> connect_first(executor ex, endpoint where,
                                                                       address_list addresses, deadline until);

} // namespace postferry::net::detail

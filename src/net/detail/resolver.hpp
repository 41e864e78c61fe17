#pragma once
#include "net/connection.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <chrono>
#include <string>
#include <vector>

namespace postferry::net::detail {

struct resolver_options {
    std::string servers;                     ///< "127.0.0.1:5353,..." instead of /etc/resolv.conf's
    std::chrono::milliseconds timeout{2000}; ///< for the first try of a server; c-ares doubles it with each round
    int tries = 2;
};

using address_list = std::vector<boost::asio::ip::tcp::endpoint>;

/// The addresses of a host, best first (RFC 6724): numeric ones at once, else /etc/hosts, `localhost`, then AAAA and A
/// from the name servers. Never empty. Cancelling the coroutine stops the search.
/// Errors: config (no such host, no address, no valid name; names under .invalid never exist, RFC 6761 section 6.4),
/// transient (no name server answered, or not before the deadline), cancelled.
[[nodiscard]] task<result<address_list>> resolve(executor ex, endpoint where, deadline until,
                                                 resolver_options options = {});

} // namespace postferry::net::detail

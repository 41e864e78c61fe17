#pragma once
// An HTTP/1.1 server for one service: TCP (with or without TLS) and a local socket. Boost.Beast reads and writes; what
// is here are the bounds: of connections, heads, times.
#include "http/message.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace postferry::http {

struct server_limits {
    std::size_t connections = 1'024;           ///< in all; one more is closed at once
    std::size_t connections_per_address = 128; ///< of TCP; an IPv6 address counts with its /64
    std::uint32_t head_octets = 16U << 10U;    ///< request line and fields
    std::chrono::milliseconds head{10'000};    ///< from its first octet to its last
    std::chrono::milliseconds idle{75'000};    ///< between requests
    std::chrono::milliseconds stall{30'000};   ///< a body of which nothing comes, a reply of which nothing is taken
    std::chrono::milliseconds body{60'000};    ///< a whole body; a long one gets more, at slowest_body octets a second
    std::uint64_t slowest_body = 16U << 10U;
    std::uint64_t unread_body = 64U << 10U;     ///< of a body that nobody asked for; a longer one closes the line
    std::chrono::milliseconds farewell{10'000}; ///< stop(): for requests that are under way
};

struct tls_identity {
    std::filesystem::path certificate; ///< PEM, the chain
    std::filesystem::path key;         ///< PEM
};

struct server_options {
    std::vector<std::string> listen = {}; ///< "127.0.0.1:8080", "[::1]:0", "*:8443"
    std::filesystem::path socket = {};    ///< empty: none. A socket that nobody listens on is replaced
    std::uint32_t socket_mode = 0660;
    std::optional<tls_identity> tls = {}; ///< of all TCP listeners
    /// Addresses and networks ("10.0.0.0/8") of proxies: what they say of their client in X-Forwarded-For and
    /// X-Forwarded-Proto is taken for it. Of nobody else.
    std::vector<std::string> trusted_proxies = {};
    server_limits limits = {};
};

/// Answers one request; called on the connection's strand. What it throws becomes a 500.
using handler = std::function<task<reply>(exchange&)>;

/// Told of each request when its reply has been sent (or could not be).
struct served {
    method verb = method::get;
    std::string path; ///< without the query
    unsigned status = 0;
    std::chrono::microseconds took{};
    peer from;
};

class server {
  public:
    /// Binds and listens. Errors, class config: an address that is none, is taken or not ours; a certificate or key
    /// that cannot be read or does not fit; local: the socket's folder.
    [[nodiscard]] static result<std::unique_ptr<server>> listen(executor ex, server_options options, handler handle,
                                                                std::function<void(const served&)> log = {});
    virtual ~server() = default;

    /// Begins to accept.
    virtual void start() = 0;
    /// Accepts nothing more, ends idle connections, waits for those that are at work (server_limits::farewell), and
    /// returns when all are gone. From any executor.
    virtual task<> stop() = 0;
    /// Reads certificate and key again; connections that stand keep theirs. Errors: the old ones stay.
    [[nodiscard]] virtual result<void> reload_tls() = 0;
    /// Where it listens, ports filled in: "127.0.0.1:41234".
    [[nodiscard]] virtual std::vector<std::string> addresses() const = 0;
    [[nodiscard]] virtual std::size_t connections() const noexcept = 0;
};

} // namespace postferry::http

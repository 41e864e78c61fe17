#pragma once
#include "net/connection.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace postferry::net::test {

/// The server's side of one accepted line, blocking, for tests only. Under TLS after secure().
class peer_line {
  public:
    explicit peer_line(int fd) : fd_(fd) {}
    peer_line(const peer_line&) = delete;
    peer_line& operator=(const peer_line&) = delete;
    ~peer_line();

    bool secure(SSL_CTX* ctx); ///< false: the handshake failed
    bool write(std::string_view octets);
    std::string read(std::size_t at_most = 64 * 1024); ///< empty: closed
    std::string read_exactly(std::size_t octets);
    void cut(); ///< closes without a TLS farewell
    [[nodiscard]] SSL* ssl() const noexcept { return ssl_.get(); }
    [[nodiscard]] int fd() const noexcept { return fd_; }

  private:
    struct free_ssl {
        void operator()(SSL* p) const noexcept { SSL_free(p); }
    };
    int fd_;
    std::unique_ptr<SSL, free_ssl> ssl_;
};

/// Accepts one line on a port chosen by the kernel and plays `script` on a thread of its own. Joined at the end.
class peer {
  public:
    explicit peer(std::function<void(peer_line&)> script, bool v6 = false);
    peer(const peer&) = delete;
    peer& operator=(const peer&) = delete;
    ~peer();
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

  private:
    std::uint16_t port_ = 0;
    int listener_; // after port_: it sets it
    std::thread thread_;
};

/// A port that was free a moment ago.
std::uint16_t refused_port();

/// Certificates made for one test run, as files in a folder that goes with the object.
struct certificate_options {
    std::string common_name = "localhost";
    std::vector<std::string> names{"DNS:localhost", "IP:127.0.0.1"};
    int starts_in_days = -1, ends_in_days = 30;
    bool self_signed = false;
};

class authority {
  public:
    authority();
    authority(const authority&) = delete;
    authority& operator=(const authority&) = delete;
    ~authority();
    [[nodiscard]] std::string ca_file() const;
    /// Writes NAME.crt and NAME.key; returns the path without the ending.
    std::string issue(const std::string& name, const certificate_options& options = {});
    /// A server context with that certificate; freed with the authority.
    SSL_CTX* server(const std::string& base);

  private:
    std::string folder_;
    EVP_PKEY* key_;
    X509* certificate_;
    std::vector<SSL_CTX*> contexts_;
};
authority& shared_authority(); ///< one for the program: keys cost time

/// Runs a coroutine to its end and gives its value.
template <class T> T run(task<T> work) {
    boost::asio::io_context io(1);
    std::optional<T> out;
    std::exception_ptr thrown;
    boost::asio::co_spawn(io, std::move(work), [&](std::exception_ptr e, T value) {
        thrown = e;
        if (!e) out = std::move(value);
    });
    io.run();
    if (thrown) std::rethrow_exception(thrown);
    return std::move(out.value());
}

inline deadline soon() { return deadline::in(std::chrono::seconds(20)); }

inline tls_settings in_the_clear() {
    tls_settings out;
    out.mode = tls_mode::off;
    return out;
}

task<result<std::unique_ptr<connection>>> dial(std::uint16_t port, tls_settings tls = in_the_clear(),
                                               std::string host = "127.0.0.1");
/// The error of an attempt, or nothing when it worked. The line itself must not leave the coroutine: it belongs to its
/// executor.
task<std::optional<error>> attempt(std::uint16_t port, tls_settings tls = in_the_clear(),
                                   std::string host = "127.0.0.1", deadline until = soon());
task<result<void>> send_text(connection& line, std::string_view text);
task<result<std::string>> receive_text(connection& line, std::size_t octets); ///< exactly so many, or less at the end

} // namespace postferry::net::test

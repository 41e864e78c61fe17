#include "http/server.hpp"

#include "base/text.hpp"
#include "http/detail/session.hpp"
#include "net/event.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/strand.hpp>
#include <fmt/format.h>

#include <list>
#include <map>
#include <mutex>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace postferry::http {

namespace {

namespace asio = boost::asio;
using asio::generic::stream_protocol;
using asio::ip::tcp;
using local = asio::local::stream_protocol;
using boost::system::error_code;

std::unexpected<error> bad_address(std::string_view text, std::string_view why) {
    return fail(retry_class::config, phase::usage, fmt::format("Cannot listen on {}: {}", text, why),
                "Write ADDRESS:PORT, [ADDRESS]:PORT or *:PORT, with an address of this machine and a free port");
}

/// Every address of this machine: IPv6's socket takes IPv4 as well, where the kernel knows IPv6 at all.
tcp::endpoint anywhere(const asio::any_io_executor& ex, std::uint16_t port) {
    tcp::acceptor probe(ex);
    error_code no_ipv6;
    probe.open(tcp::v6(), no_ipv6);
    return {no_ipv6 ? tcp::v4() : tcp::v6(), port};
}

result<tcp::endpoint> endpoint_of(const asio::any_io_executor& ex, std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return bad_address(text, "it names no port");
    const auto port = parse_u32(text.substr(colon + 1));
    if (!port || *port > 65'535) return bad_address(text, "its port is no number from 0 to 65535");
    std::string host(text.substr(0, colon));
    const auto number = static_cast<std::uint16_t>(*port);
    if (host == "*") return anywhere(ex, number);
    if (host == "localhost") host = "127.0.0.1";
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    error_code ec;
    const auto address = asio::ip::make_address(host, ec);
    if (ec) return bad_address(text, "it begins with no IP address");
    return tcp::endpoint(address, number);
}

std::string text_of(const tcp::endpoint& e) {
    return e.address().is_v6() ? fmt::format("[{}]:{}", e.address().to_string(), e.port())
                               : fmt::format("{}:{}", e.address().to_string(), e.port());
}

result<std::shared_ptr<asio::ssl::context>> context_of(const tls_identity& id) {
    auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
    context->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                         asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
    error_code ec;
    context->use_certificate_chain_file(id.certificate.string(), ec);
    if (ec)
        return fail(retry_class::config, phase::tls,
                    fmt::format("The certificate {} cannot be used: {}", id.certificate.string(), ec.message()),
                    "It must be a PEM file with the certificate first and its chain after it");
    context->use_private_key_file(id.key.string(), asio::ssl::context::pem, ec);
    if (ec)
        return fail(retry_class::config, phase::tls,
                    fmt::format("The key {} cannot be used: {}", id.key.string(), ec.message()),
                    "It must be the PEM key of the certificate, readable by the service and without a passphrase");
    return context;
}

/// True: nobody answers behind this socket file.
bool is_orphan(const std::filesystem::path& path) {
    asio::io_context io;
    local::socket probe(io);
    error_code ec;
    probe.connect(local::endpoint(path.string()), ec);
    return ec == asio::error::connection_refused;
}

peer peer_of(const local::socket& socket) {
    ucred who{};
    socklen_t size = sizeof who;
    peer p{.address = "unix", .uid = {}};
    if (::getsockopt(const_cast<local::socket&>(socket).native_handle(), SOL_SOCKET, SO_PEERCRED, &who, &size) == 0)
        p.uid = who.uid;
    return p;
}

class listening_server final : public server {
  public:
    listening_server(executor ex, server_options options, handler handle, std::function<void(const served&)> log)
        : strand_(asio::make_strand(ex)), pool_(std::move(ex)), options_(std::move(options)),
          shared_(std::make_shared<detail::shared_state>()) {
        shared_->limits = options_.limits;
        shared_->handle = std::move(handle);
        shared_->log = std::move(log);
    }
    ~listening_server() override {
        if (!options_.socket.empty() && local_) ::unlink(options_.socket.c_str());
    }

    result<void> open() {
        if (auto ok = reload_tls(); !ok) return ok;
        for (const std::string& text : options_.trusted_proxies) {
            auto network = detail::parse_network(text);
            if (!network)
                return fail(retry_class::config, phase::usage, fmt::format("{} is no address and no network", text),
                            "Write trusted proxies as 127.0.0.1, ::1 or 10.0.0.0/8");
            shared_->proxies.push_back(*network);
        }
        for (const std::string& text : options_.listen)
            if (auto ok = open_tcp(text); !ok) return ok;
        return options_.socket.empty() ? result<void>{} : open_local();
    }

    void start() override {
        for (auto& acceptor : tcp_) spawn(accept_tcp(acceptor));
        if (local_) spawn(accept_local());
    }

    task<> stop() override { co_await asio::co_spawn(strand_, stop_here(), asio::use_awaitable); }

    result<void> reload_tls() override {
        if (!options_.tls) return {};
        auto context = context_of(*options_.tls);
        if (!context) return std::unexpected(std::move(context.error()));
        const std::lock_guard lock(mutex_);
        tls_ = std::move(*context);
        return {};
    }

    std::vector<std::string> addresses() const override {
        std::vector<std::string> all;
        for (const auto& acceptor : tcp_) all.push_back(text_of(acceptor.local_endpoint()));
        return all;
    }

    std::size_t connections() const noexcept override { return count_; }

  private:
    result<void> open_tcp(const std::string& text) {
        auto e = endpoint_of(strand_, text);
        if (!e) return std::unexpected(std::move(e.error()));
        tcp::acceptor acceptor(strand_);
        error_code ec;
        acceptor.open(e->protocol(), ec);
        if (!ec) acceptor.set_option(asio::socket_base::reuse_address(true), ec);
        if (!ec && e->address().is_v6() && e->address().is_unspecified())
            acceptor.set_option(asio::ip::v6_only(false), ec);
        if (!ec) acceptor.bind(*e, ec);
        if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
        if (ec) return bad_address(text, ec.message());
        tcp_.push_back(std::move(acceptor));
        return {};
    }

    result<void> open_local() {
        const auto& path = options_.socket;
        const auto trouble = [&](std::string_view why) {
            return fail(retry_class::config, phase::usage, fmt::format("Cannot listen on {}: {}", path.string(), why),
                        "Check that its folder exists and may be written, and that no other service uses it");
        };
        std::error_code ec;
        if (std::filesystem::is_socket(path, ec)) {
            if (!is_orphan(path)) return trouble("another service answers there");
            std::filesystem::remove(path, ec);
        }
        error_code failed;
        local_.emplace(strand_);
        local_->open(local(), failed);
        if (!failed) local_->bind(local::endpoint(path.string()), failed);
        if (!failed) ::chmod(path.c_str(), options_.socket_mode);
        if (!failed) local_->listen(asio::socket_base::max_listen_connections, failed);
        if (!failed) return {};
        local_.reset();
        return trouble(failed.message());
    }

    void spawn(task<> work) {
        ++tasks_;
        asio::co_spawn(strand_, std::move(work), [this](const std::exception_ptr&) {
            --tasks_;
            idle_.notify();
        });
    }

    task<> accept_tcp(tcp::acceptor& acceptor) {
        while (acceptor.is_open()) {
            const executor line = asio::make_strand(pool_);
            tcp::socket socket(line);
            const auto [ec] = co_await acceptor.async_accept(socket, asio::as_tuple(asio::use_awaitable));
            if (ec == asio::error::operation_aborted) co_return;
            if (ec) {
                co_await breathe();
                continue;
            }
            error_code gone;
            const auto from = socket.remote_endpoint(gone);
            if (gone) continue;
            socket.set_option(tcp::no_delay(true), gone);
            auto address = from.address();
            if (address.is_v6() && address.to_v6().is_v4_mapped())
                address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
            admit(line, stream_protocol::socket(std::move(socket)),
                  {.address = address.to_string(), .uid = {}, .tls = options_.tls.has_value()});
        }
    }

    task<> accept_local() {
        while (local_->is_open()) {
            const executor line = asio::make_strand(pool_);
            local::socket socket(line);
            const auto [ec] = co_await local_->async_accept(socket, asio::as_tuple(asio::use_awaitable));
            if (ec == asio::error::operation_aborted) co_return;
            if (ec) {
                co_await breathe();
                continue;
            }
            peer from = peer_of(socket);
            admit(line, stream_protocol::socket(std::move(socket)), std::move(from));
        }
    }

    // accept() fails when files run out: what is open must be let end, and not be asked again at once.
    task<> breathe() {
        asio::steady_timer timer(strand_, std::chrono::milliseconds(100));
        co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    }

    void admit(const executor& line, stream_protocol::socket socket, peer from) {
        const std::string network = network_of(from.address);
        const auto known = by_address_.find(network);
        const std::size_t of_address = known == by_address_.end() ? 0 : known->second;
        // Strangers must not shut out who sits at the machine.
        const bool full = !from.uid && (count_ >= options_.limits.connections ||
                                        of_address >= options_.limits.connections_per_address);
        if (full || shared_->stopping) return; // closed by its destructor
        ++by_address_[network];
        ++count_;
        std::shared_ptr<asio::ssl::context> tls;
        if (from.tls) {
            const std::lock_guard lock(mutex_);
            tls = tls_;
        }
        std::shared_ptr<detail::session_base> session;
        if (tls)
            session = std::make_shared<detail::session<detail::tls_stream>>(
                line, shared_, detail::tls_stream(detail::plain_stream(std::move(socket)), *tls), std::move(from));
        else
            session = std::make_shared<detail::session<detail::plain_stream>>(
                line, shared_, detail::plain_stream(std::move(socket)), std::move(from));
        const auto at = sessions_.insert(sessions_.end(), session);
        // The session and the context of its TLS live as long as its coroutine.
        asio::co_spawn(
            line, [](auto s, auto) -> task<> { co_await s->run(); }(session, tls),
            [this, at, network](const std::exception_ptr&) {
                asio::post(strand_, [this, at, network] { dismiss(at, network); });
            });
    }

    void dismiss(std::list<std::shared_ptr<detail::session_base>>::iterator at, const std::string& address) {
        sessions_.erase(at);
        --count_;
        const auto of_address = by_address_.find(address);
        if (of_address != by_address_.end() && --of_address->second == 0) by_address_.erase(of_address);
        idle_.notify();
    }

    task<> stop_here() {
        shared_->stopping = true;
        for (auto& acceptor : tcp_) acceptor.close();
        if (local_) local_->close();
        for (const auto& session : sessions_) asio::post(session->strand(), [session] { session->stop(); });
        const auto until = std::chrono::steady_clock::now() + options_.limits.farewell;
        while (count_ > 0 || tasks_ > 0) {
            const auto left = until - std::chrono::steady_clock::now();
            if (left <= std::chrono::nanoseconds::zero()) {
                for (const auto& session : sessions_) asio::post(session->strand(), [session] { session->abort(); });
                co_await idle_.wait_for(std::chrono::seconds(1));
            } else {
                co_await idle_.wait_for(std::chrono::ceil<std::chrono::milliseconds>(left));
            }
        }
    }

    executor strand_; ///< of the listeners and the list of sessions
    executor pool_;
    server_options options_;
    std::shared_ptr<detail::shared_state> shared_;
    std::vector<tcp::acceptor> tcp_;
    std::optional<local::acceptor> local_;
    std::mutex mutex_;
    std::shared_ptr<asio::ssl::context> tls_;
    std::list<std::shared_ptr<detail::session_base>> sessions_;
    std::map<std::string, std::size_t> by_address_;
    std::atomic<std::size_t> count_ = 0;
    std::size_t tasks_ = 0;
    net::event idle_{strand_};
};

} // namespace

result<std::unique_ptr<server>> server::listen(executor ex, server_options options, handler handle,
                                               std::function<void(const served&)> log) {
    auto made =
        std::make_unique<listening_server>(std::move(ex), std::move(options), std::move(handle), std::move(log));
    if (auto ok = made->open(); !ok) return std::unexpected(std::move(ok.error()));
    return std::unique_ptr<server>(std::move(made));
}

} // namespace postferry::http

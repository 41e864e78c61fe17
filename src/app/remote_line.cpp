#include "app/remote_line.hpp"

#include "net/connection.hpp"
#include "net/http_post.hpp"
#include "net/with_deadline.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

#include <array>

namespace postferry::app {

namespace {

namespace asio = boost::asio;
using local_socket = asio::local::stream_protocol::socket;

constexpr std::size_t longest_socket_name = 107; // sockaddr_un

error not_reached(const remote_place& place, std::string_view why, std::string advice) {
    return fail(retry_class::config, phase::connect, fmt::format("there is no service at {}: {}", place.name(), why),
                std::move(advice))
        .error();
}

std::unexpected<error> not_connected(const remote_place& place, const boost::system::error_code& ec) {
    if (ec == asio::error::access_denied)
        return std::unexpected(fail(retry_class::config, phase::connect,
                                    fmt::format("this user may not use {}", place.name()),
                                    "Be root or the service's user (sudo), or use --url https://... with --token-file")
                                   .error());
    const bool none = ec == boost::system::errc::no_such_file_or_directory;
    const bool left = ec == asio::error::connection_refused;
    error e = not_reached(place,
                          none   ? "there is no such socket"
                          : left ? "nobody listens there any more"
                                 : ec.message(),
                          fmt::format("Start it with `postferry serve`, or name another by --socket or --url ({} said "
                                      "this one)",
                                      place.note));
    if (none || left) e.response_code = no_service;
    return std::unexpected(std::move(e));
}

error gone(const boost::system::error_code& ec) {
    // By with_deadline(), which then says that it was late.
    const auto cls = ec == asio::error::operation_aborted ? retry_class::cancelled : retry_class::transient;
    return fail(cls, phase::fetch, fmt::format("the service closed the connection: {}", ec.message())).error();
}

class socket_line final : public remote_line {
  public:
    explicit socket_line(local_socket s) : socket_(std::move(s)) {}

    task<result<std::size_t>> read_some(std::span<char> room, deadline until) override {
        co_return co_await net::with_deadline<std::size_t>(read(room), until, phase::fetch,
                                                           "the service did not answer in time");
    }
    task<result<void>> write(std::string_view octets, std::chrono::milliseconds patience) override {
        co_return co_await net::with_deadline<void>(send(octets), deadline::in(patience), phase::append,
                                                    "the service took nothing in time");
    }

  private:
    task<result<std::size_t>> read(std::span<char> room) {
        const auto [ec, n] = co_await socket_.async_read_some(asio::buffer(room.data(), room.size()),
                                                              asio::as_tuple(asio::use_awaitable));
        if (ec == asio::error::eof) co_return std::size_t{0};
        if (ec) co_return std::unexpected(gone(ec));
        co_return n;
    }
    task<result<void>> send(std::string_view octets) {
        const auto [ec, n] = co_await asio::async_write(socket_, asio::buffer(octets.data(), octets.size()),
                                                        asio::as_tuple(asio::use_awaitable));
        if (ec) co_return std::unexpected(gone(ec));
        co_return result<void>{};
    }

    local_socket socket_;
};

class network_line final : public remote_line {
  public:
    explicit network_line(std::unique_ptr<net::connection> c) : connection_(std::move(c)) {}

    task<result<std::size_t>> read_some(std::span<char> room, deadline until) override {
        return connection_->read_some(room, until);
    }
    task<result<void>> write(std::string_view octets, std::chrono::milliseconds patience) override {
        const std::array<iovec, 1> piece{{{const_cast<char*>(octets.data()), octets.size()}}};
        co_return co_await connection_->write(piece, patience, deadline::never());
    }

  private:
    std::unique_ptr<net::connection> connection_;
};

task<result<std::unique_ptr<local_socket>>> connect(executor ex, remote_place place) {
    auto s = std::make_unique<local_socket>(ex);
    const auto [ec] = co_await s->async_connect(asio::local::stream_protocol::endpoint(place.socket.string()),
                                                asio::as_tuple(asio::use_awaitable));
    if (ec) co_return not_connected(place, ec);
    co_return s;
}

} // namespace

task<result<std::unique_ptr<remote_line>>> remote_line::open(executor ex, const remote_place& place, deadline until) {
    if (place.local()) {
        if (place.socket.native().size() > longest_socket_name)
            co_return fail(retry_class::config, phase::usage, "the socket's name is longer than the system allows",
                           fmt::format("At most {} octets", longest_socket_name));
        const std::string late = fmt::format("the service at {} does not take connections", place.name());
        auto socket =
            co_await net::with_deadline<std::unique_ptr<local_socket>>(connect(ex, place), until, phase::connect, late);
        if (!socket) co_return std::unexpected(std::move(socket.error()));
        co_return std::make_unique<socket_line>(std::move(**socket));
    }
    auto url = net::parse_http_url(place.url);
    if (!url) co_return std::unexpected(std::move(url.error()));
    const net::tls_settings tls{.mode = url->tls ? net::tls_mode::implicit : net::tls_mode::off,
                                .verify = net::tls_verify::ca,
                                .ca_file = place.ca_file,
                                .pins = {},
                                .certificate_file = {},
                                .key_file = {}};
    auto line = co_await net::connection::open(ex, url->where, tls, until);
    if (!line) co_return std::unexpected(std::move(line.error()));
    co_return std::make_unique<network_line>(std::move(*line));
}

} // namespace postferry::app

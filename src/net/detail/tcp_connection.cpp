#include "net/detail/tcp_connection.hpp"

#include "net/detail/tls_errors.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <cassert>
#include <cerrno>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace asio = boost::asio;

namespace postferry::net::detail {

namespace {

// After so many octets without a wait the other mailboxes of the thread have their turn.
constexpr std::size_t burst_limit = 1024 * 1024;
constexpr std::size_t pieces_per_call = 64;
constexpr std::chrono::seconds asked_every{1}; // well below what whoever forbids to send leaves for it to take effect

std::string show_peer(const asio::ip::tcp::socket& socket) {
    boost::system::error_code ec;
    const asio::ip::tcp::endpoint remote = socket.remote_endpoint(ec);
    if (ec) return "an unknown address";
    return remote.address().is_v6() ? fmt::format("[{}]:{}", remote.address().to_string(), remote.port())
                                    : fmt::format("{}:{}", remote.address().to_string(), remote.port());
}

double seconds(deadline::clock::duration d) { return std::chrono::duration<double>(d).count(); }

} // namespace

/// Marks a lane as waiting, also when the wait is left by an exception.
struct tcp_connection::waiting_mark {
    lane& l;
    explicit waiting_mark(lane& of) noexcept : l(of) { l.waiting = true; }
    waiting_mark(const waiting_mark&) = delete;
    waiting_mark& operator=(const waiting_mark&) = delete;
    ~waiting_mark() { l.waiting = false; }
};

tcp_connection::tcp_connection(asio::ip::tcp::socket socket, endpoint where)
    : socket_(std::move(socket)), reading_(socket_.get_executor()), writing_(socket_.get_executor()),
      asking_(socket_.get_executor()), where_(std::move(where)), peer_(show_peer(socket_)) {
    boost::system::error_code ignored;
    socket_.non_blocking(true, ignored);
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
}

tcp_connection::~tcp_connection() { close(); }

void tcp_connection::close() noexcept {
    if (why_closed_) return;
    if (tls_ && may_send()) tls_->shut();
    shut(fail(retry_class::cancelled, phase::connect, fmt::format("the connection to {} was closed", peer_)).error());
}

void tcp_connection::discard_unsent(bool on) noexcept {
    boost::system::error_code ignored;
    if (!why_closed_) socket_.set_option(asio::socket_base::linger(on, 0), ignored);
}

void tcp_connection::acknowledge() noexcept {
#ifdef TCP_QUICKACK
    // It holds for what has arrived until now; the system goes back to its own habit by itself.
    const int on = 1;
    if (!why_closed_) ::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
#endif
}

void tcp_connection::ask_before_sending(std::function<bool()> may) {
    may_send_ = std::move(may);
    ask_again();
}

void tcp_connection::ask_again() {
    if (why_closed_) return;
    asking_.expires_after(asked_every);
    asking_.async_wait([this, alive = std::weak_ptr<void>(alive_)](const boost::system::error_code& ec) {
        if (ec || alive.expired()) return;
        if (may_send())
            ask_again();
        else
            shut(not_allowed());
    });
}

const error& tcp_connection::shut(error why) noexcept {
    if (why_closed_) return *why_closed_;
    if (!may_send()) discard_unsent(true);
    why_closed_ = std::move(why);
    boost::system::error_code ignored;
    socket_.close(ignored);
    reading_.timer.cancel();
    writing_.timer.cancel();
    asking_.cancel();
    return *why_closed_;
}

error tcp_connection::late(const lane& l) const {
    const char* what = &l == &writing_ ? "took nothing" : "gave no answer";
    return fail(retry_class::transient, phase::connect,
                fmt::format("{} {} for {:.3g} s", peer_, what, seconds(deadline::clock::now() - l.since)))
        .error();
}

error tcp_connection::failure() const {
    if (tls_) return tls_->failure(peer_);
    return fail(retry_class::transient, phase::connect,
                fmt::format("connection to {} lost: {}", peer_, os_reason(os_error_)))
        .error();
}

error tcp_connection::not_allowed() const {
    return fail(retry_class::cancelled, phase::connect,
                fmt::format("nothing may be sent to {} any more: another process may be at it by now", peer_))
        .error();
}

void tcp_connection::arm(lane& l) {
    if (l.until == moment::max() || l.armed <= l.until) return;
    l.armed = l.until;
    l.timer.expires_at(l.until);
    l.timer.async_wait([this, &l, alive = std::weak_ptr<void>(alive_)](const boost::system::error_code& ec) {
        if (!ec && !alive.expired()) on_timer(l);
    });
}

void tcp_connection::on_timer(lane& l) {
    l.armed = moment::max();
    if (!l.waiting) return;
    if (deadline::clock::now() >= l.until) {
        shut(late(l));
    } else {
        arm(l);
    }
}

task<> tcp_connection::wait(lane& l, socket_type::wait_type what, deadline until) {
    if (l.since == moment{}) l.since = deadline::clock::now();
    l.until = until.when();
    l.burst = 0;
    const waiting_mark mark(l);
    if (until.passed()) {
        shut(late(l));
        co_return;
    }
    arm(l);
    auto [ec] = co_await socket_.async_wait(what, asio::as_tuple(asio::use_awaitable));
    if (!ec || why_closed_) co_return;
    // Nobody closed us, so it was the coroutine that was cancelled.
    if (ec == asio::error::operation_aborted)
        close();
    else
        shut(fail(retry_class::transient, phase::connect, fmt::format("connection to {} lost: {}", peer_, ec.message()))
                 .error());
}

io_step tcp_connection::receive(std::span<char> buffer) noexcept {
    if (tls_) return tls_->read(buffer);
    for (;;) {
        const ssize_t n = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), 0);
        if (n > 0) return {io_status::done, static_cast<std::size_t>(n)};
        if (n == 0) return {io_status::closed, 0};
        if (errno == EAGAIN || errno == EWOULDBLOCK) return {io_status::wait_read, 0};
        if (errno == EINTR) continue;
        os_error_ = errno;
        return {io_status::failed, 0};
    }
}

task<result<std::size_t>> tcp_connection::read_some(std::span<char> buffer, deadline until) {
    assert(!buffer.empty());
    if (reading_.burst >= burst_limit) {
        reading_.burst = 0;
        co_await asio::post(asio::use_awaitable);
    }
    reading_.since = moment{};
    for (;;) {
        if (why_closed_) co_return std::unexpected(*why_closed_);
        const io_step got = receive(buffer);
        if (tls_ && tls_->has_output() && !writer_active_) flush_in_background();
        if (got.octets > 0) {
            reading_.burst += got.octets;
            co_return got.octets;
        }
        if (got.status == io_status::closed) co_return std::size_t{0};
        if (got.status == io_status::failed) co_return std::unexpected(shut(failure()));
        co_await wait(reading_, socket_type::wait_read, until);
    }
}

bool tcp_connection::readable() const noexcept {
    boost::system::error_code ec;
    return !why_closed_ && socket_.available(ec) > 0;
}

io_step tcp_connection::send_plain(piece_cursor& pieces) noexcept {
    io_step out;
    while (!pieces.at_end() && out.octets < burst_limit && may_send()) {
        std::array<iovec, pieces_per_call> vectors; // NOLINT: fill() says how many are set
        msghdr message{};
        message.msg_iov = vectors.data();
        message.msg_iovlen = pieces.fill(vectors);
        const ssize_t n = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL);
        if (n >= 0) {
            pieces.advance(static_cast<std::size_t>(n));
            out.octets += static_cast<std::size_t>(n);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            out.status = io_status::wait_write;
            break;
        } else if (errno != EINTR) {
            os_error_ = errno;
            out.status = io_status::failed;
            break;
        }
    }
    return out;
}

io_step tcp_connection::send(piece_cursor& pieces) {
    return tls_ ? tls_->write(pieces, burst_limit) : send_plain(pieces);
}

task<result<void>> tcp_connection::write(std::span<const iovec> pieces, std::chrono::milliseconds patience,
                                         deadline until) {
    struct active_mark {
        bool& flag;
        explicit active_mark(bool& of) noexcept : flag(of) { flag = true; }
        active_mark(const active_mark&) = delete;
        active_mark& operator=(const active_mark&) = delete;
        ~active_mark() { flag = false; }
    };
    const active_mark mark(writer_active_);
    piece_cursor cursor(pieces);
    writing_.since = moment{};
    for (;;) {
        if (why_closed_) co_return std::unexpected(*why_closed_);
        if (!may_send()) co_return std::unexpected(shut(not_allowed()));
        const io_step sent = send(cursor);
        writing_.burst += sent.octets;
        if (sent.status == io_status::failed) co_return std::unexpected(shut(failure()));
        if (sent.status == io_status::wait_write) {
            writing_.since = moment{}; // a socket that became writable has taken something
            co_await wait(writing_, socket_type::wait_write, until.sooner(patience));
            continue;
        }
        if (tls_ && cursor.at_end()) tls_->release_output();
        if (cursor.at_end() && writing_.burst < burst_limit) co_return result<void>();
        if (writing_.burst >= burst_limit) {
            writing_.burst = 0;
            co_await asio::post(asio::use_awaitable);
        }
        if (cursor.at_end()) co_return result<void>();
    }
}

// A read can make OpenSSL answer (KeyUpdate, an alert). When no write is under way to carry it, it leaves from here.
void tcp_connection::flush_in_background() {
    if (flushing_ || !may_send() || tls_->flush() != io_status::wait_write) return;
    flushing_ = true;
    socket_.async_wait(socket_type::wait_write,
                       [this, alive = std::weak_ptr<void>(alive_)](const boost::system::error_code& ec) {
                           if (alive.expired()) return;
                           flushing_ = false;
                           if (!ec && !why_closed_ && !writer_active_) flush_in_background();
                       });
}

task<result<void>> tcp_connection::start_tls(const tls_settings& tls, deadline until) {
    if (why_closed_) co_return std::unexpected(*why_closed_);
    result<std::unique_ptr<tls_session>> session = tls_session::make(socket_.native_handle(), where_.host, tls);
    if (!session) co_return std::unexpected(shut(std::move(session.error())));
    reading_.since = moment{};
    for (;;) {
        if (why_closed_) co_return std::unexpected(*why_closed_);
        const io_status step = (*session)->handshake(tls);
        if (step == io_status::done) break;
        if (step == io_status::failed) co_return std::unexpected(shut((*session)->handshake_error(where_)));
        if (step == io_status::wait_read) co_await wait(reading_, socket_type::wait_read, until);
        if (step == io_status::wait_write) co_await wait(writing_, socket_type::wait_write, until);
        if (why_closed_) why_closed_->where = phase::tls;
    }
    tls_ = std::move(*session);
    tls_->release_output();
    co_return result<void>();
}

} // namespace postferry::net::detail

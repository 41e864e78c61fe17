#include "net/detail/tls_session.hpp"

#include "net/detail/tls_errors.hpp"

#include <boost/asio/ip/address.hpp>
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <sys/socket.h>

namespace postferry::net::detail {

namespace {

// A record holds at most 2^14 octets (RFC 8446 section 5.1).
constexpr std::size_t record_limit = 16 * 1024;
// Pieces below this are copied together into one record, larger ones are encrypted where they lie.
constexpr std::size_t small_piece = 4 * 1024;
// Encrypted octets collected for one send().
constexpr std::size_t send_size = 64 * 1024;

tls_wire& wire_of(BIO* bio) noexcept { return *static_cast<tls_wire*>(BIO_get_data(bio)); }

int wire_read(BIO* bio, char* out, int size) {
    tls_wire& wire = wire_of(bio);
    BIO_clear_retry_flags(bio);
    if (wire.drained && wire.satisfied) {
        BIO_set_retry_read(bio);
        return -1;
    }
    ssize_t n = 0;
    do n = ::recv(wire.fd, out, static_cast<std::size_t>(size), 0);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        wire.drained = n < size;
        const std::size_t keep = std::min(static_cast<std::size_t>(n), wire.greeting.size() - wire.greeting_size);
        std::copy_n(out, keep, wire.greeting.begin() + static_cast<std::ptrdiff_t>(wire.greeting_size));
        wire.greeting_size += keep;
        return static_cast<int>(n);
    }
    if (n == 0) {
        wire.eof = true;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        BIO_set_retry_read(bio);
    } else {
        wire.os_error = errno;
    }
    return static_cast<int>(n);
}

int wire_write(BIO* bio, const char* data, int size) {
    wire_of(bio).outbox.append(data, static_cast<std::size_t>(size));
    return size;
}

long wire_ctrl(BIO* bio, int command, long /*number*/, void* /*pointer*/) {
    if (command == BIO_CTRL_EOF) return wire_of(bio).eof ? 1 : 0;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* wire_method() {
    static BIO_METHOD* const method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "postferry wire");
        BIO_meth_set_read(made, wire_read);
        BIO_meth_set_write(made, wire_write);
        BIO_meth_set_ctrl(made, wire_ctrl);
        return made;
    }();
    return method;
}

} // namespace

result<std::unique_ptr<tls_session>> tls_session::make(int fd, const std::string& host, const tls_settings& settings) {
    if (settings.verify == tls_verify::pin && settings.pins.empty())
        return fail(retry_class::config, phase::tls, "verify=pin without a pin",
                    "Give the pin: verify=pin:sha256/BASE64");
    result<context_ptr> context = context_for(settings);
    if (!context) return std::unexpected(std::move(context.error()));
    std::unique_ptr<tls_session> session(new tls_session);
    session->context_ = std::move(*context);
    session->wire_.fd = fd;
    session->ssl_.reset(SSL_new(session->context_.get()));
    BIO* bio = BIO_new(wire_method());
    if (!session->ssl_ || bio == nullptr) throw std::bad_alloc();
    BIO_set_data(bio, &session->wire_);
    BIO_set_init(bio, 1);
    SSL_set_bio(session->ssl_.get(), bio, bio);
    session->set_peer(host, settings);
    SSL_set_connect_state(session->ssl_.get());
    return session;
}

tls_session::~tls_session() = default;

void tls_session::set_peer(const std::string& host, const tls_settings& settings) {
    hang_on(ssl_.get(), &check_);
    boost::system::error_code no_address;
    const auto address = boost::asio::ip::make_address(host, no_address);
    // RFC 6066 section 3: no addresses in SNI, and names without a dot at the end.
    const std::string name = host.ends_with('.') ? host.substr(0, host.size() - 1) : host;
    if (no_address) SSL_set_tlsext_host_name(ssl_.get(), name.c_str());
    if (settings.verify != tls_verify::ca) return;
    X509_VERIFY_PARAM* param = SSL_get0_param(ssl_.get());
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (no_address) {
        X509_VERIFY_PARAM_set1_host(param, name.c_str(), name.size());
    } else {
        X509_VERIFY_PARAM_set1_ip_asc(param, address.to_string().c_str());
    }
}

io_status tls_session::handshake(const tls_settings& settings) {
    check_.settings = &settings;
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_.get());
    const int ssl_error = done == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), done);
    check_.settings = nullptr;
    const bool going = ssl_error == SSL_ERROR_NONE || ssl_error == SSL_ERROR_WANT_READ;
    if (!going) {
        const io_status status = fault(ssl_error);
        (void)flush(); // the alert, if the socket takes it
        return status == io_status::closed ? io_status::failed : status;
    }
    if (const io_status out = flush(); out != io_status::done) return out;
    return ssl_error == SSL_ERROR_NONE ? io_status::done : io_status::wait_read;
}

error tls_session::handshake_error(const endpoint& where) const {
    return explain_handshake(where, check_, wire_, reason_);
}

io_status tls_session::fault(int ssl_error) {
    if (ssl_error == SSL_ERROR_WANT_READ) return io_status::wait_read;
    if (ssl_error == SSL_ERROR_ZERO_RETURN) return io_status::closed;
    if (!failed_) reason_ = ERR_peek_error();
    failed_ = true;
    return io_status::failed;
}

io_step tls_session::read(std::span<char> buffer) {
    if (failed_) return {io_status::failed, 0};
    ERR_clear_error();
    wire_.drained = wire_.satisfied = false;
    std::size_t total = 0;
    while (total < buffer.size()) {
        std::size_t n = 0;
        if (SSL_read_ex(ssl_.get(), buffer.data() + total, buffer.size() - total, &n) != 1)
            return {fault(SSL_get_error(ssl_.get(), 0)), total};
        total += n;
        wire_.satisfied = true;
    }
    return {io_status::done, total};
}

io_step tls_session::write(piece_cursor& pieces, std::size_t budget) {
    if (failed_) return {io_status::failed, 0};
    std::array<char, record_limit> scratch; // NOLINT: filled before it is used
    ERR_clear_error();
    std::size_t total = 0;
    while (!pieces.at_end() && total < budget) {
        if (wire_.outbox.size() - wire_.sent >= send_size)
            if (const io_status out = flush(); out != io_status::done) return {out, total};
        std::string_view record(scratch.data(), pieces.gather(scratch, small_piece));
        const bool in_place = record.empty();
        if (in_place) record = pieces.front().substr(0, record_limit);
        std::size_t n = 0;
        if (SSL_write_ex(ssl_.get(), record.data(), record.size(), &n) != 1)
            return {fault(SSL_get_error(ssl_.get(), 0)), total};
        if (in_place) pieces.advance(n);
        total += n;
    }
    return {flush(), total};
}

io_status tls_session::flush() {
    while (has_output()) {
        const ssize_t n =
            ::send(wire_.fd, wire_.outbox.data() + wire_.sent, wire_.outbox.size() - wire_.sent, MSG_NOSIGNAL);
        if (n >= 0) {
            wire_.sent += static_cast<std::size_t>(n);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (wire_.sent >= send_size) {
                wire_.outbox.erase(0, wire_.sent);
                wire_.sent = 0;
            }
            return io_status::wait_write;
        } else if (errno != EINTR) {
            wire_.os_error = errno;
            failed_ = true;
            return io_status::failed;
        }
    }
    wire_.outbox.clear();
    wire_.sent = 0;
    return io_status::done;
}

void tls_session::release_output() noexcept {
    if (!has_output() && wire_.outbox.capacity() > small_piece) std::string().swap(wire_.outbox);
}

void tls_session::shut() noexcept {
    if (failed_ || SSL_is_init_finished(ssl_.get()) == 0) return;
    SSL_shutdown(ssl_.get());
    (void)flush();
}

error tls_session::failure(std::string_view peer) const {
    if (wire_.os_error != 0)
        return fail(retry_class::transient, phase::connect,
                    fmt::format("connection to {} lost: {}", peer, os_reason(wire_.os_error)))
            .error();
    if (wire_.eof)
        return fail(retry_class::transient, phase::connect,
                    fmt::format("connection to {} was cut without a TLS farewell", peer))
            .error();
    return explain_alert(peer, reason_);
}

std::string tls_session::summary() const {
    return fmt::format("{} {}", SSL_get_version(ssl_.get()), SSL_get_cipher_name(ssl_.get()));
}

} // namespace postferry::net::detail

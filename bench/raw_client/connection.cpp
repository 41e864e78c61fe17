#include "connection.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace raw_client {
namespace {

constexpr std::size_t tls_gather = 256 << 10; // plain octets encrypted into one send

} // namespace

void die(std::string_view why) {
    std::fprintf(stderr, "raw_client: %.*s%s%s\n", static_cast<int>(why.size()), why.data(), errno != 0 ? ": " : "",
                 errno != 0 ? std::strerror(errno) : "");
    std::_Exit(1);
}

connection::connection(const server& where, int rcvbuf, int sndbuf) {
    connect_tcp(where, rcvbuf, sndbuf);
    if (where.tls) start_tls();
}

connection::~connection() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    close(fd_);
}

void connection::connect_tcp(const server& where, int rcvbuf, int sndbuf) {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd_ < 0) die("socket");
    if (rcvbuf > 0) setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf);
    if (sndbuf > 0) setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof sndbuf);
    const int one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(where.port));
    if (inet_pton(AF_INET, where.host.c_str(), &address.sin_addr) != 1) die("host must be an IPv4 address");
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS)
        die("connect");
    wait(POLLOUT);
    int failure = 0;
    socklen_t length = sizeof failure;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &failure, &length);
    errno = failure;
    if (failure != 0) die("connect");
}

void connection::start_tls() {
    context_ = SSL_CTX_new(TLS_client_method());
    // Of the suites that Dovecot takes the quickest where the processor knows AES.
    SSL_CTX_set_ciphersuites(context_, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
    SSL_CTX_set_verify(context_, SSL_VERIFY_NONE, nullptr);
    SSL_CTX_set_read_ahead(context_, 1); // one system call for many records
    SSL_CTX_set_default_read_buffer_len(context_, tls_gather);
    ssl_ = SSL_new(context_);
    BIO* out = BIO_new(BIO_s_mem());
    SSL_set0_rbio(ssl_, BIO_new_socket(fd_, BIO_NOCLOSE));
    SSL_set0_wbio(ssl_, out);
    plain_.resize(tls_gather);
    for (;;) {
        const int rc = SSL_connect(ssl_);
        char* data = nullptr;
        unsent_ = static_cast<std::size_t>(BIO_get_mem_data(out, &data));
        while (!flush()) wait(POLLOUT);
        if (rc == 1) return;
        if (SSL_get_error(ssl_, rc) != SSL_ERROR_WANT_READ) die("TLS handshake");
        wait(POLLIN);
    }
}

std::size_t connection::read(char* to, std::size_t octets) {
    if (ssl_ == nullptr) {
        const ssize_t n = recv(fd_, to, octets, 0);
        if (n > 0) return static_cast<std::size_t>(n);
        if (n < 0 && errno == EAGAIN) return 0;
        die("connection ended");
    }
    std::size_t total = 0;
    while (total < octets) {
        std::size_t n = 0;
        if (SSL_read_ex(ssl_, to + total, octets - total, &n) != 1) {
            if (SSL_get_error(ssl_, 0) == SSL_ERROR_WANT_READ) break;
            die("TLS connection ended");
        }
        total += n;
    }
    return total;
}

std::size_t connection::write(const iovec* parts, int count) {
    if (ssl_ != nullptr) return write_tls(parts, count);
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts);
    message.msg_iovlen = static_cast<std::size_t>(count);
    const ssize_t n = sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno == EAGAIN) return 0;
    die("write");
}

std::size_t connection::write_tls(const iovec* parts, int count) {
    if (!flush()) return 0;
    std::size_t gathered = 0;
    for (int i = 0; i < count && gathered < tls_gather; ++i) {
        const std::size_t n = std::min(parts[i].iov_len, tls_gather - gathered);
        std::memcpy(plain_.data() + gathered, parts[i].iov_base, n);
        gathered += n;
    }
    std::size_t taken = 0;
    if (gathered > 0 && SSL_write_ex(ssl_, plain_.data(), gathered, &taken) != 1) die("TLS write");
    char* data = nullptr;
    unsent_ = static_cast<std::size_t>(BIO_get_mem_data(SSL_get_wbio(ssl_), &data));
    flush();
    return taken;
}

bool connection::flush() {
    while (unsent_ > 0) {
        char* data = nullptr;
        BIO_get_mem_data(SSL_get_wbio(ssl_), &data);
        const ssize_t n = send(fd_, data + sent_, unsent_, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) return false;
        if (n < 0) die("write");
        sent_ += static_cast<std::size_t>(n);
        unsent_ -= static_cast<std::size_t>(n);
    }
    if (sent_ > 0) (void)BIO_reset(SSL_get_wbio(ssl_));
    sent_ = 0;
    return true;
}

void connection::send_all(std::string_view text) {
    while (!text.empty() || has_unsent()) {
        const iovec part{const_cast<char*>(text.data()), text.size()};
        const std::size_t n = write(&part, 1);
        text.remove_prefix(n);
        if (has_unsent() || (n == 0 && !text.empty())) wait(POLLOUT);
    }
}

void connection::wait(short events) const {
    pollfd p{fd_, events, 0};
    while (poll(&p, 1, -1) < 0)
        if (errno != EINTR) die("poll");
}

} // namespace raw_client

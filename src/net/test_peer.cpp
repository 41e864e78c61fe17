#include "net/test_peer.hpp"

#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <csignal>
#include <filesystem>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

namespace postferry::net::test {

namespace {

int make_listener(bool v6, std::uint16_t& port) {
    const int fd = ::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_storage address{};
    socklen_t size = v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    if (v6) {
        auto* a = reinterpret_cast<sockaddr_in6*>(&address);
        a->sin6_family = AF_INET6;
        a->sin6_addr = in6addr_loopback;
    } else {
        auto* a = reinterpret_cast<sockaddr_in*>(&address);
        a->sin_family = AF_INET;
        a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd, 4) != 0) {
        ::close(fd);
        throw std::runtime_error("no loopback listener");
    }
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(v6 ? reinterpret_cast<sockaddr_in6*>(&address)->sin6_port
                    : reinterpret_cast<sockaddr_in*>(&address)->sin_port);
    return fd;
}

X509* make_certificate(const certificate_options& o, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key, bool is_ca) {
    static std::atomic<long> serial{100};
    X509* c = X509_new();
    X509_set_version(c, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(c), serial++);
    X509_gmtime_adj(X509_getm_notBefore(c), o.starts_in_days * 86400L);
    X509_gmtime_adj(X509_getm_notAfter(c), o.ends_in_days * 86400L);
    X509_set_pubkey(c, key);
    X509_NAME* name = X509_get_subject_name(c);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(o.common_name.c_str()),
                               -1, -1, 0);
    X509_set_issuer_name(c, issuer == nullptr ? name : X509_get_subject_name(issuer));
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer == nullptr ? c : issuer, c, nullptr, nullptr, 0);
    const auto extend = [&](int nid, const std::string& value) {
        X509_EXTENSION* e = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
        X509_add_ext(c, e, -1);
        X509_EXTENSION_free(e);
    };
    extend(NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (!is_ca && !o.names.empty()) extend(NID_subject_alt_name, fmt::format("{}", fmt::join(o.names, ",")));
    X509_sign(c, issuer_key == nullptr ? key : issuer_key, EVP_sha256());
    return c;
}

void save(const std::string& base, X509* certificate, EVP_PKEY* key) {
    FILE* file = std::fopen((base + ".crt").c_str(), "w");
    PEM_write_X509(file, certificate);
    std::fclose(file);
    file = std::fopen((base + ".key").c_str(), "w");
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
}

} // namespace

peer_line::~peer_line() {
    if (ssl_) SSL_shutdown(ssl_.get());
    cut();
}

void peer_line::cut() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
    ssl_.reset();
}

bool peer_line::secure(SSL_CTX* ctx) {
    ssl_.reset(SSL_new(ctx));
    SSL_set_fd(ssl_.get(), fd_);
    const bool ok = SSL_accept(ssl_.get()) == 1;
    if (!ok) ssl_.reset();
    ERR_clear_error();
    return ok;
}

bool peer_line::write(std::string_view octets) {
    while (!octets.empty()) {
        const ssize_t n =
            ssl_ ? SSL_write(ssl_.get(), octets.data(), static_cast<int>(std::min<std::size_t>(octets.size(), 1 << 20)))
                 : ::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL);
        if (n <= 0) return false;
        octets.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

std::string peer_line::read(std::size_t at_most) {
    std::string out(at_most, '\0');
    const ssize_t n =
        ssl_ ? SSL_read(ssl_.get(), out.data(), static_cast<int>(at_most)) : ::recv(fd_, out.data(), at_most, 0);
    out.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return out;
}

std::string peer_line::read_exactly(std::size_t octets) {
    std::string out;
    while (out.size() < octets) {
        const std::string part = read(std::min<std::size_t>(octets - out.size(), 256 * 1024));
        if (part.empty()) break;
        out += part;
    }
    return out;
}

peer::peer(std::function<void(peer_line&)> script, bool v6) : listener_(make_listener(v6, port_)) {
    // The server's blocking SSL_write has no MSG_NOSIGNAL.
    static const auto ignored = std::signal(SIGPIPE, SIG_IGN);
    (void)ignored;
    thread_ = std::thread([fd = listener_, play = std::move(script)] {
        const int accepted = ::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC);
        if (accepted < 0) return;
        peer_line line(accepted);
        play(line);
    });
}

peer::~peer() {
    ::shutdown(listener_, SHUT_RDWR); // wakes an accept() that nobody dialled
    thread_.join();
    ::close(listener_);
}

std::uint16_t refused_port() {
    std::uint16_t port = 0;
    ::close(make_listener(false, port));
    return port;
}

authority::authority() : key_(EVP_EC_gen("P-256")) {
    std::string pattern = (std::filesystem::temp_directory_path() / "pf-net-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = pattern;
    certificate_ =
        make_certificate({.common_name = "Postferry Test Authority", .names = {}}, key_, nullptr, nullptr, true);
    save(folder_ + "/ca", certificate_, key_);
}

authority::~authority() {
    for (SSL_CTX* c : contexts_) SSL_CTX_free(c);
    X509_free(certificate_);
    EVP_PKEY_free(key_);
    std::filesystem::remove_all(folder_);
}

std::string authority::ca_file() const { return folder_ + "/ca.crt"; }

std::string authority::issue(const std::string& name, const certificate_options& options) {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* c = options.self_signed ? make_certificate(options, key, nullptr, nullptr, false)
                                  : make_certificate(options, key, certificate_, key_, false);
    save(folder_ + "/" + name, c, key);
    X509_free(c);
    EVP_PKEY_free(key);
    return folder_ + "/" + name;
}

SSL_CTX* authority::server(const std::string& base) {
    SSL_CTX* ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate_file(ctx, (base + ".crt").c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(ctx, (base + ".key").c_str(), SSL_FILETYPE_PEM);
    contexts_.push_back(ctx);
    return ctx;
}

authority& shared_authority() {
    static authority a;
    return a;
}

task<result<std::unique_ptr<connection>>> dial(std::uint16_t port, tls_settings tls, std::string host) {
    const executor ex = co_await boost::asio::this_coro::executor;
    endpoint where;
    where.host = std::move(host);
    where.port = port;
    co_return co_await connection::open(ex, std::move(where), tls, soon());
}

task<std::optional<error>> attempt(std::uint16_t port, tls_settings tls, std::string host, deadline until) {
    const executor ex = co_await boost::asio::this_coro::executor;
    endpoint where;
    where.host = std::move(host);
    where.port = port;
    const auto opened = co_await connection::open(ex, std::move(where), tls, until);
    if (!opened) co_return opened.error();
    co_return std::nullopt;
}

task<result<void>> send_text(connection& line, std::string_view text) {
    iovec piece{};
    piece.iov_base = const_cast<char*>(text.data());
    piece.iov_len = text.size();
    co_return co_await line.write(std::span<const iovec>(&piece, 1), std::chrono::seconds(20), soon());
}

task<result<std::string>> receive_text(connection& line, std::size_t octets) {
    std::string out;
    std::string buffer(256 * 1024, '\0');
    while (out.size() < octets) {
        const std::span<char> room(buffer.data(), std::min(buffer.size(), octets - out.size()));
        const result<std::size_t> n = co_await line.read_some(room, soon());
        if (!n) co_return std::unexpected(n.error());
        if (*n == 0) break;
        out.append(buffer, 0, *n);
    }
    co_return out;
}

} // namespace postferry::net::test

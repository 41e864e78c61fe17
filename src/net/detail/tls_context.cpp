#include "net/detail/tls_context.hpp"

#include "base/digest.hpp"
#include "net/detail/tls_errors.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <algorithm>
#include <compare>
#include <filesystem>
#include <map>
#include <mutex>

namespace postferry::net::detail {

namespace {

int check_index() noexcept {
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

peer_check* check_of(X509_STORE_CTX* store) noexcept {
    const auto* ssl = static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    return ssl == nullptr ? nullptr : static_cast<peer_check*>(SSL_get_ex_data(ssl, check_index()));
}

x509_ptr share(X509* certificate) noexcept {
    if (certificate != nullptr) X509_up_ref(certificate);
    return x509_ptr(certificate);
}

// Chain checks keep the first fault with its certificates: after a failed handshake OpenSSL no longer tells them.
int on_chain_step(int ok, X509_STORE_CTX* store) {
    peer_check* check = check_of(store);
    if (ok != 1 && check != nullptr && check->verify_error == X509_V_OK) {
        check->verify_error = X509_STORE_CTX_get_error(store);
        check->leaf = share(X509_STORE_CTX_get0_cert(store));
        check->culprit = share(X509_STORE_CTX_get_current_cert(store));
    }
    return ok;
}

bool same_pin(std::string_view wanted, std::string_view seen) noexcept {
    if (wanted.starts_with("sha256/")) wanted.remove_prefix(7);
    return wanted == seen;
}

// Stands in for the whole chain check with verify=pin: the key is trusted, whoever signed it and until when.
int check_pin(X509_STORE_CTX* store, void* /*unused*/) {
    peer_check* check = check_of(store);
    X509* leaf = X509_STORE_CTX_get0_cert(store);
    if (check == nullptr || check->settings == nullptr || leaf == nullptr) return 0;
    const std::string seen = pin_of(leaf);
    if (std::ranges::any_of(check->settings->pins, [&](const std::string& pin) { return same_pin(pin, seen); }))
        return 1;
    check->pin_missed = true;
    check->leaf = share(leaf);
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

int check_nothing(X509_STORE_CTX* /*store*/, void* /*unused*/) { return 1; }

std::unexpected<error> file_error(std::string_view what, const std::string& file) {
    return fail(retry_class::config, phase::tls, fmt::format("cannot load {} {}: {}", what, file, openssl_reason()),
                "The file must be readable and in PEM format");
}

result<void> load_client_certificate(SSL_CTX* ctx, const tls_settings& settings) {
    if (settings.certificate_file.empty()) return {};
    const std::string& key = settings.key_file.empty() ? settings.certificate_file : settings.key_file;
    if (SSL_CTX_use_certificate_chain_file(ctx, settings.certificate_file.c_str()) != 1)
        return file_error("the client certificate", settings.certificate_file);
    if (SSL_CTX_use_PrivateKey_file(ctx, key.c_str(), SSL_FILETYPE_PEM) != 1)
        return file_error("the client's key", key);
    return {};
}

result<void> load_trust(SSL_CTX* ctx, const tls_settings& settings) {
    switch (settings.verify) {
    case tls_verify::pin: SSL_CTX_set_cert_verify_callback(ctx, check_pin, nullptr); break;
    case tls_verify::off: SSL_CTX_set_cert_verify_callback(ctx, check_nothing, nullptr); break;
    case tls_verify::ca:
        if (settings.ca_file.empty()) {
            SSL_CTX_set_default_verify_paths(ctx);
        } else if (SSL_CTX_load_verify_file(ctx, settings.ca_file.c_str()) != 1) {
            return file_error("the CA file", settings.ca_file);
        }
        break;
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, on_chain_step);
    return {};
}

// 64 kB: four full records for one recv(), and still below malloc's mmap threshold, since idle buffers are given back.
constexpr std::size_t read_buffer = 64 * 1024;

result<context_ptr> make_context(const tls_settings& settings) {
    ERR_clear_error();
    const context_ptr ctx(SSL_CTX_new(TLS_client_method()), openssl_delete{});
    if (!ctx) return fail(retry_class::local, phase::tls, fmt::format("OpenSSL cannot start: {}", openssl_reason()));
    SSL_CTX_set_min_proto_version(ctx.get(), TLS1_2_VERSION);
    // Renegotiation would let a read wait for a write; no mail server needs it.
    SSL_CTX_set_options(ctx.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx.get(),
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(ctx.get(), 1);
    SSL_CTX_set_default_read_buffer_len(ctx.get(), read_buffer);
    if (auto trust = load_trust(ctx.get(), settings); !trust) return std::unexpected(trust.error());
    if (auto own = load_client_certificate(ctx.get(), settings); !own) return std::unexpected(own.error());
    return ctx;
}

/// A file is known by its name and its time of change: a renewed certificate is picked up by the next connection.
struct known_file {
    std::string name;
    std::filesystem::file_time_type changed{};
    auto operator<=>(const known_file&) const = default;

    static known_file of(const std::string& name) {
        std::error_code ec;
        if (name.empty()) return {};
        return {name, std::filesystem::last_write_time(name, ec)};
    }
};

struct cache_key {
    tls_verify verify;
    known_file ca, certificate, key;
    auto operator<=>(const cache_key&) const = default;
};

} // namespace

void hang_on(SSL* ssl, peer_check* check) noexcept { SSL_set_ex_data(ssl, check_index(), check); }

result<context_ptr> context_for(const tls_settings& settings) {
    static std::mutex guard;
    static std::map<cache_key, context_ptr> cache;
    const cache_key key{settings.verify,
                        known_file::of(settings.verify == tls_verify::ca ? settings.ca_file : std::string()),
                        known_file::of(settings.certificate_file), known_file::of(settings.key_file)};
    // Held while a context is made, so that a CA bundle is loaded once and not by every job that starts.
    const std::lock_guard lock(guard);
    if (const auto found = cache.find(key); found != cache.end()) return found->second;
    result<context_ptr> made = make_context(settings);
    // Bounded: a program that runs for months sees many renewed files.
    if (cache.size() >= 64) cache.clear();
    if (made) cache.emplace(key, *made);
    return made;
}

std::string pin_of(X509* certificate) {
    unsigned char* der = nullptr;
    const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    if (size <= 0) return {};
    const sha256_digest digest = sha256::of({reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)});
    OPENSSL_free(der);
    std::array<unsigned char, 48> text{};
    const int length = EVP_EncodeBlock(text.data(), digest.octets.data(), static_cast<int>(digest.octets.size()));
    return {reinterpret_cast<const char*>(text.data()), static_cast<std::size_t>(length)};
}

} // namespace postferry::net::detail

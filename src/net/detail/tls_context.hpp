#pragma once
#include "net/connection.hpp"

#include <openssl/ssl.h>

#include <memory>
#include <string>

namespace postferry::net::detail {

struct openssl_delete {
    void operator()(SSL_CTX* p) const noexcept { SSL_CTX_free(p); }
    void operator()(SSL* p) const noexcept { SSL_free(p); }
    void operator()(X509* p) const noexcept { X509_free(p); }
};
using ssl_ptr = std::unique_ptr<SSL, openssl_delete>;
using x509_ptr = std::unique_ptr<X509, openssl_delete>;
using context_ptr = std::shared_ptr<SSL_CTX>;

/// What one handshake checks and what it saw of the peer's certificate; hung on its SSL.
struct peer_check {
    const tls_settings* settings = nullptr; ///< valid during the handshake only
    int verify_error = 0;                   ///< X509_V_ERR_*; 0 = nothing wrong was found
    bool pin_missed = false;
    x509_ptr leaf;    ///< the server's certificate once it failed
    x509_ptr culprit; ///< the certificate of the chain that failed
};
void hang_on(SSL* ssl, peer_check* check) noexcept;

/// The context for these settings: TLS 1.2 at least, CA store and client certificate loaded. Contexts are shared by all
/// connections with the same settings and files that did not change since; any thread may ask.
/// Errors: config, a file that cannot be read or is no PEM.
[[nodiscard]] result<context_ptr> context_for(const tls_settings& settings);

/// base64 of the SHA-256 of the certificate's SubjectPublicKeyInfo, as `verify=pin:sha256/...` wants it (RFC 7469
/// section 2.4).
[[nodiscard]] std::string pin_of(X509* certificate);

} // namespace postferry::net::detail

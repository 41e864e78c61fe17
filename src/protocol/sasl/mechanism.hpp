#pragma once
#include "base/error.hpp"
#include "base/secret.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace postferry::sasl {

struct credentials {
    std::string authentication_id; ///< who proves himself (the admin in `admin=`, else the mailbox's owner)
    std::string authorization_id;  ///< on whose behalf; empty: the same
    secret password;               ///< password, or the OAuth 2 access token for XOAUTH2 and OAUTHBEARER
    std::string host;              ///< for OAUTHBEARER (RFC 7628) and SCRAM-less use; server name as configured
    std::uint16_t port = 0;
};

/// One authentication exchange (RFC 4422) without I/O. Challenges and responses are raw octets, not base64.
class mechanism {
  public:
    virtual ~mechanism() = default;
    [[nodiscard]] virtual std::string_view name() const noexcept = 0; ///< "SCRAM-SHA-256"
    /// Whether the client speaks first; then step("") gives the initial response (SASL-IR, RFC 4959).
    [[nodiscard]] virtual bool client_first() const noexcept = 0;
    /// The answer to a challenge. A failure here means that the server's proof is wrong or its challenge is nonsense
    /// (class auth or protocol); the exchange must then be given up.
    /// For XOAUTH2/OAUTHBEARER a second challenge is the server's error document: step returns the RFC's dummy answer
    /// and server_error() then tells the document.
    [[nodiscard]] virtual result<secret> step(std::string_view challenge) = 0;
    /// Whether the exchange may end here from the client's view: for SCRAM only after the server's signature was seen.
    [[nodiscard]] virtual bool complete() const noexcept = 0;
    [[nodiscard]] virtual std::string server_error() const { return {}; } ///< escaped, bounded, free of secrets
};

/// Wanted by the user (`auth=`).
enum class choice : std::uint8_t {
    automatic,
    plain,
    login,
    cram_md5,
    scram_sha_1,
    scram_sha_256,
    xoauth2,
    oauthbearer,
    external
};

[[nodiscard]] std::optional<choice> parse_choice(std::string_view text) noexcept; ///< "scram-sha-256"
[[nodiscard]] std::string_view name_of(choice c) noexcept;

/// Makes a mechanism by its SASL name (PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-1, SCRAM-SHA-256 over GNU SASL; XOAUTH2,
/// OAUTHBEARER, EXTERNAL of our own). Fails with class config on an unknown name.
[[nodiscard]] result<std::unique_ptr<mechanism>> make(std::string_view name, const credentials& who);

/// The names to try, best first, given what the server offers ("PLAIN", "SCRAM-SHA-256"...; upper case).
/// automatic: SCRAM-SHA-256, SCRAM-SHA-1, CRAM-MD5 (not with a different authorisation identity: it cannot carry one),
/// PLAIN, LOGIN (same) -- over TLS; without TLS (`encrypted` false) only mechanisms that do not show the password
/// A forced choice gives that one whether offered or not. Empty: nothing fits (the caller falls back to LOGIN command
/// or gives up).
[[nodiscard]] std::vector<std::string> rank(choice wanted, std::span<const std::string> offered, bool encrypted,
                                            bool allow_cleartext, bool has_authorization_id);

[[nodiscard]] std::string base64_encode(std::string_view octets);
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);

} // namespace postferry::sasl

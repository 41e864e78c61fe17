#pragma once
#include "client/token_source.hpp"
#include "net/http_post.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace postferry::client {

enum class oauth_grant : std::uint8_t { client_credentials, refresh_token };

struct oauth_settings {
    net::http_url token_endpoint;
    net::tls_settings tls; ///< how its certificate is checked
    oauth_grant grant = oauth_grant::client_credentials;
    std::string client_id;
    secret client_secret; ///< empty for a public client
    std::string scope;
    secret refresh_token;
    std::chrono::milliseconds patience{30'000}; ///< for one answer
    /// The server gave another refresh token; the old one may be good no more. Called on no particular thread.
    std::function<void(const secret&)> keep_refresh_token;
};

/// What a test replaces.
struct oauth_hooks {
    std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
    /// Sends the body to the endpoint; none: net::http_post.
    std::function<task<result<net::http_answer>>(secret body)> ask;
};

/// Tokens of one client of one token endpoint (RFC 6749, sections 4.4 and 6). A token is used until a quarter of its
/// life, or a minute, is left; then, or when a server refused it, a new one is got: by whoever needs it first, while
/// the others wait for it. A refusal of the endpoint holds for ten seconds, so that many mailboxes ask it once.
/// @param ex where the requests run; its context must outlive the object
[[nodiscard]] std::shared_ptr<token_source> oauth_tokens(executor ex, oauth_settings settings, oauth_hooks hooks = {});

} // namespace postferry::client

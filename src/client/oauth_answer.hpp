#pragma once
// What a token endpoint answers (RFC 6749, sections 5.1 and 5.2). Bytes in, values out.
#include "base/error.hpp"
#include "base/secret.hpp"

#include <chrono>
#include <optional>
#include <span>
#include <string_view>

namespace postferry::client {

struct oauth_token {
    secret access_token;
    std::optional<std::chrono::seconds> lives; ///< nothing: the server did not say
    std::optional<secret> refresh_token;       ///< to be used from now on
};

/// Errors: auth (the server refused, with its error and description), throttled (429), transient (5xx), protocol (no
/// token in what it sent). The text of an error never holds anything from `secrets`.
[[nodiscard]] result<oauth_token> read_token_answer(std::string_view host, unsigned status, std::string_view body,
                                                    std::span<const std::string_view> secrets);

} // namespace postferry::client

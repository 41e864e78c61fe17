#pragma once
// Secrets that the service hands out: session cookies, API tokens, links. The store keeps hashes of them only.
#include "base/secret.hpp"

#include <string>
#include <string_view>

namespace postferry::api {

/// 32 octets by lot (libsodium), base64url, behind a prefix that says what it is ("pf_"), so that a token that leaks
/// into a log or a repository is found by those who look for such.
[[nodiscard]] secret new_token(std::string_view prefix);
/// BLAKE2b-256, hexadecimal. The token has 256 bits of its own, so no salt and no work factor are needed.
[[nodiscard]] std::string hash_of(std::string_view token);
/// In a time that does not tell where they differ.
[[nodiscard]] bool same(std::string_view a, std::string_view b) noexcept;

} // namespace postferry::api

#pragma once
// The token of a link that works once: a nonce by lot, sealed with the service's key for one purpose, so that a forged
// one is told by itself, before the store is asked. The store keeps the hash of the nonce.
#include "store/vault.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace postferry::api {

struct link_token {
    secret text; ///< base64url without padding; about 110 characters
    std::string nonce_hash;
};

[[nodiscard]] link_token new_link_token(const store::vault& keys, store::link_kind purpose);
/// The hash of the nonce; nothing: we have not made it, or for something else.
[[nodiscard]] std::optional<std::string> open_link_token(const store::vault& keys, store::link_kind purpose,
                                                         std::string_view text);

} // namespace postferry::api

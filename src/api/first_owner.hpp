#pragma once
// The very first person of an installation: made behind a link that `serve` prints, when nobody is there who could sign
// in. Everything but the link's making runs in the caller's transaction.
#include "api/link_token.hpp"
#include "net/awaitable.hpp"
#include "store/database.hpp"
#include "store/tables.hpp"

#include <optional>
#include <string>

namespace postferry::api {

/// A link of 24 hours, those before it end. Nothing when there is an owner.
/// @param public_url without a slash at its end
task<result<std::optional<secret>>> new_first_owner_link(store::database& db, const store::vault& keys,
                                                         std::string public_url);
/// Whether the link is valid: not used, not expired, and there is no owner yet.
[[nodiscard]] result<bool> find_first_owner_link(store::tables& t, const std::string& nonce_hash);
/// Makes the owner and uses the link up. Nothing: it was not valid any more. `duplicate`: there is a person of that
/// name.
[[nodiscard]] result<std::optional<store::person>> take_first_owner(store::tables& t, const std::string& nonce_hash,
                                                                    store::person who);

} // namespace postferry::api

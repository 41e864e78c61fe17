#pragma once
// The link by which the owner of a mailbox gives its new password (docs/recredential.md). Values and transactions; the
// page is in pages.cpp, the route in recredential_routes.cpp. Everything here runs in the caller's transaction.
#include "api/link_token.hpp"
#include "store/tables.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace postferry::api {

/// Wrong passwords after which a link is void.
inline constexpr int most_wrong_passwords = 10;

/// A new link for a mailbox that needs credentials; those before it end. Errors: refusal::missing; not_allowed when the
/// mailbox does not wait for a password, or for one that its owner does not know.
[[nodiscard]] result<store::one_time_link> put_recredential_link(store::tables& t, store::record_id mailbox,
                                                                 const std::string& nonce_hash,
                                                                 std::chrono::hours lifetime, const std::string& actor);

/// What the page behind a link shows.
struct recredential {
    store::one_time_link link;
    store::migration mailbox;
    std::string company; ///< setting "name" of the company; empty: none
    int tries_left = 0;  ///< > 0
};
/// Nothing: whatever it is, the link is not valid (any more).
[[nodiscard]] result<std::optional<recredential>> find_recredential(store::tables& t, const std::string& nonce_hash);

/// The old server has refused the password. Answers how many tries are left.
[[nodiscard]] result<int> refuse_recredential(store::tables& t, const std::string& nonce_hash);
/// The old server has taken it: seals it, resumes the mailbox, and the link is used up. False: it was not valid any
/// more.
[[nodiscard]] result<bool> take_recredential(store::tables& t, store::vault& keys, const std::string& nonce_hash,
                                             const secret& password);

} // namespace postferry::api

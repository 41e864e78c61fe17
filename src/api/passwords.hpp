#pragma once
// Passwords on their way from a request into the store. They are sealed there, and never shown again.
#include "api/context.hpp"
#include "store/vault.hpp"

#include <initializer_list>

namespace postferry::api {

/// "source_password", "target_password", "source_refresh_token", "target_refresh_token", as far as the body has them;
/// their owner is left open.
[[nodiscard]] std::vector<store::credential_value> read_passwords(fields& body,
                                                                  std::initializer_list<std::string_view> names);
/// In the transaction of what they belong to. Without any: nothing.
[[nodiscard]] result<void> seal(store::tables& t, store::vault* vault, store::record_id mailbox,
                                std::vector<store::credential_value> passwords);
/// 409: the service has no key file.
[[nodiscard]] std::unexpected<problem> refuse_passwords();

} // namespace postferry::api

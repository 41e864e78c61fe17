#pragma once
#include <cstdint>

namespace postferry::client {

/// How a server is told that an administrator logs in on a user's behalf: by the SASL authorisation identity,
/// as `user*admin` (Dovecot's master users), or as `domain/admin/user` (Exchange).
enum class admin_form : std::uint8_t { sasl, star, slash };

} // namespace postferry::client

#pragma once
#include "net/detail/tls_context.hpp"

#include <string>
#include <string_view>

namespace postferry::net::detail {

struct tls_wire;

/// The oldest entry of OpenSSL's error queue as text; the queue is emptied.
[[nodiscard]] std::string openssl_reason();
[[nodiscard]] std::string os_reason(int os_error);

/// What was wrong with a failed handshake and what to do about it. `reason` is OpenSSL's error code, 0 if there is
/// none.
[[nodiscard]] error explain_handshake(const endpoint& where, const peer_check& check, const tls_wire& wire,
                                      unsigned long reason);
/// A failure after the handshake that is neither a lost nor a cut line.
[[nodiscard]] error explain_alert(std::string_view peer, unsigned long reason);

} // namespace postferry::net::detail

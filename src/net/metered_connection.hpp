#pragma once
#include "net/allowance.hpp"
#include "net/connection.hpp"

#include <memory>

namespace postferry::net {

/// The same line, whose octets keep to the allowance. They are counted as the protocol sees them: without TLS's and
/// TCP's own. A wait for the allowance is not the peer's: it is added to the deadline of the read that it delays.
/// close() ends such a wait too.
[[nodiscard]] std::unique_ptr<connection> metered(std::unique_ptr<connection> line, std::shared_ptr<allowance> meter,
                                                  const executor& ex);

} // namespace postferry::net

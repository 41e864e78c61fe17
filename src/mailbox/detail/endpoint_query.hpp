#pragma once
// The parameters in an endpoint's query.
#include "mailbox/endpoint.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace postferry::mailbox::detail {

/// What is wrong with an endpoint: class config.
[[nodiscard]] std::unexpected<error> refuse(std::string what, std::string advice = {});

/// pct-encoded of RFC 3986 section 2.1; "+" is itself. Nothing on a lame "%", on NUL, control characters or octets that
/// are no UTF-8.
[[nodiscard]] std::optional<std::string> decode(std::string_view text);

/// "tls=off&prefix=Work" into `out`, whose scheme is known; then whether all of it goes together.
[[nodiscard]] result<void> read_query(endpoint& out, std::string_view query);

} // namespace postferry::mailbox::detail

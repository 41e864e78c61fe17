#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace postferry {

/// %XX to octets (RFC 3986, section 2.1), whatever octets they are. Nothing: an escape that is not whole.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text);

} // namespace postferry

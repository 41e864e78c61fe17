#pragma once
#include "base/error.hpp"
#include "directory/address.hpp"

#include <string>
#include <string_view>

namespace postferry::directory {

/// Text with {address}, {local} and {domain} filled in. What check_pattern() refuses stays as it is.
[[nodiscard]] std::string filled(std::string_view pattern, const address& account);
/// Class config: braces that hold anything else, control characters, ".." or more than 255 octets.
[[nodiscard]] result<void> check_pattern(std::string_view pattern);

} // namespace postferry::directory

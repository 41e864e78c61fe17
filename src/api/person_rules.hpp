#pragma once
// What names and passwords of people must be, wherever they are given.
#include "base/text.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace postferry::api {

inline constexpr std::size_t least_password = 10, most_password = 500; ///< octets
inline constexpr std::string_view login_name_rule = "may have letters, digits and . _ - @ + only";

/// Lower case; what may stand in a log line and a URL. Nothing: it has something else in it, or is too long.
[[nodiscard]] inline std::optional<std::string> login_name_of(std::string_view given) {
    constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyz0123456789._-@+";
    std::string lower = ascii_lower(given);
    if (lower.empty() || lower.size() > 100 || lower.find_first_not_of(allowed) != std::string::npos)
        return std::nullopt;
    return lower;
}

} // namespace postferry::api

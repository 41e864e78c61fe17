#pragma once
// Refusals of the store that callers tell apart. They travel as `error` of class config with one of these words as its
// response_code; everything else (disk, network) has none of them.
#include "base/error.hpp"

#include <string>
#include <string_view>

namespace postferry::store::refusal {

inline constexpr std::string_view missing = "MISSING";         ///< there is no such row
inline constexpr std::string_view conflict = "CONFLICT";       ///< somebody has changed the row meanwhile
inline constexpr std::string_view duplicate = "DUPLICATE";     ///< something else has that name already
inline constexpr std::string_view not_allowed = "NOT-ALLOWED"; ///< this state cannot follow that one
inline constexpr std::string_view lease_lost = "LEASE-LOST";   ///< another worker may be at it; nothing was written

[[nodiscard]] inline std::unexpected<error> refuse(std::string_view word, std::string what, std::string advice = {}) {
    return std::unexpected(error{.cls = retry_class::config,
                                 .where = phase::ledger,
                                 .what = std::move(what),
                                 .server_said = {},
                                 .advice = std::move(advice),
                                 .response_code = std::string(word)});
}

[[nodiscard]] inline bool is(const error& e, std::string_view word) noexcept { return e.response_code == word; }

} // namespace postferry::store::refusal

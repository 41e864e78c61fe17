#pragma once
#include "base/error.hpp"

#include <chrono>
#include <optional>
#include <string_view>

namespace postferry::app {

/// What an answer that is not 2xx means (application/problem+json, RFC 9457; anything else is told by its status).
/// @param asked "POST /batches/12/start", for what is no problem of ours
[[nodiscard]] error error_of_problem(unsigned status, std::string_view body, std::string_view asked, bool local,
                                     std::optional<std::chrono::seconds> retry_after);

} // namespace postferry::app

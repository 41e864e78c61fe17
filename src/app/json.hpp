#pragma once
// The pieces that all of Postferry's JSON documents share.
#include "base/error.hpp"
#include "transfer/folder_rules.hpp"
#include "transfer/report.hpp"

#include <boost/json.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::app {

using wall_time = std::chrono::system_clock::time_point;

/// RFC 3339 in UTC, to the second ("2024-02-29T12:00:00Z").
[[nodiscard]] std::string rfc3339(wall_time t);
/// As it is when it is UTF-8, else with \xNN for the octets that are not: JSON holds nothing else (RFC 8259
/// section 8.1).
[[nodiscard]] boost::json::string json_text(std::string_view text);
[[nodiscard]] boost::json::array json_texts(const std::vector<std::string>& texts);
[[nodiscard]] boost::json::object json_of_messages(const transfer::balance& b); ///< with residual
[[nodiscard]] boost::json::object json_of_octets(const transfer::balance& b);
[[nodiscard]] boost::json::object json_of(const transfer::failure& f);
[[nodiscard]] boost::json::object json_of(const error& e); ///< class, phase, reason, advice, response_code
[[nodiscard]] boost::json::array json_of(const std::vector<transfer::collision>& collisions);

} // namespace postferry::app

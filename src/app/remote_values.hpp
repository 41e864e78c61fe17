#pragma once
// Reading the API's JSON: what is missing or of another kind reads as nothing, so that a newer service's answer does no
// harm. Texts come from people and mail servers: they are shown without control characters.
#include <boost/json.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postferry::app {

[[nodiscard]] std::string text_at(const boost::json::object& o, std::string_view name); ///< numbers too
[[nodiscard]] std::optional<std::int64_t> number_at(const boost::json::object& o, std::string_view name);
[[nodiscard]] std::uint64_t count_at(const boost::json::object& o, std::string_view name); ///< 0: none
[[nodiscard]] std::optional<double> real_at(const boost::json::object& o, std::string_view name);
[[nodiscard]] bool flag_at(const boost::json::object& o, std::string_view name);
/// An empty one when there is none.
[[nodiscard]] const boost::json::object& object_at(const boost::json::object& o, std::string_view name);
[[nodiscard]] const boost::json::array& array_at(const boost::json::object& o, std::string_view name);
/// "2026-11-22 18:00" in this machine's time zone, of an RFC 3339 time; with seconds when `exact`. Empty: none.
[[nodiscard]] std::string moment_at(const boost::json::object& o, std::string_view name, bool exact = false);
[[nodiscard]] std::optional<std::chrono::sys_seconds> time_at(const boost::json::object& o, std::string_view name);

} // namespace postferry::app

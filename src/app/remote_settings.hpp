#pragma once
// What people write of times and settings, as the API's JSON (BatchSettings of openapi.yaml).
#include "app/noun_words.hpp"
#include "base/error.hpp"

#include <boost/json.hpp>

#include <chrono>
#include <string>
#include <string_view>

namespace postferry::app {

/// What the options of settings_options() say, as a merge patch (RFC 7396): null takes a setting back. Empty: nothing
/// was said. Errors: class config, phase usage, naming the option.
[[nodiscard]] result<boost::json::object> settings_patch(const noun_words& words);

/// "mon-fri 20:00-06:00 Europe/Berlin": days and zone may be left out.
[[nodiscard]] result<boost::json::object> parse_window_words(std::string_view text);
/// "90s", "30m", "4h", "2d", "12w". @param option for the error
[[nodiscard]] result<std::chrono::seconds> parse_span(std::string_view text, std::string_view option);
/// "now", "2026-11-27", "2026-11-27 22:00[:00]" in this machine's time zone, or RFC 3339: as RFC 3339 in UTC.
[[nodiscard]] result<std::string> parse_moment(std::string_view text, std::string_view option);
/// So long from now, as RFC 3339 in UTC.
[[nodiscard]] std::string moment_after(std::chrono::seconds span);
/// A whole number within bounds, as an option's value.
[[nodiscard]] result<std::int64_t> parse_number(std::string_view text, std::string_view option, std::int64_t least,
                                                std::int64_t most);

} // namespace postferry::app

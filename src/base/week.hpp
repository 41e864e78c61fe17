#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace postferry {

/// "mon-fri,sun" in lower case: bit 0 is Monday; a range may run over the week's end.
[[nodiscard]] std::optional<std::uint8_t> parse_weekdays(std::string_view text) noexcept;
/// "06:30", to "24:00": minutes after midnight.
[[nodiscard]] std::optional<int> parse_time_of_day(std::string_view text) noexcept;
/// "2024-02-29"; 1970 and later.
[[nodiscard]] std::optional<std::chrono::sys_days> parse_day(std::string_view text) noexcept;

} // namespace postferry

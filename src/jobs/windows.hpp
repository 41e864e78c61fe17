#pragma once
// Hours in which copying may run, as people say them: days of the week, local times, a time zone. Values in, values
// out.
#include "base/week.hpp"
#include "store/records.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::jobs {

using store::unix_ms;

/// Open from `from` to `to` on the days named, in local time of the zone. One that ends at or before its beginning
/// ends on the next day: fri 22:00 to 06:00 is over on Saturday morning.
struct window {
    std::uint8_t days = 0x7F;           ///< bit 0 = Monday
    int from_minute = 0, to_minute = 0; ///< of the day, 0..1440; equal: the whole day
    std::string time_zone = "UTC";      ///< IANA name

    bool operator==(const window&) const = default;
};

/// "mon-fri", "sat,sun", "daily"; nothing when it is none of these.
[[nodiscard]] std::optional<std::uint8_t> parse_days(std::string_view text) noexcept;
[[nodiscard]] bool is_time_zone(std::string_view name);
/// This machine's; "UTC" where it has none.
[[nodiscard]] std::string local_time_zone();

/// Whether one of them is open; no windows at all are open always.
[[nodiscard]] bool is_open(const std::vector<window>& all, unix_ms now);
/// The next moment, after `now`, at which it becomes open (if closed) or closed (if open); nothing: never, because it
/// is open always, or at least for eight days.
[[nodiscard]] std::optional<unix_ms> next_change(const std::vector<window>& all, unix_ms now);

} // namespace postferry::jobs

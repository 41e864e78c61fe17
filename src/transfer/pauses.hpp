#pragma once
// Pauses that servers ask for: how long, and what is said about them.
#include "base/error.hpp"
#include "transfer/report.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace postferry::transfer {

/// How long a pass leaves a server alone that asked for a pause: the time that it named, else 50 ms, doubling to 16 s
/// while nothing is brought in between (docs/quirks.md#throttled-code).
class patience {
  public:
    /// The pause before the next attempt. @param progress whether the last one brought something
    [[nodiscard]] std::chrono::milliseconds next(const error& why, bool progress) noexcept;
    /// Everything that next() has answered since something was brought.
    [[nodiscard]] std::chrono::milliseconds waited() const noexcept { return waited_; }
    /// Nothing was brought for so long that a person should look: more than a day, for budgets return within one.
    [[nodiscard]] bool exhausted() const noexcept { return waited_ > std::chrono::hours(36); }

  private:
    std::chrono::milliseconds doubled_{0}, waited_{0};
};

/// With --no-wait a pass ends rather than wait longer, in all, than this without bringing anything.
inline constexpr std::chrono::milliseconds longest_short_wait{60'000};

/// The host of a display name: "imap.old.example.org" of "imaps://alice@imap.old.example.org:994"; the name itself when
/// it has none.
[[nodiscard]] std::string host_of(std::string_view display_name);

/// "14:03:05 UTC", with the day in front when it is not today's.
[[nodiscard]] std::string moment_text(std::int64_t unix_seconds, std::int64_t now_unix);

/// "throttled by imap.old.example.org until 14:03:05 UTC: NO [LIMIT] Rate limit hit"
[[nodiscard]] std::string throttled_text(const throttle_report& t, std::int64_t now_unix);

} // namespace postferry::transfer

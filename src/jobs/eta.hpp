#pragma once
// When a batch will be done: a band, not a moment. Values in, values out.
#include "store/records.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace postferry::jobs {

using store::unix_ms;

/// How fast octets move, and how much that swings.
struct pace {
    double octets_per_second = 0;
    double spread = 0; ///< standard deviation of it
};

/// Fed with how far a batch has come, every few seconds.
class pace_meter {
  public:
    /// What is older than a few of these counts little.
    static constexpr double half_life_seconds = 60;

    /// `octets`: copied so far, in all. One that is smaller than before (something began anew) starts a new count.
    void add(unix_ms at, std::uint64_t octets) noexcept;
    /// Nothing before two samples, and where nothing has moved.
    [[nodiscard]] std::optional<pace> now() const noexcept;

  private:
    std::optional<unix_ms> last_;
    std::uint64_t octets_ = 0;
    double mean_ = 0, square_ = 0, weight_ = 0;
};

/// What is left to copy: messages, each as large as those were that have been copied. Of mailboxes that nobody has
/// looked into yet the mean of the others is assumed.
struct work_left {
    double octets = 0;
    bool guessed = false; ///< for more than half of it nobody has looked
};
[[nodiscard]] std::optional<work_left> left_of(const std::vector<store::batch_tally>& mailboxes) noexcept;

/// Seconds: it takes between the first and the last, most likely the one in between.
struct eta_band {
    double least = 0, likely = 0, most = 0;
};
/// Nothing: not known. Nothing left: zeros. `most` is infinite where the pace swings down to nothing.
[[nodiscard]] std::optional<eta_band> eta_of(const std::optional<work_left>& left,
                                             const std::optional<pace>& how_fast) noexcept;

} // namespace postferry::jobs

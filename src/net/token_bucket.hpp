#pragma once
#include <chrono>
#include <mutex>

namespace postferry::net {

/// A rate that many share: so many units a second, in the order in which they ask. What is taken is taken at once; the
/// answer says when its taker may go on, and whoever comes later is told a later time. So nobody overtakes, and nobody
/// has to be woken: each waits for the moment it was told. From any thread; time is passed in.
class token_bucket {
  public:
    using time = std::chrono::steady_clock::time_point;

    /// @param per_second above 0  @param burst units that may pass at once after a rest; at least 1
    token_bucket(double per_second, double burst, time now);

    /// Takes `units` (more than the burst too) and answers from when on they are paid for; never before `now`.
    [[nodiscard]] time take(double units, time now);
    /// Another rate from now on; what was taken stays taken.
    void change(double per_second, double burst, time now);
    [[nodiscard]] double per_second() const;

  private:
    void refill(time now);

    mutable std::mutex mutex_;
    double rate_, burst_;
    double level_; ///< below 0: promised to those who wait
    time at_;
};

} // namespace postferry::net

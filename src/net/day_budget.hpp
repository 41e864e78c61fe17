#pragma once
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

namespace postferry::net {

/// Octets within the last 24 hours, counted by the hour, against a limit. An hour's octets are forgotten when the same
/// hour of the next day begins, so at most the limit moves in any 23 hours. From any thread; time is passed in.
class day_budget {
  public:
    using unix_time = std::int64_t; ///< seconds since 1970

    static constexpr unix_time hour_seconds = 3600;
    static constexpr std::int64_t hours_a_day = 24;
    [[nodiscard]] static constexpr std::int64_t hour_of(unix_time t) noexcept { return t / hour_seconds; }

    /// 0 = no limit. The smallest that was ever set holds.
    void limit(std::uint64_t octets_a_day);
    [[nodiscard]] bool limited() const;
    [[nodiscard]] std::uint64_t limit() const;
    [[nodiscard]] std::uint64_t spent(unix_time now) const;

    /// What an earlier run has moved.
    void remember(std::int64_t hour, std::uint64_t octets);
    /// What the book says of everybody's, ours included; what was added here and not told yet comes on top.
    void stands_at(std::map<std::int64_t, std::uint64_t> by_hour);
    void add(std::uint64_t octets, unix_time now);
    /// Nothing: there is something left. Else when a quarter of the limit will be back, so that not every hour a few
    /// octets move.
    [[nodiscard]] std::optional<unix_time> spent_until(unix_time now) const;
    [[nodiscard]] std::map<std::int64_t, std::uint64_t> hours() const;
    /// What was added since the last call, by hour, for the book.
    [[nodiscard]] std::map<std::int64_t, std::uint64_t> take_news();

  private:
    [[nodiscard]] std::uint64_t sum(unix_time now) const;

    mutable std::mutex mutex_;
    std::uint64_t limit_ = 0;
    std::map<std::int64_t, std::uint64_t> hours_, news_;
};

} // namespace postferry::net

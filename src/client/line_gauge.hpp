#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace postferry::client {

/// Judges from the first octets of a long answer whether a line is slow enough for compression to pay: what comes in a
/// steady trickle below 8 MB/s does. A long line with a wide window sends bursts with pauses of a round trip between
/// them; that is no trickle, and to compress would only keep its server busy. Nor is a line on the same machine.
class line_gauge {
  public:
    using clock = std::chrono::steady_clock;
    static constexpr std::uint64_t octets_to_judge = 96U << 10U;
    static constexpr std::uint64_t slow_below = 8'000'000; ///< octets a second; servers deflate 40 to 60 MB/s

    void begin() noexcept { *this = line_gauge(); }

    /// `octets` were there at `now`. The first call only sets the clock: nobody knows how long they took.
    void add(clock::time_point now, std::size_t octets) noexcept {
        if (reads_++ > 0) {
            octets_ += octets;
            longest_ = now - last_ > longest_ ? now - last_ : longest_;
        } else {
            first_ = now;
        }
        last_ = now;
    }

    /// Nothing: not enough was heard.
    [[nodiscard]] std::optional<bool> slow() const noexcept {
        constexpr unsigned enough_reads = 6;
        if (octets_ < octets_to_judge || reads_ < enough_reads) return std::nullopt;
        const double seconds = std::chrono::duration<double>(last_ - first_).count();
        const bool steady = longest_ * 4 < last_ - first_;
        return steady && static_cast<double>(octets_) < static_cast<double>(slow_below) * seconds;
    }

  private:
    unsigned reads_ = 0;
    std::uint64_t octets_ = 0;
    clock::time_point first_{}, last_{};
    clock::duration longest_{};
};

/// The same for what we send, from how long the server took to take it. What a line in its first moments takes by
/// itself (its window doubles once a round trip) and waiting for the server's word do not count.
/// @param waits how often we waited for a word of the server in between
[[nodiscard]] inline bool sent_slowly(line_gauge::clock::duration took, std::uint64_t octets, unsigned waits,
                                      line_gauge::clock::duration round_trip) noexcept {
    constexpr std::uint64_t first_window = 14'600; // RFC 6928
    unsigned trips = waits + 1;
    for (std::uint64_t window = first_window; window < octets; window *= 2) ++trips;
    const double seconds = std::chrono::duration<double>(took - round_trip * trips).count();
    return static_cast<double>(octets) < static_cast<double>(line_gauge::slow_below) * seconds;
}

} // namespace postferry::client

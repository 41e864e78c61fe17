#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>

namespace postferry::jobs {

/// Until when this process may act for a mailbox, by a clock that runs on while the machine sleeps and that nobody
/// sets (CLOCK_BOOTTIME). The store decides who may take a mailbox over; this is the same promise seen from here, and
/// shorter by a margin: a worker that was stalled for minutes finds out before it writes the next octet. From any
/// thread.
class lease_clock {
  public:
    /// Subtracted from what the store grants: for clocks that run at different speeds, and octets on their way.
    static constexpr std::chrono::milliseconds margin{10'000};

    [[nodiscard]] static std::int64_t now_ms() noexcept {
        timespec t{};
        clock_gettime(CLOCK_BOOTTIME, &t);
        return static_cast<std::int64_t>(t.tv_sec) * 1000 + t.tv_nsec / 1'000'000;
    }

    /// @param asked now_ms() from before the store was asked: what it granted counts from then
    void granted(std::int64_t asked, std::chrono::milliseconds term) noexcept {
        until_.store(asked + (term - margin).count(), std::memory_order_relaxed);
    }
    void lost() noexcept { until_.store(0, std::memory_order_relaxed); }
    [[nodiscard]] bool stands() const noexcept { return now_ms() < until_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::int64_t> until_ = 0;
};

} // namespace postferry::jobs

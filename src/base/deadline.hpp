#pragma once
#include <algorithm>
#include <chrono>

namespace postferry {

/// A moment by which something must be done. It is made once, by whoever promises the time, and passed down; a layer
/// below may shorten it (`sooner`), never restart it.
class deadline {
  public:
    using clock = std::chrono::steady_clock;

    [[nodiscard]] static deadline never() noexcept { return deadline(clock::time_point::max()); }
    [[nodiscard]] static deadline in(clock::duration d) noexcept { return deadline(clock::now() + d); }
    [[nodiscard]] static deadline at(clock::time_point t) noexcept { return deadline(t); }

    [[nodiscard]] clock::time_point when() const noexcept { return when_; }
    [[nodiscard]] bool passed() const noexcept { return when_ != clock::time_point::max() && clock::now() >= when_; }
    [[nodiscard]] deadline sooner(clock::duration d) const noexcept {
        return deadline(std::min(when_, clock::now() + d));
    }

  private:
    explicit deadline(clock::time_point when) noexcept : when_(when) {}
    clock::time_point when_;
};

} // namespace postferry

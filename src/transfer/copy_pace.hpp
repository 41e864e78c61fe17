#pragma once
// How much one COPY may take on: what dies with its line must be over before the target is looked at (docs/adr/0020).
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace postferry::transfer {

/// Sizes of the COPYs of one run. Nobody can ask a server whether one is still at work, or how far it is: all of its
/// messages appear at once, at its end. So the first are small, and they grow only as long as their work, by what is
/// seen of it, takes a quarter of a second: an eighth of the time that a target is given to come to rest.
class copy_pace {
  public:
    /// What one message counts for at least; a larger one counts for its octets.
    static constexpr std::uint64_t octets_each = 160U << 10U;

    /// Messages, as heavy as octets_each, that the next COPY may name. 10 to 100.
    [[nodiscard]] std::uint64_t limit() const noexcept { return limit_; }
    [[nodiscard]] static std::uint64_t weight(std::uint64_t messages, std::uint64_t octets) noexcept;
    /// One was answered after `took`, round trip and all.
    void answered(std::uint64_t weight, std::chrono::milliseconds took) noexcept;
    /// How long the target must show nothing new after a line died under a COPY that had been without an answer for so
    /// long: two seconds, more where it has been seen to be slow. At most a minute.
    [[nodiscard]] std::chrono::milliseconds rest_after(std::chrono::milliseconds unanswered) const noexcept;

  private:
    std::uint64_t limit_ = 10;
    bool may_grow_ = true;
    std::uint64_t lightest_ = 0;                        ///< 0: none was answered yet
    std::chrono::milliseconds fastest_{0}, slowest_{0}; ///< the lightest one, and of all
};

} // namespace postferry::transfer

#include "transfer/copy_pace.hpp"

#include <algorithm>

namespace postferry::transfer {

namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t fewest = 10, most = 100;
constexpr milliseconds aim{250}, too_long{500};
constexpr milliseconds shortest_rest{2'000}, longest_rest{60'000};

} // namespace

std::uint64_t copy_pace::weight(std::uint64_t messages, std::uint64_t octets) noexcept {
    return std::max(messages, octets / octets_each);
}

void copy_pace::answered(std::uint64_t weight, milliseconds took) noexcept {
    slowest_ = std::max(slowest_, took);
    if (lightest_ == 0 || weight < lightest_ || (weight == lightest_ && took < fastest_)) {
        lightest_ = weight;
        fastest_ = took;
    }
    // Two of different weight tell the work from the round trip. Until then the smallest is believed to be harmless.
    milliseconds work{0};
    if (weight > lightest_ && took > fastest_)
        work = (took - fastest_) * static_cast<std::int64_t>(limit_) / static_cast<std::int64_t>(weight - lightest_);
    if (work > too_long) {
        limit_ = std::max(limit_ / 2, fewest);
        may_grow_ = false;
    } else if (may_grow_ && weight * 2 > limit_ && work * 2 <= aim) {
        limit_ = std::min(limit_ * 2, most);
    }
}

milliseconds copy_pace::rest_after(milliseconds unanswered) const noexcept {
    return std::clamp(std::max(slowest_ * 4, unanswered * 2), shortest_rest, longest_rest);
}

} // namespace postferry::transfer

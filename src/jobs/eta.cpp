#include "jobs/eta.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace postferry::jobs {

void pace_meter::add(unix_ms at, std::uint64_t octets) noexcept {
    const bool again = last_ && octets < octets_;
    if (!last_ || again) {
        last_ = at;
        octets_ = octets;
        return;
    }
    const double seconds = static_cast<double>(at - *last_) / 1'000;
    if (seconds <= 0) return;
    const double rate = static_cast<double>(octets - octets_) / seconds;
    // Each sample counts for the time that it covers, and halves with every half-life.
    const double keep = std::exp2(-seconds / half_life_seconds);
    mean_ = mean_ * keep + rate * seconds;
    square_ = square_ * keep + rate * rate * seconds;
    weight_ = weight_ * keep + seconds;
    last_ = at;
    octets_ = octets;
}

std::optional<pace> pace_meter::now() const noexcept {
    if (weight_ <= 0 || mean_ <= 0) return std::nullopt;
    const double mean = mean_ / weight_;
    return pace{.octets_per_second = mean, .spread = std::sqrt(std::max(square_ / weight_ - mean * mean, 0.0))};
}

std::optional<work_left> left_of(const std::vector<store::batch_tally>& mailboxes) noexcept {
    using enum store::mailbox_state;
    constexpr store::mailbox_states looked_into{
        copying, throttled, paused, synced, verifying, completed, completed_with_exceptions};
    constexpr store::mailbox_states out{cancelled, invalid, rolled_back, failed, needs_credentials};
    double seen = 0, seen_messages = 0, unseen = 0, left = 0, octets = 0, messages = 0;
    for (const store::batch_tally& t : mailboxes) {
        if (out.has(t.state)) continue;
        const store::message_counts& c = t.counts;
        octets += static_cast<double>(c.octets_copied);
        messages += static_cast<double>(c.messages_copied);
        if (!looked_into.has(t.state)) {
            unseen += static_cast<double>(t.mailboxes);
            continue;
        }
        seen += static_cast<double>(t.mailboxes);
        seen_messages += static_cast<double>(c.messages_source);
        const std::uint64_t settled = c.messages_copied + c.messages_present + c.messages_skipped + c.messages_failed;
        left += static_cast<double>(c.messages_source - std::min(c.messages_source, settled));
    }
    const double guess = unseen == 0 ? 0 : seen == 0 ? -1 : unseen * seen_messages / seen;
    if (guess < 0) return std::nullopt;
    if (left + guess == 0) return work_left{};
    if (messages == 0 || octets == 0) return std::nullopt; // nobody knows how large a message is
    return work_left{.octets = (left + guess) * octets / messages, .guessed = guess > left};
}

std::optional<eta_band> eta_of(const std::optional<work_left>& left, const std::optional<pace>& how_fast) noexcept {
    if (!left) return std::nullopt;
    if (left->octets <= 0) return eta_band{};
    if (!how_fast || how_fast->octets_per_second <= 0) return std::nullopt;
    const double fast = how_fast->octets_per_second + how_fast->spread;
    const double slow = how_fast->octets_per_second - how_fast->spread;
    // What was guessed may be half as much, or twice.
    const double less = left->guessed ? 0.5 : 1, more = left->guessed ? 2 : 1;
    return eta_band{.least = left->octets * less / fast,
                    .likely = left->octets / how_fast->octets_per_second,
                    .most = slow > 0 ? left->octets * more / slow : std::numeric_limits<double>::infinity()};
}

} // namespace postferry::jobs

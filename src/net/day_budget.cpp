#include "net/day_budget.hpp"

#include <utility>

namespace postferry::net {

void day_budget::limit(std::uint64_t octets_a_day) {
    const std::lock_guard lock(mutex_);
    if (octets_a_day != 0 && (limit_ == 0 || octets_a_day < limit_)) limit_ = octets_a_day;
}

bool day_budget::limited() const {
    const std::lock_guard lock(mutex_);
    return limit_ != 0;
}

std::uint64_t day_budget::limit() const {
    const std::lock_guard lock(mutex_);
    return limit_;
}

std::uint64_t day_budget::sum(unix_time now) const {
    std::uint64_t all = 0;
    for (auto at = hours_.upper_bound(hour_of(now) - hours_a_day); at != hours_.end(); ++at) all += at->second;
    return all;
}

std::uint64_t day_budget::spent(unix_time now) const {
    const std::lock_guard lock(mutex_);
    return sum(now);
}

void day_budget::remember(std::int64_t hour, std::uint64_t octets) {
    const std::lock_guard lock(mutex_);
    hours_[hour] += octets;
}

void day_budget::stands_at(std::map<std::int64_t, std::uint64_t> by_hour) {
    const std::lock_guard lock(mutex_);
    hours_ = std::move(by_hour);
    for (const auto& [hour, octets] : news_) hours_[hour] += octets;
}

void day_budget::add(std::uint64_t octets, unix_time now) {
    const std::lock_guard lock(mutex_);
    const std::int64_t hour = hour_of(now);
    hours_[hour] += octets;
    news_[hour] += octets;
    hours_.erase(hours_.begin(), hours_.upper_bound(hour - hours_a_day));
}

std::optional<day_budget::unix_time> day_budget::spent_until(unix_time now) const {
    const std::lock_guard lock(mutex_);
    if (limit_ == 0) return std::nullopt;
    std::uint64_t left = sum(now);
    if (left < limit_) return std::nullopt;
    for (auto at = hours_.upper_bound(hour_of(now) - hours_a_day); at != hours_.end(); ++at) {
        left -= at->second;
        if (left <= limit_ - limit_ / 4 && left < limit_) return (at->first + hours_a_day) * hour_seconds;
    }
    return std::nullopt; // nothing was moved, and the limit is above nothing
}

std::map<std::int64_t, std::uint64_t> day_budget::hours() const {
    const std::lock_guard lock(mutex_);
    return hours_;
}

std::map<std::int64_t, std::uint64_t> day_budget::take_news() {
    const std::lock_guard lock(mutex_);
    return std::exchange(news_, {});
}

} // namespace postferry::net

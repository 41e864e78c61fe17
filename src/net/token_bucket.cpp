#include "net/token_bucket.hpp"

#include <algorithm>

namespace postferry::net {

token_bucket::token_bucket(double per_second, double burst, time now)
    : rate_(per_second), burst_(std::max(burst, 1.0)), level_(burst_), at_(now) {}

void token_bucket::refill(time now) {
    if (now <= at_) return;
    level_ = std::min(burst_, level_ + rate_ * std::chrono::duration<double>(now - at_).count());
    at_ = now;
}

token_bucket::time token_bucket::take(double units, time now) {
    const std::lock_guard lock(mutex_);
    refill(now);
    level_ -= units;
    if (level_ >= 0) return now;
    return now + std::chrono::duration_cast<time::duration>(std::chrono::duration<double>(-level_ / rate_));
}

void token_bucket::change(double per_second, double burst, time now) {
    const std::lock_guard lock(mutex_);
    refill(now);
    rate_ = per_second;
    burst_ = std::max(burst, 1.0);
    level_ = std::min(level_, burst_);
}

double token_bucket::per_second() const {
    const std::lock_guard lock(mutex_);
    return rate_;
}

} // namespace postferry::net

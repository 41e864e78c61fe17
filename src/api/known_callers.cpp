#include "api/known_callers.hpp"

namespace postferry::api {

std::optional<known_callers::lately> known_callers::find(const std::string& hash, clock::time_point now) {
    const std::lock_guard lock(mutex_);
    const auto at = all_.find(hash);
    if (at == all_.end() || at->second.until <= now) return std::nullopt;
    lately found{.who = at->second.who, .ages = at->second.ages <= now};
    if (found.ages) at->second.ages = at->second.until; // told once
    return found;
}

std::uint64_t known_callers::generation() const {
    const std::lock_guard lock(mutex_);
    return generation_;
}

void known_callers::keep(const std::string& hash, const caller& who, std::uint64_t read_in, clock::time_point now) {
    const std::lock_guard lock(mutex_);
    if (read_in != generation_) return;
    if (all_.size() >= most) all_.clear();
    all_.insert_or_assign(hash, known{.who = who, .ages = now + fresh_ / 2, .until = now + fresh_});
}

void known_callers::forget() {
    const std::lock_guard lock(mutex_);
    all_.clear();
    ++generation_;
}

} // namespace postferry::api

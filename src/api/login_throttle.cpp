#include "api/login_throttle.hpp"

#include <algorithm>

namespace postferry::api {

std::chrono::seconds login_throttle::left(const std::string& key) {
    const auto at = by_key_.find(key);
    if (at == by_key_.end()) return std::chrono::seconds(0);
    const auto now = now_();
    if (now - at->second->last > forgiven_after) {
        entries_.erase(at->second);
        by_key_.erase(at);
        return std::chrono::seconds(0);
    }
    return std::max(std::chrono::ceil<std::chrono::seconds>(at->second->until - now), std::chrono::seconds(0));
}

void login_throttle::count(const std::string& key) {
    auto at = by_key_.find(key);
    if (at == by_key_.end()) {
        if (entries_.size() >= max_keys) {
            by_key_.erase(entries_.front().key);
            entries_.pop_front();
        }
        at = by_key_.emplace(key, entries_.insert(entries_.end(), entry{.key = key})).first;
    } else {
        entries_.splice(entries_.end(), entries_, at->second);
    }
    entry& e = *at->second;
    e.last = now_();
    if (++e.failures <= free_failures) return;
    const unsigned doublings = std::min(e.failures - free_failures - 1, 10U);
    e.until = e.last + std::min<std::chrono::seconds>(std::chrono::seconds(1U << doublings), longest);
}

std::chrono::seconds login_throttle::enter(std::span<const std::string> keys) {
    const std::lock_guard lock(mutex_);
    std::chrono::seconds most(0);
    for (const std::string& key : keys) most = std::max(most, left(key));
    if (most.count() == 0)
        for (const std::string& key : keys) count(key);
    return most;
}

void login_throttle::undo(const std::string& key) {
    const std::lock_guard lock(mutex_);
    const auto at = by_key_.find(key);
    if (at == by_key_.end() || at->second->failures == 0) return;
    --at->second->failures;
    at->second->until = at->second->last;
}

std::chrono::seconds login_throttle::wait(const std::string& key) {
    const std::lock_guard lock(mutex_);
    return left(key);
}

void login_throttle::failed(const std::string& key) {
    const std::lock_guard lock(mutex_);
    count(key);
}

unsigned login_throttle::failures(const std::string& key) {
    const std::lock_guard lock(mutex_);
    (void)left(key); // forgives
    const auto at = by_key_.find(key);
    return at == by_key_.end() ? 0 : at->second->failures;
}

void login_throttle::succeeded(const std::string& key) {
    const std::lock_guard lock(mutex_);
    const auto at = by_key_.find(key);
    if (at == by_key_.end()) return;
    entries_.erase(at->second);
    by_key_.erase(at);
}

} // namespace postferry::api

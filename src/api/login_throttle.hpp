#pragma once
#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>

namespace postferry::api {

/// Slows down whoever guesses passwords, by address and by name: some failures are free, then each costs a wait that
/// doubles, up to a quarter of an hour; a quiet day forgives. Nobody is locked out for good, so nobody can lock others
/// out. Keeps at most so many keys, the longest unused go first. From any thread.
class login_throttle {
  public:
    using clock = std::chrono::steady_clock;
    static constexpr std::size_t max_keys = 20'000;
    static constexpr unsigned free_failures = 5;
    static constexpr std::chrono::seconds longest{900};
    static constexpr std::chrono::hours forgiven_after{24};

    explicit login_throttle(std::function<clock::time_point()> now = clock::now) : now_(std::move(now)) {}

    /// How long this key must wait before it may try; 0: not at all.
    [[nodiscard]] std::chrono::seconds wait(const std::string& key);
    void failed(const std::string& key);
    void succeeded(const std::string& key);

  private:
    struct entry {
        std::string key;
        unsigned failures = 0;
        clock::time_point last{}, until{};
    };
    using order = std::list<entry>; ///< the longest unused first

    std::function<clock::time_point()> now_;
    std::mutex mutex_;
    order entries_;
    std::unordered_map<std::string, order::iterator> by_key_;
};

} // namespace postferry::api

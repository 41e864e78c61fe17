#pragma once
#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>

namespace postferry::api {

/// Slows down whoever guesses passwords: some failures are free, then each costs a wait that doubles, up to a quarter
/// of an hour; a quiet day forgives. Keys are of whoever guesses (an address; a name as seen from an address), never a
/// name alone: else anybody could keep somebody out. Keeps at most so many keys, the longest unused go first. From any
/// thread.
class login_throttle {
  public:
    using clock = std::chrono::steady_clock;
    static constexpr std::size_t max_keys = 20'000;
    static constexpr unsigned free_failures = 5;
    static constexpr std::chrono::seconds longest{900};
    static constexpr std::chrono::hours forgiven_after{24};

    explicit login_throttle(std::function<clock::time_point()> now = clock::now) : now_(std::move(now)) {}

    /// An attempt: the longest wait of these keys; 0: it may go on, and counts as failed for each of them until it is
    /// known to have succeeded. So attempts made side by side do not share what is free.
    [[nodiscard]] std::chrono::seconds enter(std::span<const std::string> keys);
    /// It was never checked: as if it had not been made.
    void undo(const std::string& key);

    /// How long this key must wait before it may try; 0: not at all.
    [[nodiscard]] std::chrono::seconds wait(const std::string& key);
    void failed(const std::string& key);
    void succeeded(const std::string& key);
    /// How often it has failed since it last succeeded or was forgiven.
    [[nodiscard]] unsigned failures(const std::string& key);

  private:
    struct entry {
        std::string key;
        unsigned failures = 0;
        clock::time_point last{}, until{};
    };
    using order = std::list<entry>; ///< the longest unused first

    // Under the lock.
    [[nodiscard]] std::chrono::seconds left(const std::string& key);
    void count(const std::string& key);

    std::function<clock::time_point()> now_;
    std::mutex mutex_;
    order entries_;
    std::unordered_map<std::string, order::iterator> by_key_;
};

} // namespace postferry::api

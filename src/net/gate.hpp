#pragma once
#include "net/awaitable.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace postferry::net {

/// How many may be inside at once, by key: connections to a server, connections of one of its users, mailboxes at work.
/// Whoever enters takes all the places he needs in one go or waits for them, so two who need the same two keys cannot
/// wait for each other. Who waits for a full key lets those pass who do not need it; but not for ever: after a while
/// the places that become free are kept for him. From any thread.
class gate : public std::enable_shared_from_this<gate> {
  public:
    using time = std::chrono::steady_clock::time_point;
    using clock = std::function<time()>;

    /// Places that were taken; given back when it goes.
    class permit {
      public:
        permit() = default;
        permit(permit&& o) noexcept;
        permit& operator=(permit&& o) noexcept;
        ~permit() { give_back(); }

        [[nodiscard]] explicit operator bool() const noexcept { return !keys_.empty(); }
        /// Takes those of `keys` out that are in here, each once, as a permit of their own.
        [[nodiscard]] permit split(std::span<const std::string> keys);
        void give_back() noexcept;

      private:
        friend class gate;
        permit(std::shared_ptr<gate> of, std::vector<std::string> keys)
            : gate_(std::move(of)), keys_(std::move(keys)) {}
        std::shared_ptr<gate> gate_;
        std::vector<std::string> keys_;
    };

    [[nodiscard]] static std::shared_ptr<gate> make(clock now = std::chrono::steady_clock::now);

    /// At most so many, at least one. The smallest that was ever named for the key holds; without one there is no
    /// limit.
    void limit(const std::string& key, std::size_t most);
    /// The server refused one more: not more than `most` (at least one) until `until`.
    void shrink(const std::string& key, std::size_t most, time until);
    [[nodiscard]] std::size_t inside(const std::string& key) const;

    /// Waits for all of `keys`. Cancelling the coroutine leaves the queue.
    task<permit> enter(std::vector<std::string> keys);
    /// Only if there is room for all of them and nobody waits for one of them.
    [[nodiscard]] std::optional<permit> try_enter(std::vector<std::string> keys);

  private:
    struct waiter;
    struct room {
        std::size_t inside = 0;
        std::optional<std::size_t> most, learnt;
        time learnt_until{};
    };

    explicit gate(clock now) : now_(std::move(now)) {}
    [[nodiscard]] bool fits(const std::vector<std::string>& keys, time now) const;
    void take(const std::vector<std::string>& keys);
    void drop(const std::vector<std::string>& keys) noexcept;
    void let_in();

    clock now_;
    mutable std::mutex mutex_;
    std::map<std::string, room, std::less<>> rooms_;
    std::list<std::shared_ptr<waiter>> queue_;
};

} // namespace postferry::net

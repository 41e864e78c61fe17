#pragma once
#include "directory/password_hash.hpp"
#include "net/awaitable.hpp"

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

namespace postferry::directory {

/// Hashing on all processors. Whoever asks waits for the answer, so the queue is as long as there are callers; they
/// take turns password by password, so a file of 10,000 does not keep one login waiting.
class hash_pool {
  public:
    /// More callers than this is a defect or an attack: class throttled.
    static constexpr std::size_t max_callers = 4096;

    /// @param threads 0: one per processor
    explicit hash_pool(std::size_t threads = 0);
    /// Whoever still waits gets class cancelled.
    ~hash_pool();
    hash_pool(const hash_pool&) = delete;
    hash_pool& operator=(const hash_pool&) = delete;

    /// The one of the program; it lives as long as somebody holds it.
    [[nodiscard]] static std::shared_ptr<hash_pool> shared();

    [[nodiscard]] std::size_t threads() const noexcept { return threads_.size(); }

    /// Cancelling leaves out what no thread has begun and waits for the rest.
    task<result<secret>> hash(secret plain, password_scheme scheme, hash_cost cost = {});
    task<result<bool>> verify(secret plain, secret hashed);
    /// One result per password, in their order. The passwords must live until it returns.
    task<std::vector<result<secret>>> hash_many(std::span<const secret> plain, password_scheme scheme,
                                                hash_cost cost = {});

  private:
    class work;
    void run();
    void leave(const std::shared_ptr<work>& w) noexcept;
    [[nodiscard]] bool enter(std::shared_ptr<work> w);
    task<bool> carry_out(std::shared_ptr<work> w);

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::shared_ptr<work>> queue_;
    bool stopping_ = false;
    std::vector<std::thread> threads_; // last: they use all of the above
};

} // namespace postferry::directory

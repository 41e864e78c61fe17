#include "directory/hash_pool.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <functional>
#include <optional>

namespace postferry::directory {

namespace asio = boost::asio;

/// What one caller wants: `count` calls of `each`, by any threads at once, then `done`. All but `each` and `done` is
/// guarded by the pool's mutex.
class hash_pool::work {
  public:
    work(std::size_t count, std::function<void(std::size_t)> each) : count_(count), each_(std::move(each)) {}

    std::size_t count_, next_ = 0, running_ = 0;
    bool left_ = false; ///< the caller wants no more to be begun
    std::function<void(std::size_t)> each_;
    std::function<void()> done_; ///< called once, without the mutex

    [[nodiscard]] bool all_begun() const noexcept { return left_ || next_ == count_; }
};

hash_pool::hash_pool(std::size_t threads) {
    if (threads == 0) threads = std::max(1U, std::thread::hardware_concurrency());
    threads_.reserve(threads);
    for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

hash_pool::~hash_pool() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        for (const auto& w : queue_) w->left_ = true;
    }
    wake_.notify_all();
    for (std::thread& t : threads_) t.join();
}

std::shared_ptr<hash_pool> hash_pool::shared() {
    static std::mutex mutex;
    static std::weak_ptr<hash_pool> known;
    const std::lock_guard lock(mutex);
    std::shared_ptr<hash_pool> pool = known.lock();
    if (!pool) known = pool = std::make_shared<hash_pool>();
    return pool;
}

void hash_pool::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (queue_.empty()) return;
        const std::shared_ptr<work> w = queue_.front();
        queue_.pop_front();
        const bool begins = !w->all_begun();
        std::size_t index = 0;
        if (begins) {
            index = w->next_++;
            ++w->running_;
            // Behind the others: they take turns.
            if (!w->all_begun()) queue_.push_back(w);
            lock.unlock();
            w->each_(index);
            lock.lock();
            --w->running_;
        }
        if (!w->all_begun() || w->running_ > 0 || !w->done_) continue;
        const auto done = std::exchange(w->done_, nullptr);
        lock.unlock();
        done();
        lock.lock();
    }
}

bool hash_pool::enter(std::shared_ptr<work> w) {
    {
        const std::lock_guard lock(mutex_);
        if (stopping_ || queue_.size() >= max_callers) return false;
        queue_.push_back(std::move(w));
    }
    wake_.notify_all();
    return true;
}

void hash_pool::leave(const std::shared_ptr<work>& w) noexcept {
    const std::lock_guard lock(mutex_);
    w->left_ = true; // it is in the queue, or its last one is running: in both cases a thread comes by
}

/// false: the pool has no place for it, and nothing was done.
task<bool> hash_pool::carry_out(std::shared_ptr<work> w) {
    const auto start = [this](auto handler, std::shared_ptr<work> mine) {
        auto slot = asio::get_associated_cancellation_slot(handler);
        auto guard = asio::make_work_guard(handler);
        auto shared =
            std::make_shared<std::pair<decltype(handler), decltype(guard)>>(std::move(handler), std::move(guard));
        const auto finish = [shared](bool carried_out) {
            const auto work = std::move(shared->second); // ours until post() has returned, see store/database_job.hpp
            auto ex = work.get_executor();
            asio::post(ex, asio::bind_executor(ex, [h = std::move(shared->first), carried_out]() mutable {
                           std::move(h)(carried_out);
                       }));
        };
        mine->done_ = [finish] { finish(true); };
        if (slot.is_connected())
            slot.assign([this, weak = std::weak_ptr(mine)](asio::cancellation_type) {
                if (const auto waiting = weak.lock()) leave(waiting);
            });
        if (!enter(mine)) finish(false);
    };
    return asio::async_initiate<const asio::use_awaitable_t<>, void(bool)>(start, asio::use_awaitable, std::move(w));
}

namespace {

error not_done(bool pool_took_it) {
    if (pool_took_it)
        return fail(retry_class::cancelled, phase::usage, "the password was not hashed: cancelled").error();
    return fail(retry_class::throttled, phase::usage, "too many passwords wait to be hashed", "Try again in a moment")
        .error();
}

} // namespace

task<std::vector<result<secret>>> hash_pool::hash_many(std::span<const secret> plain, password_scheme scheme,
                                                       hash_cost cost) {
    std::vector<std::optional<result<secret>>> found(plain.size());
    bool took = true;
    if (!plain.empty())
        took = co_await carry_out(std::make_shared<work>(
            plain.size(), [&](std::size_t i) { found[i].emplace(hash_password(plain[i], scheme, cost)); }));
    std::vector<result<secret>> out;
    out.reserve(found.size());
    for (auto& one : found) {
        if (one)
            out.push_back(std::move(*one));
        else
            out.emplace_back(std::unexpected(not_done(took)));
    }
    co_return out;
}

task<result<secret>> hash_pool::hash(secret plain, password_scheme scheme, hash_cost cost) {
    const std::span one(&plain, 1);
    auto all = co_await hash_many(one, scheme, cost);
    co_return std::move(all.front());
}

task<result<bool>> hash_pool::verify(secret plain, secret hashed) {
    std::optional<result<bool>> found;
    const bool took = co_await carry_out(
        std::make_shared<work>(1, [&](std::size_t) { found.emplace(verify_password(plain, hashed)); }));
    if (!found) co_return std::unexpected(not_done(took));
    co_return std::move(*found);
}

} // namespace postferry::directory

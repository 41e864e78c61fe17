#include "net/gate.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <set>
#include <utility>

namespace postferry::net {

namespace {

// So many may overtake one who waits for several keys before places are kept for him.
constexpr unsigned patience = 16;

} // namespace

struct gate::waiter {
    waiter(const executor& ex, std::vector<std::string> k)
        : timer(ex, boost::asio::steady_timer::time_point::max()), keys(std::move(k)) {}
    boost::asio::steady_timer timer; ///< of the waiter's strand
    std::vector<std::string> keys;
    unsigned overtaken = 0;
    bool inside = false; ///< under the gate's lock
};

gate::permit::permit(permit&& o) noexcept : gate_(std::move(o.gate_)), keys_(std::exchange(o.keys_, {})) {}

gate::permit& gate::permit::operator=(permit&& o) noexcept {
    if (this == &o) return *this;
    give_back();
    gate_ = std::move(o.gate_);
    keys_ = std::exchange(o.keys_, {});
    return *this;
}

gate::permit gate::permit::split(std::span<const std::string> keys) {
    std::vector<std::string> taken;
    for (const std::string& k : keys) {
        const auto at = std::ranges::find(keys_, k);
        if (at == keys_.end()) continue;
        taken.push_back(std::move(*at));
        keys_.erase(at);
    }
    return {gate_, std::move(taken)};
}

void gate::permit::give_back() noexcept {
    if (!keys_.empty()) gate_->drop(keys_);
    keys_.clear();
}

std::shared_ptr<gate> gate::make(clock now) { return std::shared_ptr<gate>(new gate(std::move(now))); }

void gate::limit(const std::string& key, std::size_t most) {
    const std::lock_guard lock(mutex_);
    room& r = rooms_[key];
    r.most = std::min(r.most.value_or(SIZE_MAX), std::max<std::size_t>(most, 1));
}

void gate::shrink(const std::string& key, std::size_t most, time until) {
    const std::lock_guard lock(mutex_);
    room& r = rooms_[key];
    r.learnt = std::max<std::size_t>(most, 1);
    r.learnt_until = until;
}

std::size_t gate::inside(const std::string& key) const {
    const std::lock_guard lock(mutex_);
    const auto at = rooms_.find(key);
    return at == rooms_.end() ? 0 : at->second.inside;
}

bool gate::fits(const std::vector<std::string>& keys, time now) const {
    return std::ranges::all_of(keys, [&](const std::string& key) {
        const auto at = rooms_.find(key);
        if (at == rooms_.end()) return true;
        const room& r = at->second;
        // One key may be asked for several times: source and target on one server.
        const auto wanted = static_cast<std::size_t>(std::ranges::count(keys, key));
        std::size_t most = r.most.value_or(SIZE_MAX);
        if (r.learnt && now < r.learnt_until) most = std::min(most, *r.learnt);
        // A server that is to have one connection and holds both ends would never be entered.
        return r.inside + wanted <= std::max(most, wanted);
    });
}

void gate::take(const std::vector<std::string>& keys) {
    for (const std::string& k : keys) ++rooms_[k].inside;
}

void gate::drop(const std::vector<std::string>& keys) noexcept {
    const std::lock_guard lock(mutex_);
    for (const std::string& k : keys)
        if (const auto at = rooms_.find(k); at != rooms_.end() && at->second.inside > 0) {
            --at->second.inside;
            if (at->second.inside == 0 && !at->second.most && !at->second.learnt) rooms_.erase(at);
        }
    let_in();
}

void gate::let_in() {
    const time now = now_();
    std::set<std::string, std::less<>> kept; // for those who were overtaken too often
    std::vector<waiter*> waiting;
    for (auto at = queue_.begin(); at != queue_.end();) {
        waiter& w = **at;
        const bool may = std::ranges::none_of(w.keys, [&](const std::string& k) { return kept.contains(k); });
        if (!may || !fits(w.keys, now)) {
            if (w.overtaken >= patience) kept.insert(w.keys.begin(), w.keys.end());
            waiting.push_back(&w);
            ++at;
            continue;
        }
        take(w.keys);
        w.inside = true;
        for (waiter* o : waiting) ++o->overtaken;
        boost::asio::post(w.timer.get_executor(), [mine = *at] { mine->timer.cancel(); });
        at = queue_.erase(at);
    }
}

std::optional<gate::permit> gate::try_enter(std::vector<std::string> keys) {
    const std::lock_guard lock(mutex_);
    for (const auto& w : queue_)
        for (const std::string& k : keys)
            if (std::ranges::find(w->keys, k) != w->keys.end()) return std::nullopt;
    if (!fits(keys, now_())) return std::nullopt;
    take(keys);
    return permit(shared_from_this(), std::move(keys));
}

task<gate::permit> gate::enter(std::vector<std::string> keys) {
    const executor ex = co_await boost::asio::this_coro::executor;
    const auto mine = std::make_shared<waiter>(ex, std::move(keys));
    {
        const std::lock_guard lock(mutex_);
        queue_.push_back(mine);
        let_in();
    }
    // However the wait ends, cancelled and destroyed included, nothing stays in the queue and no place is lost.
    struct leave {
        std::shared_ptr<gate> of;
        std::shared_ptr<waiter> who;
        bool kept = false;
        ~leave() {
            if (kept) return;
            bool inside = false;
            {
                const std::lock_guard lock(of->mutex_);
                inside = who->inside;
                if (!inside) of->queue_.remove(who);
            }
            if (inside) of->drop(who->keys);
        }
    } guard{shared_from_this(), mine};
    while (true) {
        {
            const std::lock_guard lock(mutex_);
            if (mine->inside) break;
        }
        (void)co_await mine->timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    }
    guard.kept = true;
    co_return permit(shared_from_this(), mine->keys);
}

} // namespace postferry::net

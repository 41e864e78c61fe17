#include "jobs/decide.hpp"
#include "jobs/detail/running.hpp"
#include "jobs/worker_id.hpp"
#include "store/refusal.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <unistd.h>

namespace postferry::jobs {

namespace asio = boost::asio;
using store::mailbox_change;
using store::mailbox_state;
using store::tables;

namespace {

// A look for work that takes long (a hundred thousand that wait for a full server) is not to be most of what the
// database does.
constexpr int rest_after_look = 20;
constexpr std::chrono::milliseconds longest_rest{5'000};

} // namespace

using detail::actor_of;

worker::worker(executor ex, store::database& db, pass_runner& runner, worker_options options)
    : pool_(ex), strand_(asio::make_strand(ex)), db_(db), runner_(runner), options_(std::move(options)),
      id_(new_worker_id()), news_(strand_), others_(std::max(options_.term - lease_clock::margin, options_.beat)) {
    if (options_.name.empty()) options_.name = host_name();
}

worker::~worker() = default;

void worker::stop() {
    asio::post(strand_, [this, alive = std::weak_ptr(alive_)] {
        if (alive.expired()) return;
        stopping_ = true;
        for (const auto& [id, r] : running_) r->stop.request_stop();
        news_.notify();
    });
}

void worker::wake() {
    asio::post(strand_, [this, alive = std::weak_ptr(alive_)] {
        if (!alive.expired()) nudge();
    });
}

task<result<void>> worker::enlist(store::worker_state as) {
    store::worker row{.id = id_,
                      .name = options_.name,
                      .host = host_name(),
                      .pid = ::getpid(),
                      .version = options_.version,
                      .jobs = options_.jobs,
                      .state = as};
    co_return co_await db_.synced([row](tables& t) -> result<void> {
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        store::worker w = row;
        w.started = w.seen = *now;
        return t.leases.put(w);
    });
}

task<result<void>> worker::run() {
    if (auto ok = co_await enlist(store::worker_state::running); !ok) co_return ok;
    co_await loop();
    co_await settle();
    (void)co_await db_.synced([id = id_](tables& t) { return t.leases.set_gone(id); });
    co_return result<void>{};
}

task<> worker::loop() {
    auto next_beat = std::chrono::steady_clock::now() + options_.beat;
    while (!stopping_) {
        // Before anything is taken: who has slept learns first what he has lost.
        if (std::chrono::steady_clock::now() >= next_beat) {
            if (auto ok = co_await beat(); !ok) complain(ok.error());
            next_beat = std::chrono::steady_clock::now() + options_.beat;
        }
        // A database that is gone: the next look tries again. A place that becomes free meanwhile is not passed over.
        nudged_ = false;
        if (auto taken = co_await take(); !taken) complain(taken.error());
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_beat - std::chrono::steady_clock::now());
        if (left.count() > 0 && !stopping_ && !nudged_) co_await news_.wait_for(std::min(left, rest()));
    }
}

void worker::nudge() {
    nudged_ = true;
    news_.notify();
}

std::chrono::milliseconds worker::rest() const {
    const auto due = std::chrono::ceil<std::chrono::milliseconds>(last_take_ * rest_after_look);
    return std::clamp(due, options_.look, std::max(options_.look, longest_rest));
}

task<> worker::settle() {
    auto next_beat = std::chrono::steady_clock::now() + options_.beat;
    while (!running_.empty()) {
        co_await news_.wait_for(options_.look);
        if (std::chrono::steady_clock::now() < next_beat) continue;
        (void)co_await beat();
        next_beat = std::chrono::steady_clock::now() + options_.beat;
    }
}

task<result<int>> worker::take() {
    const int room = options_.jobs - static_cast<int>(running_.size());
    if (stopping_ || room <= 0) co_return 0;
    const std::int64_t asked = lease_clock::now_ms();
    const auto from = std::chrono::steady_clock::now();
    auto taken = co_await db_.alone([this, room](tables& t) { return begin(t, room); });
    last_take_ = std::chrono::steady_clock::now() - from;
    if (!taken) co_return std::unexpected(std::move(taken.error()));
    for (begun& one : *taken) start(std::move(one), asked);
    co_return static_cast<int>(taken->size());
}

void worker::start(begun one, std::int64_t asked) {
    // A pass of a lease that has lapsed is still on its way out: beat() gives the new one back when it is.
    if (running_.contains(one.what.mailbox.id)) return;
    auto r = std::make_shared<running>();
    r->kind = next_pass_of(one.what.mailbox);
    r->what = std::move(one.what);
    r->settings = std::move(one.settings);
    r->mode = one.mode;
    r->batch = one.batch;
    r->batch_version = one.batch_version;
    r->account_first = one.account_first;
    r->lease->granted(asked, options_.term);
    running_.emplace(r->what.mailbox.id, r);
    if (stopping_) r->stop.request_stop();
    asio::co_spawn(strand_, make_passes(r), [this, r](const std::exception_ptr& thrown) {
        running_.erase(r->what.mailbox.id);
        if (thrown) complain_of(thrown, *r);
        nudge();
    });
}

void worker::complain(const error& why) const {
    if (options_.complain) options_.complain(why.message());
}

/// A defect. The lease lapses, and the mailbox is taken up again; beat() sees to that.
void worker::complain_of(const std::exception_ptr& thrown, const running& r) const {
    if (!options_.complain) return;
    try {
        std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
        options_.complain(fmt::format("the pass over mailbox {} broke off: {}", r.what.mailbox.id, e.what()));
    } catch (...) {
        options_.complain(fmt::format("the pass over mailbox {} broke off", r.what.mailbox.id));
    }
}

void worker::lose(const running_ptr& r) {
    r->lease->lost();
    r->stop.request_stop();
}

task<result<void>> worker::beat() {
    const std::int64_t asked = lease_clock::now_ms();
    auto held = co_await db_.write([id = id_, term = options_.term](tables& t) -> result<std::vector<store::held>> {
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        if (auto back = store::follow_clock_back(t, *now, term); !back) return std::unexpected(std::move(back.error()));
        return t.leases.renew(id, *now, term);
    });
    if (!held) {
        if (!store::refusal::is(held.error(), store::refusal::missing)) co_return std::unexpected(held.error());
        // Somebody took us for dead. What we have is others' now; begin anew.
        for (const auto& [id, r] : running_) lose(r);
        co_return co_await enlist(stopping_ ? store::worker_state::stopping : store::worker_state::running);
    }
    std::map<store::record_id, const store::held*> still;
    std::vector<running_ptr> changed;
    for (const store::held& h : *held) still.emplace(h.hold.migration, &h);
    for (const auto& [id, r] : running_) {
        const auto at = still.find(id);
        if (at == still.end() || at->second->hold.token != r->what.hold.token) {
            lose(r);
            continue;
        }
        r->lease->granted(asked, options_.term);
        r->batch = at->second->batch;
        if (r->batch_version != at->second->batch_version) changed.push_back(r);
        const bool wanted =
            store::running_states.has(at->second->state) && at->second->batch != store::batch_state::stopped;
        if (!wanted) r->stop.request_stop();
    }
    for (const running_ptr& r : changed)
        if (auto ok = co_await reload(r); !ok) co_return ok;
    // The log of a pass that takes a day is read while it runs.
    std::vector<running_ptr> at_work;
    for (const auto& [id, r] : running_) at_work.push_back(r);
    for (const running_ptr& r : at_work) co_await keep_lines(r);
    co_await watch_windows();
    // A pass whose end could not be stored, or that broke: nobody is at work there, whatever the store thinks.
    std::vector<store::lease> dropped;
    for (const store::held& h : *held)
        if (!running_.contains(h.hold.migration)) dropped.push_back(h.hold);
    if (!dropped.empty())
        if (auto ok = co_await let_go(std::move(dropped)); !ok) co_return ok;
    co_return co_await take_over();
}

/// What workers have left that are gone or silent is for everybody again.
task<result<void>> worker::take_over() {
    auto standing = co_await db_.read([id = id_](tables& t) { return store::leases_of_others(t, id); });
    if (!standing) co_return std::unexpected(std::move(standing.error()));
    others_.look(*standing, options_.steady_ms());
    auto requeued = co_await db_.alone(
        [actor = actor_of(id_), watch = others_](tables& t) { return store::requeue_lapsed(t, actor, &watch); });
    if (!requeued) co_return std::unexpected(requeued.error());
    co_return result<void>{};
}

task<result<void>> worker::let_go(std::vector<store::lease> dropped) {
    co_return co_await db_.alone([dropped = std::move(dropped), actor = actor_of(id_)](tables& t) -> result<void> {
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        for (const store::lease& l : dropped) {
            auto mailbox = t.migrations.find(l.migration);
            if (!mailbox) return std::unexpected(std::move(mailbox.error()));
            if (*mailbox && store::running_states.has((*mailbox)->state)) {
                mailbox_change c{.to = mailbox_state::queued, .actor = actor, .token = l.token};
                c.reason = "what came of the last pass could not be kept; it is looked at again";
                c.due = *now;
                auto changed = store::change_state(t, l.migration, c);
                if (!changed) return std::unexpected(std::move(changed.error()));
            }
            auto released = t.leases.release(l.migration, l.token);
            if (!released) return std::unexpected(std::move(released.error()));
        }
        return {};
    });
}

/// The batch's settings as they are now: hours count at once, rules from the next pass on.
task<result<void>> worker::reload(running_ptr r) {
    auto batch = co_await db_.read([id = r->what.mailbox.batch](tables& t) { return t.batches.find(id); });
    if (!batch) co_return std::unexpected(std::move(batch.error()));
    if (!*batch) co_return result<void>{};
    auto settings = parse_settings((*batch)->settings);
    if (!settings) co_return result<void>{}; // what it began with holds
    complete(*settings, options_);
    r->settings = std::move(*settings);
    r->batch_version = (*batch)->version;
    co_return result<void>{};
}

/// Passes whose hours are over come to an end.
task<> worker::watch_windows() {
    const bool any = std::ranges::any_of(running_, [](const auto& r) { return !r.second->settings.windows.empty(); });
    if (!any) co_return;
    auto now = co_await db_.read([](tables& t) { return t.now(); });
    if (!now) co_return;
    for (const auto& [id, r] : running_)
        if (!is_open(r->settings.windows, *now)) r->stop.request_stop();
}

} // namespace postferry::jobs

#include "jobs/worker.hpp"

#include "jobs/decide.hpp"
#include "jobs/worker_id.hpp"
#include "store/change_state.hpp"
#include "store/refusal.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <unistd.h>

namespace postferry::jobs {

namespace asio = boost::asio;
using store::mailbox_change;
using store::mailbox_state;
using store::tables;

namespace {

constexpr std::chrono::milliseconds progress_every{1'000};
constexpr std::size_t most_lines = 1'000; ///< of a mailbox, between two writes; more are counted, not kept

std::string actor_of(const std::string& worker) { return "worker/" + worker; }

/// Failures that came one after the other, up to now.
result<int> failures_before(tables& t, store::record_id mailbox, int most) {
    auto passes = t.passes.list(mailbox, {.limit = most + 1, .newest_first = true});
    if (!passes) return std::unexpected(std::move(passes.error()));
    const auto other = [](const store::pass_record& p) { return !p.outcome.empty() && p.outcome != "failed"; };
    int count = 0;
    for (const store::pass_record& p : passes->rows) {
        if (other(p)) break;
        count += p.outcome == "failed" ? 1 : 0;
    }
    return count;
}

std::string_view word_of(pass_end::how what) noexcept {
    switch (what) {
    case pass_end::how::done: return "done";
    case pass_end::how::failed: return "failed";
    case pass_end::how::throttled: return "throttled";
    case pass_end::how::stopped: return "stopped";
    }
    return "?";
}

/// The first state of a mailbox that a worker has taken.
result<store::migration> set_to_work(tables& t, const store::taken& one, const std::string& actor) {
    const auto go = [&](mailbox_state to) {
        return store::change_state(t, one.mailbox.id, {.to = to, .actor = actor, .token = one.hold.token});
    };
    if (one.mailbox.state == mailbox_state::synced || one.mailbox.state == mailbox_state::paused)
        if (auto queued = go(mailbox_state::queued); !queued) return queued;
    return go(next_pass_of(one.mailbox) == transfer::pass_kind::verify ? mailbox_state::verifying
                                                                       : mailbox_state::discovering);
}

/// Outside its hours: it waits for the next ones. False: it may run.
result<bool> waits_for_window(tables& t, const store::taken& one, const batch_settings& settings, unix_ms now,
                              const std::string& actor) {
    if (is_open(settings.windows, now)) return false;
    const unix_ms next = next_change(settings.windows, now).value_or(now + 3'600'000);
    mailbox_change c{.to = mailbox_state::paused, .actor = actor};
    c.reason = std::string(store::name_of(store::pause_reason::window));
    c.until = c.due = next;
    if (one.mailbox.state == mailbox_state::paused) c.to = mailbox_state::paused;
    auto changed = store::change_state(t, one.mailbox.id, c);
    if (!changed) return std::unexpected(std::move(changed.error()));
    auto released = t.leases.release(one.mailbox.id, one.hold.token);
    if (!released) return std::unexpected(std::move(released.error()));
    return true;
}

} // namespace

struct worker::running {
    store::taken what;
    batch_settings settings;
    store::batch_state batch = store::batch_state::syncing;
    transfer::pass_kind kind = transfer::pass_kind::bulk;
    std::shared_ptr<lease_clock> lease = std::make_shared<lease_clock>();
    std::stop_source stop;
    std::mutex mutex; ///< of the lines, which come from the pass's strand
    std::vector<store::log_line> lines;
    std::size_t lines_left_out = 0;
    std::chrono::steady_clock::time_point last_progress{};
};

worker::worker(executor ex, store::database& db, pass_runner& runner, worker_options options)
    : pool_(ex), strand_(asio::make_strand(ex)), db_(db), runner_(runner), options_(std::move(options)),
      id_(new_worker_id()), news_(strand_) {
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
        if (!alive.expired()) news_.notify();
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
            (void)co_await beat();
            next_beat = std::chrono::steady_clock::now() + options_.beat;
        }
        (void)co_await take(); // a database that is gone: outage() tells, the next look tries again
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_beat - std::chrono::steady_clock::now());
        if (left.count() > 0 && !stopping_) co_await news_.wait_for(std::min(left, options_.look));
    }
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

/// In one transaction: the leases, and the state that tells of them.
result<std::vector<store::taken>> worker::begin(tables& t, int room) const {
    auto now = t.now();
    if (!now) return std::unexpected(std::move(now.error()));
    auto all = t.leases.take({.worker = id_,
                              .want = room,
                              .now = *now,
                              .term = options_.term,
                              .source_connections = options_.connections,
                              .target_connections = options_.connections});
    if (!all) return all;
    std::vector<store::taken> begun;
    const std::string actor = actor_of(id_);
    for (store::taken& one : *all) {
        auto batch = t.batches.find(one.mailbox.batch);
        if (!batch) return std::unexpected(std::move(batch.error()));
        auto settings = parse_settings(*batch ? (*batch)->settings : "{}");
        if (!settings) return std::unexpected(std::move(settings.error()));
        auto waits = waits_for_window(t, one, *settings, *now, actor);
        if (!waits) return std::unexpected(std::move(waits.error()));
        if (*waits) continue;
        auto at_work = set_to_work(t, one, actor);
        if (!at_work) return std::unexpected(std::move(at_work.error()));
        one.mailbox = std::move(*at_work);
        begun.push_back(std::move(one));
    }
    return begun;
}

task<result<int>> worker::take() {
    const int room = options_.jobs - static_cast<int>(running_.size());
    if (stopping_ || room <= 0) co_return 0;
    const std::int64_t asked = lease_clock::now_ms();
    auto begun = co_await db_.alone([this, room](tables& t) { return begin(t, room); });
    if (!begun) co_return std::unexpected(std::move(begun.error()));
    for (store::taken& one : *begun) start(std::move(one), asked);
    co_return static_cast<int>(begun->size());
}

void worker::start(store::taken one, std::int64_t asked) {
    // A pass of a lease that has lapsed is still on its way out: beat() gives the new one back when it is.
    if (running_.contains(one.mailbox.id)) return;
    auto r = std::make_shared<running>();
    r->kind = next_pass_of(one.mailbox);
    r->what = std::move(one);
    r->lease->granted(asked, options_.term);
    running_.emplace(r->what.mailbox.id, r);
    if (stopping_) r->stop.request_stop();
    asio::co_spawn(strand_, make_passes(r), [this, r](const std::exception_ptr&) {
        running_.erase(r->what.mailbox.id);
        news_.notify();
    });
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
        return t.leases.renew(id, *now, term);
    });
    if (!held) {
        if (!store::refusal::is(held.error(), store::refusal::missing)) co_return std::unexpected(held.error());
        // Somebody took us for dead. What we have is others' now; begin anew.
        for (const auto& [id, r] : running_) lose(r);
        co_return co_await enlist(stopping_ ? store::worker_state::stopping : store::worker_state::running);
    }
    std::map<store::record_id, const store::held*> still;
    for (const store::held& h : *held) still.emplace(h.hold.migration, &h);
    for (const auto& [id, r] : running_) {
        const auto at = still.find(id);
        if (at == still.end() || at->second->hold.token != r->what.hold.token) {
            lose(r);
            continue;
        }
        r->lease->granted(asked, options_.term);
        r->batch = at->second->batch;
        const bool wanted =
            store::running_states.has(at->second->state) && at->second->batch != store::batch_state::stopped;
        if (!wanted) r->stop.request_stop();
    }
    // A pass whose end could not be stored, or that broke: nobody is at work there, whatever the store thinks.
    std::vector<store::lease> dropped;
    for (const store::held& h : *held)
        if (!running_.contains(h.hold.migration)) dropped.push_back(h.hold);
    if (!dropped.empty())
        if (auto ok = co_await let_go(std::move(dropped)); !ok) co_return ok;
    auto requeued = co_await db_.alone([actor = actor_of(id_)](tables& t) { return store::requeue_lapsed(t, actor); });
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

task<result<store::record_id>> worker::begin_pass(running_ptr r) {
    struct begun {
        store::record_id pass = 0;
        batch_settings settings;
        store::batch_state batch = store::batch_state::syncing;
    };
    auto got = co_await db_.write([id = r->what.mailbox.id, batch = r->what.mailbox.batch, worker = id_,
                                   kind = r->kind](tables& t) -> result<begun> {
        begun b;
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        auto row = t.batches.find(batch);
        if (!row) return std::unexpected(std::move(row.error()));
        if (!*row) return store::refusal::refuse(store::refusal::missing, "The batch is gone");
        auto settings = parse_settings((*row)->settings);
        if (!settings) return std::unexpected(std::move(settings.error()));
        b.settings = std::move(*settings);
        b.batch = (*row)->state;
        auto pass = t.passes.begin({.migration = id,
                                    .kind = std::string(transfer::name_of(kind)),
                                    .started = *now,
                                    .worker = worker,
                                    .outcome = {},
                                    .report = {}});
        if (!pass) return std::unexpected(std::move(pass.error()));
        b.pass = *pass;
        return b;
    });
    if (!got) co_return std::unexpected(std::move(got.error()));
    r->settings = std::move(got->settings);
    r->batch = got->batch;
    co_return got->pass;
}

task<result<std::optional<transfer::pass_kind>>> worker::end_pass(running_ptr r, store::record_id pass, pass_end end) {
    auto decided = co_await db_.synced(
        [id = r->what.mailbox.id, token = r->what.hold.token, kind = r->kind, settings = r->settings, pass, end,
         actor = actor_of(id_)](tables& t) -> result<std::optional<transfer::pass_kind>> {
            auto now = t.now();
            if (!now) return std::unexpected(std::move(now.error()));
            auto mailbox = t.migrations.find(id);
            if (!mailbox) return std::unexpected(std::move(mailbox.error()));
            if (!*mailbox) return store::refusal::refuse(store::refusal::missing, "The mailbox is gone");
            auto batch = t.batches.find((*mailbox)->batch);
            if (!batch) return std::unexpected(std::move(batch.error()));
            auto failures = failures_before(t, id, settings.retries);
            if (!failures) return std::unexpected(std::move(failures.error()));
            const situation s{.mailbox = **mailbox,
                              .batch = *batch ? (*batch)->state : store::batch_state::stopped,
                              .settings = settings,
                              .kind = kind,
                              .failures_in_a_row = *failures + 1,
                              .now = *now};
            decision d = after_pass(s, end);
            d.change.actor = actor;
            d.change.token = token;
            if (auto ok = store::change_state(t, id, d.change); !ok) return std::unexpected(std::move(ok.error()));
            const bool counted = end.what == pass_end::how::done && kind != transfer::pass_kind::verify;
            if (counted)
                if (auto ok = t.migrations.set_counts(id, end.counts); !ok)
                    return std::unexpected(std::move(ok.error()));
            if (auto ok = t.migrations.add_pass(id, end.grade.empty() ? (*mailbox)->grade : end.grade); !ok)
                return std::unexpected(std::move(ok.error()));
            auto ended = t.passes.end({.id = pass,
                                       .migration = id,
                                       .kind = {},
                                       .ended = *now,
                                       .worker = {},
                                       .outcome = std::string(word_of(end.what)),
                                       .counts = end.counts,
                                       .report = end.report});
            if (!ended) return std::unexpected(std::move(ended.error()));
            if (!d.go_on)
                if (auto ok = t.leases.release(id, token); !ok) return std::unexpected(std::move(ok.error()));
            return d.go_on;
        });
    co_return decided;
}

/// The pass that is due, and what follows at once. A failure of the store leaves the lease to lapse: whoever takes the
/// mailbox up next finds in the ledger how far this one came.
task<> worker::make_passes(running_ptr r) {
    for (;;) {
        const auto pass = co_await begin_pass(r);
        if (!pass) co_return;
        work what{.mailbox = r->what.mailbox,
                  .settings = r->settings,
                  .kind = r->kind,
                  .token = r->what.hold.token,
                  .lease = r->lease,
                  .connections = options_.connections};
        const executor line = asio::make_strand(pool_);
        pass_end end = co_await asio::co_spawn(line, runner_.run(std::move(what), hooks_of(r), r->stop.get_token()),
                                               asio::use_awaitable);
        co_await keep_lines(r);
        const auto next = co_await end_pass(r, *pass, std::move(end));
        if (!next || !*next || r->stop.stop_requested()) co_return;
        r->kind = **next;
    }
}

pass_hooks worker::hooks_of(const running_ptr& r) {
    const store::record_id id = r->what.mailbox.id, batch = r->what.mailbox.batch;
    const auto later = [this](auto work) {
        asio::co_spawn(strand_, std::move(work), [](const std::exception_ptr&, auto&&...) {});
    };
    pass_hooks h;
    const std::int64_t token = r->what.hold.token;
    h.on_state = [this, later, id, token](mailbox_state to) {
        later(db_.write([id, token, to, actor = actor_of(id_)](tables& t) {
            return store::change_state(t, id, {.to = to, .actor = actor, .token = token});
        }));
    };
    h.on_progress = [this, later, r, id, token](const store::message_counts& counts) {
        const auto now = std::chrono::steady_clock::now();
        if (now - r->last_progress < progress_every) return;
        r->last_progress = now;
        later(db_.write([id, token, counts](tables& t) -> result<void> {
            auto held = t.leases.holds(id, token);
            if (!held || !*held) return held ? result<void>{} : std::unexpected(std::move(held.error()));
            return t.migrations.set_counts(id, counts);
        }));
    };
    h.on_line = [r, id, batch](store::log_level level, std::string_view folder, std::string_view text) {
        const std::lock_guard lock(r->mutex);
        if (r->lines.size() == most_lines) {
            ++r->lines_left_out;
            return;
        }
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        store::log_line line{.at = std::chrono::duration_cast<std::chrono::milliseconds>(now).count(),
                             .batch = batch,
                             .migration = id,
                             .level = level,
                             .text = std::string(text)};
        if (!folder.empty()) line.folder = std::string(folder);
        r->lines.push_back(std::move(line));
    };
    h.on_throttled = [this, later](const std::string& server, unix_ms until, const std::string& why) {
        later(db_.write([server, until, why](tables& t) { return t.leases.pause_server(server, until, why); }));
    };
    return h;
}

task<> worker::keep_lines(running_ptr r) {
    std::vector<store::log_line> lines;
    {
        const std::lock_guard lock(r->mutex);
        lines.swap(r->lines);
        if (const std::size_t more = std::exchange(r->lines_left_out, 0); more > 0 && !lines.empty()) {
            store::log_line last = lines.back();
            last.text = fmt::format("{} more lines were left out", more);
            lines.push_back(std::move(last));
        }
    }
    if (lines.empty()) co_return;
    (void)co_await db_.write([lines](tables& t) { return t.logs.add(lines); });
}

} // namespace postferry::jobs

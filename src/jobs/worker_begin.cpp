// Taking: which mailboxes a worker begins with, in one transaction with their leases.
#include "jobs/decide.hpp"
#include "jobs/detail/running.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

namespace postferry::jobs {

using store::mailbox_change;
using store::mailbox_state;
using store::tables;

namespace {

/// Batches that may have a limit of their own.
constexpr store::batch_states at_work_states{store::batch_state::syncing, store::batch_state::synced,
                                             store::batch_state::review_for_cutover, store::batch_state::cutting_over};
constexpr int most_batches = 1'000; ///< whose limits are looked at

/// Refused by a rule of ours, and nothing the matter with the database.
bool is_refusal(const error& e) noexcept {
    return e.cls == retry_class::config && !e.response_code.empty() && e.where == phase::ledger;
}

/// One mailbox that was taken, on its way to work or back.
class beginner {
  public:
    beginner(tables& t, const worker_options& options, std::string actor, unix_ms now)
        : t_(t), options_(options), actor_(std::move(actor)), now_(now) {}

    /// Nothing: it is not for now, and its lease is given back. A mailbox or a batch with something wrong costs itself
    /// its turn, nobody else.
    result<std::optional<worker::begun>> begin(store::taken one) {
        auto got = try_to(one);
        if (got || !is_refusal(got.error())) return got;
        // Its state has moved under our hands, or cannot move: whoever changed it says when it is due again.
        if (auto ok = t_.migrations.set_due(one.mailbox.id, std::nullopt, one.mailbox.next_pass); !ok)
            return std::unexpected(std::move(ok.error()));
        return give_back(one);
    }

  private:
    using outcome = result<std::optional<worker::begun>>;

    outcome try_to(store::taken& one) {
        auto batch = t_.batches.hold(one.mailbox.batch);
        if (!batch) return std::unexpected(std::move(batch.error()));
        if (!*batch) return fail_it(one, "its batch is gone", {});
        auto settings = parse_settings((*batch)->settings);
        if (!settings) return fail_it(one, settings.error().message(), std::string(name_of(settings.error().cls)));
        complete(*settings, options_);
        if ((*batch)->state == store::batch_state::stopped) return pause(one, store::pause_reason::manual, {});
        if (one.mailbox.state == mailbox_state::synced && settings->delta_every_minutes == 0) {
            // Deltas were called off after it had been given its time.
            if (auto ok = t_.migrations.set_due(one.mailbox.id, std::nullopt, one.mailbox.next_pass); !ok)
                return std::unexpected(std::move(ok.error()));
            return give_back(one);
        }
        if (!is_open(settings->windows, now_))
            return pause(one, store::pause_reason::window,
                         next_change(settings->windows, now_).value_or(now_ + 3'600'000));
        worker::begun b{.what = std::move(one),
                        .mode = (*batch)->mode,
                        .batch = (*batch)->state,
                        .batch_version = (*batch)->version};
        b.account_first = options_.accounts.wanted && options_.accounts.wanted(b.what.mailbox, b.mode, *settings);
        b.settings = std::move(*settings);
        auto at_work = set_to_work(b);
        if (!at_work) {
            one = std::move(b.what);
            return std::unexpected(std::move(at_work.error()));
        }
        b.what.mailbox = std::move(*at_work);
        return std::optional(std::move(b));
    }

    /// The first state of a mailbox that a worker has taken.
    result<store::migration> set_to_work(const worker::begun& b) {
        const store::taken& one = b.what;
        const auto go = [&](mailbox_state to) {
            return store::change_state(t_, one.mailbox.id, {.to = to, .actor = actor_, .token = one.hold.token});
        };
        if (one.mailbox.state == mailbox_state::synced || one.mailbox.state == mailbox_state::paused)
            if (auto queued = go(mailbox_state::queued); !queued) return queued;
        if (b.account_first) return go(mailbox_state::provisioning);
        return go(next_pass_of(one.mailbox) == transfer::pass_kind::verify ? mailbox_state::verifying
                                                                           : mailbox_state::discovering);
    }

    outcome change(const store::taken& one, mailbox_change c) {
        c.actor = actor_;
        c.token = one.hold.token;
        auto changed = store::change_state(t_, one.mailbox.id, c);
        if (!changed) return std::unexpected(std::move(changed.error()));
        return give_back(one);
    }

    outcome pause(const store::taken& one, store::pause_reason why, std::optional<unix_ms> until) {
        mailbox_change c{.to = mailbox_state::paused, .actor = {}};
        c.reason = std::string(store::name_of(why));
        c.until = c.due = until;
        return change(one, std::move(c));
    }

    outcome fail_it(const store::taken& one, std::string reason, std::string cls) {
        mailbox_change c{.to = mailbox_state::failed, .actor = {}};
        c.reason = std::move(reason);
        c.reason_class = std::move(cls);
        return change(one, std::move(c));
    }

    outcome give_back(const store::taken& one) {
        auto released = t_.leases.release(one.mailbox.id, one.hold.token);
        if (!released) return std::unexpected(std::move(released.error()));
        return std::nullopt;
    }

    tables& t_;
    const worker_options& options_;
    std::string actor_;
    unix_ms now_;
};

/// Of batches with a limit: how many more may be at work.
/// @param known limits by batch, of the version that they were read from
result<std::map<store::record_id, int>> batch_room(tables& t, worker::limits_by_batch& known) {
    std::map<store::record_id, int> room;
    auto batches = t.batches.list({.states = at_work_states}, {.limit = most_batches});
    if (!batches) return std::unexpected(std::move(batches.error()));
    worker::limits_by_batch now;
    for (const store::batch& b : batches->rows) {
        const auto before = known.find(b.id);
        std::pair<store::row_version, int>& limit = now[b.id];
        if (before != known.end() && before->second.first == b.version) {
            limit = before->second;
        } else {
            const auto settings = parse_settings(b.settings);
            limit = {b.version, settings ? settings->mailboxes_at_a_time : 0};
        }
        if (limit.second > 0) room.emplace(b.id, limit.second);
    }
    known = std::move(now);
    if (room.empty()) return room;
    auto busy = t.leases.at_work();
    if (!busy) return std::unexpected(std::move(busy.error()));
    for (const auto& [id, n] : *busy)
        if (const auto at = room.find(id); at != room.end()) at->second -= n;
    return room;
}

} // namespace

void complete(batch_settings& s, const worker_options& options) {
    if (s.windows.empty()) s.windows = options.windows;
    if (!s.delta_every_minutes) s.delta_every_minutes = options.delta_every_minutes;
}

/// In one transaction: the leases, and the state that tells of them.
result<std::vector<worker::begun>> worker::begin(tables& t, int room) {
    auto now = t.now();
    if (!now) return std::unexpected(std::move(now.error()));
    auto of_batches = batch_room(t, limits_);
    if (!of_batches) return std::unexpected(std::move(of_batches.error()));
    auto all = t.leases.take({.worker = id_,
                              .want = room,
                              .now = *now,
                              .term = options_.term,
                              .source_connections = options_.connections,
                              .target_connections = options_.connections,
                              .connections_per_server = options_.connections_per_server,
                              .batch_room = std::move(*of_batches)});
    if (!all) return std::unexpected(std::move(all.error()));
    beginner with(t, options_, detail::actor_of(id_), *now);
    std::vector<begun> out;
    for (store::taken& one : *all) {
        auto b = with.begin(std::move(one));
        if (!b) return std::unexpected(std::move(b.error()));
        if (*b) out.push_back(std::move(**b));
    }
    return out;
}

} // namespace postferry::jobs

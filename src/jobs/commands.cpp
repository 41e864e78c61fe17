#include "jobs/commands.hpp"

#include "jobs/batch_progress.hpp"
#include "jobs/decide.hpp"
#include "store/change_state.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

#include <array>

namespace postferry::jobs {

using store::batch_state;
using store::mailbox_change;
using store::mailbox_state;
using store::mailbox_states;
using store::tables;
namespace refusal = store::refusal;

namespace {

constexpr std::array<std::string_view, 6> words{"start", "pause", "resume", "cancel", "retry", "finish"};

/// The states from which the command moves a mailbox; in all others it stays as it is.
mailbox_states taken_by(command c) noexcept {
    using enum mailbox_state;
    switch (c) {
    case command::start: return {ready};
    case command::pause: return {ready, queued, provisioning, discovering, copying, throttled, synced, verifying};
    case command::resume: return {paused};
    case command::cancel:
        return {draft,       needs_credentials, validating, invalid, ready,  queued,    provisioning,
                discovering, copying,           throttled,  paused,  synced, verifying, failed};
    case command::retry: return {failed};
    case command::finish: return {synced, failed, completed, completed_with_exceptions};
    }
    return {};
}

/// None: it stays as it is.
std::optional<mailbox_change> change_of(const store::migration& m, command c, const batch_settings& settings,
                                        unix_ms now, const std::string& actor) {
    if (!taken_by(c).has(m.state)) return std::nullopt;
    // A pause for a window or a quota ends by itself.
    if (c == command::resume && m.reason != store::name_of(store::pause_reason::manual)) return std::nullopt;
    mailbox_change change{.to = mailbox_state::queued, .actor = actor};
    change.due = is_open(settings.windows, now) ? now : next_change(settings.windows, now).value_or(now);
    switch (c) {
    case command::pause:
        change.to = mailbox_state::paused;
        change.reason = std::string(store::name_of(store::pause_reason::manual));
        change.due.reset();
        break;
    case command::cancel:
        change.to = mailbox_state::cancelled;
        change.due.reset();
        break;
    case command::finish: {
        const bool after = m.state == mailbox_state::completed || m.state == mailbox_state::completed_with_exceptions;
        change.next_pass =
            std::string(transfer::name_of(after ? transfer::pass_kind::sweep : transfer::pass_kind::final));
        break;
    }
    case command::start:
    case command::resume:
    case command::retry: break;
    }
    return change;
}

/// What the batch becomes; none: it stays.
std::optional<batch_state> batch_after(command c, batch_state now) noexcept {
    switch (c) {
    case command::start:
    case command::resume:
    case command::retry: return now == batch_state::cutting_over ? std::nullopt : std::optional(batch_state::syncing);
    case command::pause:
    case command::cancel: return batch_state::stopped;
    case command::finish: return batch_state::cutting_over;
    }
    return std::nullopt;
}

std::unexpected<error> missing(std::string_view what) {
    return refusal::refuse(refusal::missing, fmt::format("There is no such {}", what));
}

struct bite_result {
    command_result counted;
    store::record_id last = 0;
    bool more = false;
};

/// What becomes of those of them that take the command, as they are now; the others stay.
result<std::vector<store::migration>> apply(tables& t, const std::vector<store::record_id>& ids, command c,
                                            const batch_settings& settings, unix_ms now, const std::string& actor) {
    return store::change_states(t, ids, [&](const store::migration& m) {
        auto change = change_of(m, c, settings, now, actor);
        if (!change || (m.state != change->to && !store::allowed(m.state, change->to))) return store::changes{};
        return store::changes{std::move(*change)};
    });
}

result<bite_result> take_bite(tables& t, store::record_id batch, store::record_id after, command c,
                              const std::string& actor) {
    bite_result out;
    auto now = t.now();
    if (!now) return std::unexpected(std::move(now.error()));
    auto row = t.batches.find(batch);
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return missing("batch");
    auto settings = parse_settings((*row)->settings);
    if (!settings) return std::unexpected(std::move(settings.error()));
    auto page = t.migrations.list({.batch = batch}, {.after = after, .limit = commands::bite});
    if (!page) return std::unexpected(std::move(page.error()));
    std::vector<store::record_id> ids;
    for (const store::migration& m : page->rows)
        if (taken_by(c).has(m.state)) ids.push_back(m.id);
    auto changed = apply(t, ids, c, *settings, *now, actor);
    if (!changed) return std::unexpected(std::move(changed.error()));
    out.counted.changed = static_cast<std::int64_t>(changed->size());
    out.counted.left = static_cast<std::int64_t>(page->rows.size() - changed->size());
    if (!page->rows.empty()) out.last = page->rows.back().id;
    out.more = page->more;
    return out;
}

} // namespace

std::string_view name_of(command c) noexcept { return words[static_cast<std::size_t>(c)]; }

std::optional<command> parse_command(std::string_view word) noexcept {
    const auto at = std::ranges::find(words, word);
    if (at == words.end()) return std::nullopt;
    return static_cast<command>(at - words.begin());
}

task<result<store::batch>> commands::change_batch(store::record_id id, command what, std::string actor) {
    co_return co_await db_.synced([id, what, actor = std::move(actor)](tables& t) -> result<store::batch> {
        auto row = t.batches.find(id);
        if (!row) return std::unexpected(std::move(row.error()));
        if (!*row) return missing("batch");
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        const bool later = what == command::start && (*row)->start_at.value_or(0) > *now;
        const auto to = later ? std::optional(batch_state::scheduled) : batch_after(what, (*row)->state);
        if (!to || *to == (*row)->state) return **row;
        return store::change_state(t, id, {.to = *to, .actor = actor, .reason = std::string(name_of(what))});
    });
}

task<result<command_result>> commands::batch(store::record_id id, command what, std::string actor) {
    auto changed = co_await change_batch(id, what, actor);
    if (!changed) co_return std::unexpected(std::move(changed.error()));
    command_result all;
    if (changed->state == batch_state::scheduled) co_return all; // start_due() starts it
    store::record_id after = 0;
    for (bool more = true; more;) {
        auto done =
            co_await db_.write([id, after, what, actor](tables& t) { return take_bite(t, id, after, what, actor); });
        if (!done) co_return std::unexpected(std::move(done.error()));
        all.changed += done->counted.changed;
        all.left += done->counted.left;
        after = done->last;
        more = done->more;
        if (woken_) woken_();
    }
    auto settled = co_await settle_batch(db_, id, std::move(actor));
    if (!settled) co_return std::unexpected(std::move(settled.error()));
    co_return all;
}

task<result<store::migration>> commands::mailbox(store::record_id id, command what, std::string actor) {
    auto changed = co_await db_.synced([id, what, actor](tables& t) -> result<store::migration> {
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        auto m = t.migrations.find(id);
        if (!m) return std::unexpected(std::move(m.error()));
        if (!*m) return missing("mailbox");
        auto batch = t.batches.find((*m)->batch);
        if (!batch) return std::unexpected(std::move(batch.error()));
        auto settings = parse_settings(*batch ? (*batch)->settings : "{}");
        if (!settings) return std::unexpected(std::move(settings.error()));
        auto done = apply(t, {id}, what, *settings, *now, actor);
        if (!done) return std::unexpected(std::move(done.error()));
        if (done->empty())
            return refusal::refuse(refusal::not_allowed, fmt::format("A mailbox that is {} does not take \"{}\"",
                                                                     store::name_of((*m)->state), name_of(what)));
        return std::move(done->front());
    });
    if (changed && woken_) woken_();
    if (changed)
        if (auto ok = co_await settle_batch(db_, changed->batch, std::move(actor)); !ok)
            co_return std::unexpected(std::move(ok.error()));
    co_return changed;
}

task<result<int>> commands::start_due() {
    auto due = co_await db_.read([](tables& t) -> result<std::vector<store::record_id>> {
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        auto waiting = t.batches.list({.states = {batch_state::scheduled}}, {.limit = 500});
        if (!waiting) return std::unexpected(std::move(waiting.error()));
        std::vector<store::record_id> ids;
        for (const store::batch& b : waiting->rows)
            if (b.start_at.value_or(0) <= *now) ids.push_back(b.id);
        return ids;
    });
    if (!due) co_return std::unexpected(std::move(due.error()));
    int started = 0;
    for (const store::record_id id : *due) {
        auto done = co_await batch(id, command::start, "system");
        if (!done) co_return std::unexpected(std::move(done.error()));
        ++started;
    }
    co_return started;
}

task<result<store::migration>> commands::set_priority(store::record_id id, int priority, std::string actor) {
    auto changed = co_await db_.synced([id, priority, actor = std::move(actor)](tables& t) -> result<store::migration> {
        auto m = t.migrations.find(id);
        if (!m) return std::unexpected(std::move(m.error()));
        if (!*m) return missing("mailbox");
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        if (auto ok = t.migrations.set_priority(id, priority); !ok) return std::unexpected(std::move(ok.error()));
        auto told = t.events.add({.at = *now,
                                  .actor = actor,
                                  .kind = "mailbox.priority",
                                  .batch = (*m)->batch,
                                  .migration = id,
                                  .before = std::to_string((*m)->priority),
                                  .after = std::to_string(priority)});
        if (!told) return std::unexpected(std::move(told.error()));
        (*m)->priority = priority;
        return **m;
    });
    if (changed && woken_) woken_();
    co_return changed;
}

} // namespace postferry::jobs

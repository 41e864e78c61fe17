// One mailbox at work: its account, its passes, and what is kept of them.
#include "base/words.hpp"
#include "jobs/alias_search.hpp"
#include "jobs/batch_progress.hpp"
#include "jobs/decide.hpp"
#include "jobs/detail/running.hpp"
#include "jobs/hook.hpp"
#include "jobs/provision.hpp"
#include "store/refusal.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

namespace postferry::jobs {

namespace asio = boost::asio;
using detail::actor_of;
using store::mailbox_change;
using store::mailbox_state;
using store::tables;

namespace {

constexpr std::chrono::milliseconds progress_every{1'000};
constexpr std::size_t most_lines = 1'000; ///< of a mailbox, between two writes; more are counted, not kept

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

/// "bulk pass done: 120 messages on the source, 100 copied, 20 there already; perfect".
std::string words_of(transfer::pass_kind kind, const pass_end& end) {
    const store::message_counts& c = end.counts;
    std::string text = fmt::format("{} pass {}: {} messages on the source, {} copied, {} there already",
                                   transfer::name_of(kind), word_of(end.what), grouped(c.messages_source),
                                   grouped(c.messages_copied), grouped(c.messages_present));
    if (c.messages_skipped > 0) text += fmt::format(", {} skipped by rule", grouped(c.messages_skipped));
    if (c.messages_failed > 0) text += fmt::format(", {} failed", grouped(c.messages_failed));
    if (end.waived > 0) text += fmt::format(" ({} waived)", grouped(end.waived));
    if (!end.grade.empty()) text += "; " + end.grade;
    if (end.why) text += ". " + end.why->message();
    return text;
}

store::log_level level_of(const pass_end& end) noexcept {
    if (end.what == pass_end::how::failed) return store::log_level::error;
    return end.counts.messages_failed > end.waived ? store::log_level::warning : store::log_level::info;
}

/// What the end of a pass is stored from.
struct ending {
    store::record_id mailbox = 0, batch = 0, pass = 0;
    std::int64_t token = 0;
    transfer::pass_kind kind = transfer::pass_kind::bulk;
    batch_settings settings;
    pass_end end;
    std::string actor;
    std::optional<message::recipient_wish> searched = {};
};
struct ended {
    std::optional<transfer::pass_kind> go_on;
    store::migration mailbox;
    std::string aliases = {}; ///< a line about those that were found
};

result<ended> store_end(tables& t, const ending& e) {
    auto now = t.now();
    if (!now) return std::unexpected(std::move(now.error()));
    // Held until this is stored: who begins the cutover meanwhile comes behind, and finds the mailbox as it is then.
    auto batch = t.batches.hold(e.batch);
    if (!batch) return std::unexpected(std::move(batch.error()));
    auto mailbox = t.migrations.find(e.mailbox);
    if (!mailbox) return std::unexpected(std::move(mailbox.error()));
    if (!*mailbox) return store::refusal::refuse(store::refusal::missing, "The mailbox is gone");
    auto failures = failures_before(t, e.mailbox, e.settings.retries);
    if (!failures) return std::unexpected(std::move(failures.error()));
    const situation s{.mailbox = **mailbox,
                      .batch = *batch ? (*batch)->state : store::batch_state::stopped,
                      .settings = e.settings,
                      .kind = e.kind,
                      .failures_in_a_row = *failures + 1,
                      .now = *now};
    decision d = after_pass(s, e.end);
    d.change.actor = e.actor;
    d.change.token = e.token;
    d.change.from = (*mailbox)->version;
    if (auto ok = store::change_state(t, e.mailbox, d.change); !ok) return std::unexpected(std::move(ok.error()));
    const bool counted = e.end.what == pass_end::how::done && e.kind != transfer::pass_kind::verify;
    if (counted)
        if (auto ok = t.migrations.set_counts(e.mailbox, e.end.counts); !ok) return std::unexpected(ok.error());
    if (auto ok = t.migrations.add_pass(e.mailbox, e.end.grade.empty() ? (*mailbox)->grade : e.end.grade); !ok)
        return std::unexpected(std::move(ok.error()));
    auto closed = t.passes.end({.id = e.pass,
                                .migration = e.mailbox,
                                .kind = {},
                                .ended = *now,
                                .worker = {},
                                .outcome = std::string(word_of(e.end.what)),
                                .counts = e.end.counts,
                                .report = e.end.report});
    if (!closed) return std::unexpected(std::move(closed.error()));
    if (!d.go_on)
        if (auto ok = t.leases.release(e.mailbox, e.token); !ok) return std::unexpected(std::move(ok.error()));
    ended out{.go_on = d.go_on, .mailbox = {}};
    if (e.searched && e.end.recipients) {
        auto proposed = propose_aliases(t, **mailbox, *e.searched, *e.end.recipients);
        if (!proposed) return std::unexpected(std::move(proposed.error()));
        out.aliases = words_of(*proposed, *e.end.recipients);
    }
    auto after = t.migrations.find(e.mailbox);
    if (!after) return std::unexpected(std::move(after.error()));
    out.mailbox = after->value_or(**mailbox);
    return out;
}

} // namespace

task<result<store::record_id>> worker::begin_pass(running_ptr r) {
    struct begun_pass {
        store::record_id id = 0;
        alias_search search;
    };
    auto begun = co_await db_.write(
        [m = r->what.mailbox, settings = r->settings, worker = id_, kind = r->kind](tables& t) -> result<begun_pass> {
            auto now = t.now();
            if (!now) return std::unexpected(std::move(now.error()));
            auto search = alias_search_of(t, m, settings, kind);
            if (!search) return std::unexpected(std::move(search.error()));
            auto id = t.passes.begin({.migration = m.id,
                                      .kind = std::string(transfer::name_of(kind)),
                                      .started = *now,
                                      .worker = worker,
                                      .outcome = {},
                                      .report = {}});
            if (!id) return std::unexpected(std::move(id.error()));
            return begun_pass{.id = *id, .search = std::move(*search)};
        });
    if (!begun) co_return std::unexpected(std::move(begun.error()));
    r->recipients = std::move(begun->search.wish);
    if (!begun->search.why_not.empty()) hooks_of(r).on_line(store::log_level::warning, {}, begun->search.why_not);
    co_return begun->id;
}

task<result<std::optional<transfer::pass_kind>>> worker::end_pass(running_ptr r, store::record_id pass, pass_end end) {
    const ending e{.mailbox = r->what.mailbox.id,
                   .batch = r->what.mailbox.batch,
                   .pass = pass,
                   .token = r->what.hold.token,
                   .kind = r->kind,
                   .settings = r->settings,
                   .end = std::move(end),
                   .actor = actor_of(id_),
                   .searched = r->recipients};
    result<ended> done;
    // Somebody changed the mailbox in the very moment: what they did counts, and it is decided anew.
    for (int attempt = 0; attempt < 5; ++attempt) {
        done = co_await db_.synced([e](tables& t) { return store_end(t, e); });
        if (done || !store::refusal::is(done.error(), store::refusal::conflict)) break;
    }
    if (!done) co_return std::unexpected(std::move(done.error()));
    r->what.mailbox = std::move(done->mailbox);
    if (!done->aliases.empty()) {
        hooks_of(r).on_line(store::log_level::info, {}, done->aliases);
        co_await keep_lines(r);
    }
    co_return done->go_on;
}

namespace {

/// What the end of an account's making is, as the end of a pass.
pass_end as_pass(provision_end p) {
    pass_end end;
    end.what = p.what == provision_end::how::failed ? pass_end::how::failed : pass_end::how::stopped;
    end.why = std::move(p.why);
    return end;
}

} // namespace

/// Answers whether a pass comes next.
task<bool> worker::make_account(running_ptr r) {
    const executor line = asio::make_strand(pool_);
    work what{.mailbox = r->what.mailbox,
              .settings = r->settings,
              .kind = r->kind,
              .token = r->what.hold.token,
              .lease = r->lease,
              .connections = options_.connections};
    provision_end end = co_await asio::co_spawn(
        line, options_.accounts.make(std::move(what), actor_of(id_), r->stop.get_token()), asio::use_awaitable);
    const pass_hooks hooks = hooks_of(r);
    for (const std::string& note : end.notes) hooks.on_line(store::log_level::info, {}, note);
    co_await keep_lines(r);
    using how = provision_end::how;
    if (end.what == how::failed || end.what == how::stopped) {
        const auto pass = co_await begin_pass(r);
        if (pass) (void)co_await end_pass(r, *pass, as_pass(std::move(end)));
        co_return false;
    }
    if (end.what == how::done) co_await run_hook(r, mailbox_state::completed, {});
    auto changed =
        co_await db_.synced([id = r->what.mailbox.id, token = r->what.hold.token, done = end.what == how::done,
                             actor = actor_of(id_)](tables& t) -> result<store::migration> {
            auto m = store::change_state(
                t, id,
                {.to = done ? mailbox_state::completed : mailbox_state::discovering, .actor = actor, .token = token});
            if (m && done)
                if (auto ok = t.leases.release(id, token); !ok) return std::unexpected(std::move(ok.error()));
            return m;
        });
    if (!changed) {
        complain(changed.error());
        co_return false; // beat() lets go of it
    }
    r->what.mailbox = std::move(*changed);
    co_return end.what == how::go_on && !r->stop.stop_requested();
}

/// The pass that is due, and what follows at once. A failure of the store leaves the lease to lapse: whoever takes the
/// mailbox up next finds in the ledger how far this one came.
task<> worker::make_passes(running_ptr r) {
    if (!r->account_first || co_await make_account(r)) co_await pass_after_pass(r);
    if (auto ok = co_await settle_batch(db_, r->what.mailbox.batch, actor_of(id_)); !ok) complain(ok.error());
}

task<> worker::pass_after_pass(running_ptr r) {
    for (;;) {
        const auto pass = co_await begin_pass(r);
        if (!pass) co_return complain(pass.error());
        work what{.mailbox = r->what.mailbox,
                  .settings = r->settings,
                  .kind = r->kind,
                  .token = r->what.hold.token,
                  .lease = r->lease,
                  .connections = options_.connections,
                  .recipients = r->recipients};
        const executor line = asio::make_strand(pool_);
        const pass_hooks hooks = hooks_of(r);
        hooks.on_line(store::log_level::info, {}, fmt::format("{} pass begins", transfer::name_of(r->kind)));
        pass_end end = co_await asio::co_spawn(line, runner_.run(std::move(what), hooks, r->stop.get_token()),
                                               asio::use_awaitable);
        co_await keep_lines(r); // before the last one: it has room then
        hooks.on_line(level_of(end), {}, words_of(r->kind, end));
        co_await keep_lines(r);
        if (const auto becomes = r->kind == transfer::pass_kind::verify ? outcome_of_verify(end) : std::nullopt)
            co_await run_hook(r, *becomes, end.grade);
        const auto next = co_await end_pass(r, *pass, std::move(end));
        if (!next) co_return complain(next.error());
        if (!*next || r->stop.stop_requested()) co_return;
        r->kind = **next;
    }
}

/// Before the mailbox is completed, so that a process that dies in the middle runs it again rather than never.
task<> worker::run_hook(running_ptr r, mailbox_state becomes, std::string grade) {
    if (options_.hook == nullptr || r->settings.hook.command.empty() || r->stop.stop_requested()) co_return;
    if (!r->lease->stands()) co_return;
    const work what{.mailbox = r->what.mailbox,
                    .settings = r->settings,
                    .kind = r->kind,
                    .token = r->what.hold.token,
                    .lease = r->lease,
                    .connections = options_.connections};
    const hook_end end = co_await options_.hook->run(what, becomes, std::move(grade));
    const pass_hooks hooks = hooks_of(r);
    hooks.on_line(end.good ? store::log_level::info : store::log_level::warning, {}, end.text);
    co_await keep_lines(r);
    auto told = co_await db_.write([id = r->what.mailbox.id, batch = r->what.mailbox.batch, good = end.good,
                                    actor = actor_of(id_)](tables& t) -> result<store::record_id> {
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        return t.events.add({.at = *now,
                             .actor = actor,
                             .kind = "mailbox.hook",
                             .batch = batch,
                             .migration = id,
                             .after = good ? "done" : "failed"});
    });
    if (!told) complain(told.error());
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

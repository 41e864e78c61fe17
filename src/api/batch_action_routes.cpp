// What is done with a batch as a whole: started, paused, ended, put away.
#include "api/audit.hpp"
#include "api/batch_settings_edit.hpp"
#include "api/batch_view.hpp"
#include "api/routes.hpp"
#include "store/change_state.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

namespace postferry::api {

using jobs::command;
using store::tables;

namespace {

/// A draft is complete when somebody starts it.
task<result<void>> complete_draft(store::database& db, store::record_id id, std::string actor) {
    co_return co_await db.synced([id, actor = std::move(actor)](tables& t) -> result<void> {
        auto row = existing_batch(t, id);
        if (!row) return std::unexpected(std::move(row.error()));
        if (row->state != store::batch_state::draft) return {};
        auto some = t.migrations.ids({.batch = id}, {.limit = 1});
        if (!some) return std::unexpected(std::move(some.error()));
        if (some->rows.empty())
            return store::refusal::refuse(store::refusal::not_allowed, "The batch has no mailboxes yet",
                                          "Add some, or import a CSV into it");
        auto ready = store::change_state(t, id, store::batch_change{.to = store::batch_state::ready, .actor = actor});
        if (!ready) return std::unexpected(std::move(ready.error()));
        return {};
    });
}

/// Who has asked for it, what it did, and the batch as it is now.
task<result<shown_batch>> after_command(store::database& db, store::record_id id, command what,
                                        jobs::command_result done, std::string actor) {
    co_return co_await db.synced([id, what, done, actor = std::move(actor)](tables& t) -> result<shown_batch> {
        auto now = shown(t, id);
        if (!now) return now;
        auto kept = audit(t, actor,
                          {.what = fmt::format("batch.{}", jobs::name_of(what)),
                           .detail = {{"changed", done.changed}, {"left", done.left}},
                           .project = now->row.project,
                           .batch = id});
        if (!kept) return std::unexpected(std::move(kept.error()));
        return now;
    });
}

task<outcome<http::reply>> carry_out(route_parts with, command what, context& c) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    if (what == command::start)
        if (auto ok = co_await complete_draft(with.db, *id, c.who.actor); !ok) co_return refuse(ok.error());
    auto done = co_await with.commands.batch(*id, what, c.who.actor);
    if (!done) co_return refuse(done.error());
    auto now = co_await after_command(with.db, *id, what, *done, c.who.actor);
    if (!now) co_return refuse(now.error());
    co_return json_reply(
        boost::json::object{{"changed", done->changed}, {"left", done->left}, {"batch", std::move(now->view)}});
}

task<outcome<http::reply>> archive(route_parts with, context& c) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    auto now = co_await with.db.synced([id = *id, actor = c.who.actor](tables& t) -> result<shown_batch> {
        auto before = existing_batch(t, id);
        if (!before) return std::unexpected(std::move(before.error()));
        auto busy = t.migrations.ids({.batch = id, .states = store::running_states}, {.limit = 1});
        if (!busy) return std::unexpected(std::move(busy.error()));
        if (!busy->rows.empty())
            return store::refusal::refuse(store::refusal::not_allowed, "A worker is at work on the batch",
                                          "Pause it, and wait until it has stopped");
        // Without their credentials nothing could be run any more.
        auto after = store::change_state(
            t, id, store::batch_change{.to = store::batch_state::archived, .actor = actor, .reason = "archive"});
        if (!after) return std::unexpected(std::move(after.error()));
        auto kept = audit(t, actor, {.what = "batch.archive", .project = after->project, .batch = id});
        if (!kept) return std::unexpected(std::move(kept.error()));
        return shown(t, std::move(*after));
    });
    if (!now) co_return refuse(now.error());
    co_return versioned_reply(std::move(now->view), now->row.version);
}

task<outcome<http::reply>> purge_credentials(route_parts with, context& c) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    auto gone = co_await with.db.synced([id = *id, actor = c.who.actor](tables& t) -> result<void> {
        auto row = existing_batch(t, id);
        if (!row) return std::unexpected(std::move(row.error()));
        auto count = t.credentials.remove_of_batch(id);
        if (!count) return std::unexpected(std::move(count.error()));
        return audit(t, actor,
                     {.what = "batch.purge_credentials",
                      .detail = {{"credentials", *count}},
                      .project = row->project,
                      .batch = id});
    });
    if (!gone) co_return refuse(gone.error());
    co_return http::reply::empty();
}

} // namespace

void add_batch_action_routes(router& to, route_parts with) {
    static constexpr std::array<std::pair<command, std::string_view>, 6> actions{
        {{command::start, "/batches/{batch}/start"},
         {command::pause, "/batches/{batch}/pause"},
         {command::resume, "/batches/{batch}/resume"},
         {command::cancel, "/batches/{batch}/cancel"},
         {command::retry, "/batches/{batch}/retry"},
         {command::finish, "/batches/{batch}/finish"}}};
    for (const auto& [what, pattern] : actions)
        to.add(
            {.verb = http::method::post, .pattern = pattern, .needs = access::operate, .run = [with, what](context& c) {
                 return carry_out(with, what, c);
             }});
    to.add({.verb = http::method::post,
            .pattern = "/batches/{batch}/archive",
            .needs = access::operate,
            .run = [with](context& c) { return archive(with, c); }});
    to.add({.verb = http::method::del,
            .pattern = "/batches/{batch}/credentials",
            .needs = access::admin,
            .run = [with](context& c) { return purge_credentials(with, c); }});
}

} // namespace postferry::api

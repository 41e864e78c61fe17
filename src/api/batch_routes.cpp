// Batches: listed, made, shown, edited, deleted. What is done with them: batch_action_routes.cpp.
#include "api/audit.hpp"
#include "api/batch_settings_edit.hpp"
#include "api/batch_view.hpp"
#include "api/listing.hpp"
#include "api/routes.hpp"
#include "jobs/opening.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

namespace postferry::api {

using store::batch;
using store::tables;

namespace {

outcome<store::batch_filter> filter_of(const context& c) {
    store::batch_filter f;
    auto project = c.query_id("project");
    if (!project) return std::unexpected(std::move(project.error()));
    f.project = *project;
    auto states = states_in<store::batch_state>(c);
    if (!states) return std::unexpected(std::move(states.error()));
    f.states = *states;
    f.name_contains = c.query("name").value_or("").substr(0, 200);
    return f;
}

task<outcome<http::reply>> list_batches(route_parts with, context& c) {
    auto filter = filter_of(c);
    if (!filter) co_return std::unexpected(std::move(filter.error()));
    auto page = c.page();
    if (!page) co_return std::unexpected(std::move(page.error()));
    struct found {
        boost::json::array items;
        std::optional<store::record_id> next;
    };
    auto rows = co_await with.db.read([f = *filter, p = *page](tables& t) -> result<found> {
        auto batches = t.batches.list(f, {.after = p.after, .limit = p.limit, .newest_first = true});
        if (!batches) return std::unexpected(std::move(batches.error()));
        auto views = batch_views(t, batches->rows);
        if (!views) return std::unexpected(std::move(views.error()));
        return found{.items = std::move(*views),
                     .next = batches->more ? std::optional(batches->rows.back().id) : std::nullopt};
    });
    if (!rows) co_return refuse(rows.error());
    co_return page_reply(std::move(rows->items), rows->next);
}

task<outcome<http::reply>> show_batch(route_parts with, context& c) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    auto row = co_await with.db.read([id = *id](tables& t) { return shown(t, id); });
    if (!row) co_return refuse(row.error());
    co_return versioned_reply(std::move(row->view), row->row.version);
}

/// What a body says of a batch. A member that is not there says nothing.
struct batch_words {
    std::optional<std::string> name = {};
    std::optional<store::batch_mode> mode = {};
    std::optional<store::record_id> project = {};
    boost::json::object settings = {}; ///< to be merged into what is set
    bool has_start = false;
    std::optional<store::unix_ms> start_at = {};
};

outcome<batch_words> words_in(context& c, bool of_new) {
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    batch_words w;
    if (of_new) {
        body.required("name");
        w.project = body.integer("project", 1, INT64_MAX).value_or(store::default_project);
    }
    w.name = body.text("name", {.least = 1, .most = 200});
    if (const auto mode = body.word("mode", store::words_of<store::batch_mode>))
        w.mode = static_cast<store::batch_mode>(*mode);
    w.has_start = body.has("start_at");
    w.start_at = body.moment("start_at");
    const auto settings = body.object("settings");
    body.done();
    if (settings) w.settings = c.body.at("settings").as_object();
    if (!faults.empty()) return invalid(std::move(faults));
    // A program of the service's own user, with passwords in its hand if it wants.
    if (w.settings.contains("hook") && c.who.most < access::admin)
        return refuse(403, "settings.hook names a program that the service will run; that is for admins");
    return w;
}

task<outcome<http::reply>> add_batch(route_parts with, context& c) {
    auto words = words_in(c, true);
    if (!words) co_return std::unexpected(std::move(words.error()));
    using answer = outcome<shown_batch>;
    auto added = co_await with.db.synced([w = *words, actor = c.who.actor](tables& t) -> result<answer> {
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        auto project = t.settings.find_project(*w.project);
        if (!project) return std::unexpected(std::move(project.error()));
        if (!*project) return answer(invalid("/project", "there is no such project"));
        auto settings = settings_for_new(t, *w.project, w.settings);
        if (!settings) return std::unexpected(std::move(settings.error()));
        if (!*settings) return answer(std::unexpected(std::move(settings->error())));
        auto row = t.batches.add({.project = *w.project,
                                  .name = *w.name,
                                  .mode = w.mode.value_or(store::batch_mode::messages_only),
                                  .settings = **settings,
                                  .start_at = w.start_at,
                                  .created = *now,
                                  .created_by = actor});
        if (!row) return std::unexpected(std::move(row.error()));
        auto made = shown(t, std::move(*row));
        if (!made) return std::unexpected(std::move(made.error()));
        auto kept = audit(
            t, actor,
            {.what = "batch.create", .after = audited(made->row), .project = made->row.project, .batch = made->row.id});
        if (!kept) return std::unexpected(std::move(kept.error()));
        return answer(std::move(*made));
    });
    if (!added) co_return refuse(added.error());
    if (!*added) co_return std::unexpected(std::move(added->error()));
    const batch& row = (*added)->row;
    co_return created_reply(std::move((*added)->view), row.version, fmt::format("/api/v1/batches/{}", row.id));
}

/// The change in one transaction; a refusal that names fields is an answer, not a failure.
result<outcome<shown_batch>> change_batch(tables& t, edited_row at, const batch_words& w, const std::string& actor) {
    using answer = outcome<shown_batch>;
    auto before = existing_batch(t, at.id);
    if (!before) return std::unexpected(std::move(before.error()));
    if (before->state == store::batch_state::archived)
        return store::refusal::refuse(store::refusal::not_allowed, "An archived batch cannot be changed");
    if (w.mode && *w.mode != before->mode && before->state != store::batch_state::draft)
        return store::refusal::refuse(store::refusal::not_allowed,
                                      "The mode of a batch can be changed in a draft only");
    batch after = *before;
    after.version = at.from;
    if (w.name) after.name = *w.name;
    if (w.mode) after.mode = *w.mode;
    if (w.has_start) after.start_at = w.start_at;
    auto settings = merged_settings(before->settings, w.settings);
    if (!settings) return answer(std::unexpected(std::move(settings.error())));
    after.settings = std::move(*settings);
    auto row = t.batches.update(after);
    if (!row) return std::unexpected(std::move(row.error()));
    if (auto ok = jobs::follow_hours(t, *before, *row); !ok) return std::unexpected(std::move(ok.error()));
    auto now = shown(t, std::move(*row));
    if (!now) return std::unexpected(std::move(now.error()));
    auto kept = audit(t, actor,
                      {.what = "batch.update",
                       .before = audited(*before),
                       .after = audited(now->row),
                       .project = before->project,
                       .batch = at.id});
    if (!kept) return std::unexpected(std::move(kept.error()));
    return answer(std::move(*now));
}

task<outcome<http::reply>> edit_batch(route_parts with, context& c) {
    auto at = c.edited();
    if (!at) co_return std::unexpected(std::move(at.error()));
    auto words = words_in(c, false);
    if (!words) co_return std::unexpected(std::move(words.error()));
    auto stored = co_await with.db.synced(
        [at = *at, w = *words, actor = c.who.actor](tables& t) { return change_batch(t, at, w, actor); });
    if (!stored) co_return refuse(stored.error());
    if (!*stored) co_return std::unexpected(std::move(stored->error()));
    const store::row_version version = (*stored)->row.version;
    co_return versioned_reply(std::move((*stored)->view), version);
}

/// Mailboxes in bites: a draft may hold a hundred thousand of them.
task<result<bool>> empty_a_bite(store::database& db, edited_row at) {
    constexpr int bite = 200;
    co_return co_await db.write([at](tables& t) -> result<bool> {
        auto row = t.batches.keep(at.id);
        if (!row) return std::unexpected(std::move(row.error()));
        if (!*row) return store::refusal::refuse(store::refusal::missing, "There is no such batch");
        if ((*row)->version != at.from)
            return store::refusal::refuse(store::refusal::conflict, "The batch has been changed by somebody else");
        if ((*row)->state != store::batch_state::draft)
            return store::refusal::refuse(store::refusal::not_allowed,
                                          "Only a draft can be deleted; archive what has moved mail");
        auto ids = t.migrations.ids({.batch = at.id}, {.limit = bite});
        if (!ids) return std::unexpected(std::move(ids.error()));
        for (const store::record_id id : ids->rows)
            if (auto gone = t.migrations.remove(id); !gone) return std::unexpected(std::move(gone.error()));
        return ids->more;
    });
}

task<outcome<http::reply>> remove_batch(route_parts with, context& c) {
    auto at = c.edited();
    if (!at) co_return std::unexpected(std::move(at.error()));
    for (bool more = true; more;) {
        auto done = co_await empty_a_bite(with.db, *at);
        if (!done) co_return refuse(done.error());
        more = *done;
    }
    auto gone = co_await with.db.synced([at = *at, actor = c.who.actor](tables& t) -> result<void> {
        auto before = existing_batch(t, at.id);
        if (!before) return std::unexpected(std::move(before.error()));
        if (auto ok = t.batches.remove(at.id, at.from); !ok) return ok;
        return audit(t, actor,
                     {.what = "batch.delete", .before = audited(*before), .project = before->project, .batch = at.id});
    });
    if (!gone) co_return refuse(gone.error());
    co_return http::reply::empty();
}

} // namespace

void add_batch_routes(router& to, route_parts with) {
    const route_adder add{.to = to, .bound = {with}};
    using http::method;
    constexpr auto json = route::takes::json;
    add(method::get, "/batches", access::read, list_batches);
    add(method::post, "/batches", access::operate, add_batch, json);
    add(method::get, "/batches/{batch}", access::read, show_batch);
    add(method::patch, "/batches/{batch}", access::operate, edit_batch, json);
    add(method::del, "/batches/{batch}", access::operate, remove_batch);
}

} // namespace postferry::api

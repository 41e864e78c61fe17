// Projects: what batches and domains are grouped by.
#include "api/audit.hpp"
#include "api/listing.hpp"
#include "api/routes.hpp"
#include "api/views.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

namespace postferry::api {

using store::project;
using store::tables;

namespace {

outcome<std::string> name_in(context& c) {
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    auto name = body.required("name").text("name", {.least = 1, .most = 200});
    body.done();
    if (!faults.empty()) return invalid(std::move(faults));
    return std::move(*name);
}

task<outcome<http::reply>> list_projects(route_parts with, context& c) {
    return list(with.db, c, [](tables& t, const store::paging& p) { return t.settings.projects(p); });
}

task<outcome<http::reply>> show_project(route_parts with, context& c) {
    return show(with.db, c, [](tables& t, store::record_id id) { return t.settings.find_project(id); });
}

task<outcome<http::reply>> add_project(route_parts with, context& c) {
    auto name = name_in(c);
    if (!name) co_return std::unexpected(std::move(name.error()));
    auto added = co_await with.db.synced([name = *name, actor = c.who.actor](tables& t) -> result<project> {
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        auto made = t.settings.add_project(name, *now);
        if (!made) return made;
        auto kept = audit(t, actor, {.what = "project.create", .after = view_of(*made), .project = made->id});
        if (!kept) return std::unexpected(std::move(kept.error()));
        return made;
    });
    if (!added) co_return refuse(added.error());
    co_return created_reply(view_of(*added), added->version, fmt::format("/api/v1/projects/{}", added->id));
}

result<project> existing(tables& t, store::record_id id) {
    auto row = t.settings.find_project(id);
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return store::refusal::refuse(store::refusal::missing, "There is no such project");
    return std::move(**row);
}

task<outcome<http::reply>> rename_project(route_parts with, context& c) {
    auto at = c.edited();
    if (!at) co_return std::unexpected(std::move(at.error()));
    auto name = name_in(c);
    if (!name) co_return std::unexpected(std::move(name.error()));
    auto stored = co_await with.db.synced([at = *at, name = *name, actor = c.who.actor](tables& t) -> result<project> {
        auto before = existing(t, at.id);
        if (!before) return before;
        project after = *before;
        after.name = name;
        after.version = at.from;
        auto row = t.settings.rename_project(after);
        if (!row) return row;
        auto kept = audit(
            t, actor, {.what = "project.update", .before = view_of(*before), .after = view_of(*row), .project = at.id});
        if (!kept) return std::unexpected(std::move(kept.error()));
        return row;
    });
    if (!stored) co_return refuse(stored.error());
    co_return versioned_reply(view_of(*stored), stored->version);
}

task<outcome<http::reply>> remove_project(route_parts with, context& c) {
    auto at = c.edited();
    if (!at) co_return std::unexpected(std::move(at.error()));
    auto gone = co_await with.db.synced([at = *at, actor = c.who.actor](tables& t) -> result<void> {
        auto before = existing(t, at.id);
        if (!before) return std::unexpected(std::move(before.error()));
        if (auto ok = t.settings.remove_project(at.id, at.from); !ok) return ok;
        return audit(t, actor, {.what = "project.delete", .before = view_of(*before), .project = at.id});
    });
    if (!gone) co_return refuse(gone.error());
    co_return http::reply::empty();
}

} // namespace

void add_project_routes(router& to, route_parts with) {
    const route_adder add{.to = to, .bound = {with}};
    using http::method;
    constexpr auto json = route::takes::json;
    add(method::get, "/projects", access::read, list_projects);
    add(method::post, "/projects", access::admin, add_project, json);
    add(method::get, "/projects/{project}", access::read, show_project);
    add(method::patch, "/projects/{project}", access::admin, rename_project, json);
    add(method::del, "/projects/{project}", access::admin, remove_project);
}

} // namespace postferry::api

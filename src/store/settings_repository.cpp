#include "store/settings_repository.hpp"

#include "store/detail/rows.hpp"

namespace postferry::store {

using detail::one;
using detail::pass_on;
using detail::text;

namespace {

project read_project(const sql::query& q) {
    return {
        .id = q.get<record_id>(0), .name = text(q, 1), .created = q.get<unix_ms>(2), .version = q.get<row_version>(3)};
}

setting read_setting(const sql::query& q) {
    return {.scope = text(q, 0), .name = text(q, 1), .value = text(q, 2), .version = q.get<row_version>(3)};
}

} // namespace

result<project> settings_repository::add_project(const std::string& name, unix_ms now) {
    return detail::or_refuse(one(db_,
                                 "INSERT INTO project (name, created) VALUES ($1, $2) ON CONFLICT DO NOTHING "
                                 "RETURNING id, name, created, version",
                                 read_project, name, now),
                             refusal::duplicate, fmt::format("there is a project \"{}\" already", name));
}

result<std::optional<project>> settings_repository::find_project(record_id id) {
    return one(db_, "SELECT id, name, created, version FROM project WHERE id = $1", read_project, id);
}

result<slice<project>> settings_repository::projects(const paging& page) {
    return detail::selection("SELECT id, name, created, version FROM project").page(db_, page, "id", read_project);
}

result<project> settings_repository::rename_project(const project& p) {
    auto namesake = detail::number(db_, "SELECT id FROM project WHERE name = $1", p.name);
    if (!namesake) return pass_on(namesake);
    if (*namesake != 0 && *namesake != p.id)
        return refusal::refuse(refusal::duplicate, fmt::format("there is a project \"{}\" already", p.name));
    auto stored = one(db_,
                      "UPDATE project SET name = $1, version = version + 1 WHERE id = $2 AND version = $3 RETURNING "
                      "id, name, created, version",
                      read_project, p.name, p.id, p.version);
    if (!stored) return pass_on(stored);
    if (!*stored) return detail::missing_or_changed(db_, "project", "SELECT count(*) FROM project WHERE id = $1", p.id);
    return std::move(**stored);
}

result<void> settings_repository::remove_project(record_id id, row_version from) {
    if (id == default_project)
        return refusal::refuse(refusal::not_allowed, "the default project is always there; it can be renamed");
    auto inside = detail::number(db_,
                                 "SELECT (SELECT count(*) FROM batch WHERE project = $1) + (SELECT count(*) FROM "
                                 "domain WHERE project = $2)",
                                 id, id);
    if (!inside) return pass_on(inside);
    if (*inside > 0)
        return refusal::refuse(refusal::not_allowed, "the project has batches or domains",
                               "Delete its domains and drafts first; what has moved mail cannot be deleted");
    auto gone = detail::run(db_, "DELETE FROM project WHERE id = $1 AND version = $2", id, from);
    if (!gone) return pass_on(gone);
    if (*gone == 0) return detail::missing_or_changed(db_, "project", "SELECT count(*) FROM project WHERE id = $1", id);
    return remove_all(fmt::format("project/{}", id));
}

result<std::optional<setting>> settings_repository::find(const std::string& scope, const std::string& name) {
    return one(db_, "SELECT scope, name, value, version FROM setting WHERE scope = $1 AND name = $2", read_setting,
               scope, name);
}

result<std::vector<setting>> settings_repository::all(const std::string& scope) {
    std::vector<setting> out;
    auto done = detail::each_row(
        db_, "SELECT scope, name, value, version FROM setting WHERE scope = $1 ORDER BY name",
        [&](const sql::query& q) { out.push_back(read_setting(q)); }, scope);
    if (!done) return pass_on(done);
    return out;
}

result<setting> settings_repository::put(const std::string& scope, const std::string& name, const json_text& value,
                                         std::optional<row_version> from) {
    result<std::optional<setting>> stored;
    if (!from)
        stored = one(db_,
                     "INSERT INTO setting (scope, name, value) VALUES ($1, $2, $3) ON CONFLICT (scope, name) DO UPDATE "
                     "SET value = excluded.value, version = setting.version + 1 RETURNING scope, name, value, version",
                     read_setting, scope, name, value);
    else if (*from == 0)
        stored = one(db_,
                     "INSERT INTO setting (scope, name, value) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING "
                     "RETURNING scope, name, value, version",
                     read_setting, scope, name, value);
    else
        stored = one(db_,
                     "UPDATE setting SET value = $1, version = version + 1 WHERE scope = $2 AND name = $3 AND "
                     "version = $4 RETURNING scope, name, value, version",
                     read_setting, value, scope, name, *from);
    return detail::or_refuse(std::move(stored), refusal::conflict, "the setting has been changed by somebody else");
}

result<bool> settings_repository::remove(const std::string& scope, const std::string& name) {
    auto gone = detail::run(db_, "DELETE FROM setting WHERE scope = $1 AND name = $2", scope, name);
    if (!gone) return pass_on(gone);
    return *gone > 0;
}

result<void> settings_repository::remove_all(const std::string& scope) {
    auto gone = detail::run(db_, "DELETE FROM setting WHERE scope = $1", scope);
    if (!gone) return pass_on(gone);
    return {};
}

} // namespace postferry::store

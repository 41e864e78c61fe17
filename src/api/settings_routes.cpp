// Settings of the company and of projects: what new things begin with.
#include "api/audit.hpp"
#include "api/batch_settings_edit.hpp"
#include "api/routes.hpp"
#include "api/views.hpp"
#include "store/refusal.hpp"

namespace postferry::api {

namespace json = boost::json;
using store::setting;
using store::tables;

namespace {

struct place {
    std::string scope;
    std::optional<store::record_id> project;
    std::string name;
};

outcome<place> place_in(const context& c, bool with_name) {
    auto project = c.query_id("project");
    if (!project) return std::unexpected(std::move(project.error()));
    place p{.scope = setting_scope(*project), .project = *project, .name = {}};
    if (!with_name) return p;
    p.name = c.parameters.at(0);
    if (p.name != batch_setting) return refuse(404, "There is no such setting");
    return p;
}

json::object shown(const place& p, std::string_view name, const json::value& value) {
    json::object view{{"project", nullptr}, {"name", name}, {"value", value}};
    if (p.project) view["project"] = *p.project;
    return view;
}

http::reply reply_of(const place& p, const std::optional<setting>& s) {
    return versioned_reply(shown(p, p.name, s ? parsed(s->value) : json::value()), s ? s->version : 0);
}

result<void> project_must_exist(tables& t, const place& p) {
    if (!p.project) return {};
    auto row = t.settings.find_project(*p.project);
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return store::refusal::refuse(store::refusal::missing, "There is no such project");
    return {};
}

task<outcome<http::reply>> list_settings(route_parts with, context& c) {
    auto p = place_in(c, false);
    if (!p) co_return std::unexpected(std::move(p.error()));
    auto all = co_await with.db.read([p = *p](tables& t) -> result<std::vector<setting>> {
        if (auto ok = project_must_exist(t, p); !ok) return std::unexpected(std::move(ok.error()));
        return t.settings.all(p.scope);
    });
    if (!all) co_return refuse(all.error());
    json::array items;
    for (const setting& s : *all)
        if (s.name == batch_setting) items.push_back(shown(*p, s.name, parsed(s.value)));
    co_return json_reply(json::object{{"items", std::move(items)}});
}

task<outcome<http::reply>> show_setting(route_parts with, context& c) {
    auto p = place_in(c, true);
    if (!p) co_return std::unexpected(std::move(p.error()));
    auto row = co_await with.db.read([p = *p](tables& t) -> result<std::optional<setting>> {
        if (auto ok = project_must_exist(t, p); !ok) return std::unexpected(std::move(ok.error()));
        return t.settings.find(p.scope, p.name);
    });
    if (!row) co_return refuse(row.error());
    co_return reply_of(*p, *row);
}

task<outcome<http::reply>> put_setting(route_parts with, context& c) {
    auto p = place_in(c, true);
    if (!p) co_return std::unexpected(std::move(p.error()));
    auto from = c.if_match();
    if (!from) co_return std::unexpected(std::move(from.error()));
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    auto value = body.required("value").object("value");
    if (value) (void)jobs::read_settings(std::move(*value));
    body.done();
    if (!faults.empty()) co_return invalid(std::move(faults));
    // As it was given: what it does not name is left to the company, or to the default.
    auto stored = co_await with.db.synced([p = *p, from = *from, text = json::serialize(c.body.at("value")),
                                           actor = c.who.actor](tables& t) -> result<setting> {
        if (auto ok = project_must_exist(t, p); !ok) return std::unexpected(std::move(ok.error()));
        auto before = t.settings.find(p.scope, p.name);
        if (!before) return std::unexpected(std::move(before.error()));
        auto row = t.settings.put(p.scope, p.name, text, from);
        if (!row) return row;
        auto kept = audit(t, actor,
                          {.what = "setting.update",
                           .before = *before ? parsed((*before)->value) : json::value(),
                           .after = parsed(row->value),
                           .detail = {{"scope", p.scope}, {"name", p.name}},
                           .project = p.project});
        if (!kept) return std::unexpected(std::move(kept.error()));
        return row;
    });
    if (!stored) co_return refuse(stored.error());
    co_return reply_of(*p, *stored);
}

task<outcome<http::reply>> remove_setting(route_parts with, context& c) {
    auto p = place_in(c, true);
    if (!p) co_return std::unexpected(std::move(p.error()));
    auto from = c.if_match();
    if (!from) co_return std::unexpected(std::move(from.error()));
    auto gone = co_await with.db.synced([p = *p, from = *from, actor = c.who.actor](tables& t) -> result<void> {
        auto before = t.settings.find(p.scope, p.name);
        if (!before) return std::unexpected(std::move(before.error()));
        if (!*before) return store::refusal::refuse(store::refusal::missing, "The setting is not set");
        // Written once more at that version: nobody has changed it, and nobody does before it goes.
        if (auto same = t.settings.put(p.scope, p.name, (*before)->value, from); !same)
            return std::unexpected(std::move(same.error()));
        if (auto ok = t.settings.remove(p.scope, p.name); !ok) return std::unexpected(std::move(ok.error()));
        return audit(t, actor,
                     {.what = "setting.delete",
                      .before = parsed((*before)->value),
                      .detail = {{"scope", p.scope}, {"name", p.name}},
                      .project = p.project});
    });
    if (!gone) co_return refuse(gone.error());
    co_return http::reply::empty();
}

} // namespace

void add_settings_routes(router& to, route_parts with) {
    const route_adder add{.to = to, .bound = {with}};
    using http::method;
    add(method::get, "/settings", access::read, list_settings);
    add(method::get, "/settings/{setting}", access::read, show_setting);
    add(method::put, "/settings/{setting}", access::admin, put_setting, route::takes::json);
    add(method::del, "/settings/{setting}", access::admin, remove_setting);
}

} // namespace postferry::api

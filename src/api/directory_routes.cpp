// The company's defaults, and domains with what they have set for themselves.
#include "api/directory_parts.hpp"

#include <fmt/format.h>

namespace postferry::api {

namespace json = boost::json;
using store::domain;
using store::record_id;
using store::tables;

std::unexpected<problem> refuse_driver(const error& why) {
    if (directory::is_exists(why) || directory::is_missing(why)) return refuse(409, why.message());
    if (why.cls == retry_class::config && why.response_code.empty()) return refuse(409, why.message());
    return refuse(why);
}

std::unexpected<problem> refuse_no_directory() { return refuse(404, "This service makes no accounts"); }

namespace {

json::object company_view(const directory::domain_settings& s) { return {{"domains", jobs::json_of(s)}}; }

task<outcome<http::reply>> show_company(route_parts with, context&) {
    auto row = co_await with.db.read([](tables& t) {
        return t.settings.find(std::string(jobs::company_scope), std::string(jobs::company_defaults));
    });
    if (!row) co_return refuse(row.error());
    auto s = jobs::parse_domain_settings(*row ? (*row)->value : "{}");
    if (!s) co_return refuse(s.error());
    co_return versioned_reply(company_view(*s), *row ? (*row)->version : 0);
}

task<outcome<http::reply>> put_company(route_parts with, context& c) {
    auto from = c.if_match();
    if (!from) co_return std::unexpected(std::move(from.error()));
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    directory::domain_settings s;
    if (auto of = body.required("domains").object("domains")) s = jobs::read_domain_settings(std::move(*of));
    body.done();
    if (!faults.empty()) co_return invalid(std::move(faults));
    auto stored = co_await with.db.synced([s, from = *from, actor = c.who.actor](tables& t) -> result<store::setting> {
        auto before = jobs::company_settings(t);
        if (!before) return std::unexpected(std::move(before.error()));
        auto row = t.settings.put(std::string(jobs::company_scope), std::string(jobs::company_defaults),
                                  json::serialize(jobs::json_of(s)), from);
        if (!row) return row;
        auto kept =
            audit(t, actor, {.what = "company.update", .before = company_view(*before), .after = company_view(s)});
        if (!kept) return std::unexpected(std::move(kept.error()));
        return row;
    });
    if (!stored) co_return refuse(stored.error());
    co_return versioned_reply(company_view(s), stored->version);
}

task<outcome<http::reply>> list_drivers(route_parts with, context&) {
    json::array names;
    if (with.directory != nullptr)
        for (const std::string& name : with.directory->drivers().names()) names.emplace_back(name);
    co_return json_reply(json::object{{"items", std::move(names)}});
}

task<outcome<http::reply>> list_domains(route_parts with, context& c) {
    auto project = c.query_id("project");
    if (!project) co_return std::unexpected(std::move(project.error()));
    const auto name = c.query("name");
    co_return co_await list(with.db, c,
                            [project = *project, name = name ? std::optional(std::string(*name)) : std::nullopt](
                                tables& t, const store::paging& p) -> result<store::slice<domain>> {
                                if (!name) return t.directory.domains(project, p);
                                auto one = t.directory.find_domain(project.value_or(store::default_project), *name);
                                if (!one) return std::unexpected(std::move(one.error()));
                                store::slice<domain> out;
                                if (*one && (*one)->id > p.after) out.rows.push_back(std::move(**one));
                                return out;
                            });
}

task<outcome<http::reply>> show_domain(route_parts with, context& c) {
    return show(with.db, c, [](tables& t, record_id id) { return t.directory.find_domain(id); });
}

task<outcome<http::reply>> add_domain(route_parts with, context& c) {
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    domain d;
    d.project = body.integer("project", 1, std::numeric_limits<std::int64_t>::max()).value_or(store::default_project);
    const auto name = body.required("name").text("name", {.least = 1, .most = 255});
    if (name) {
        auto parsed_name = directory::domain_name::parse(*name);
        if (parsed_name)
            d.name = parsed_name->text();
        else
            body.fault("name", parsed_name.error().what);
        d.display = body.text("display", {.most = 255}).value_or(*name);
    }
    if (auto of = body.object("overrides"))
        d.overrides = json::serialize(jobs::json_of(jobs::read_domain_settings(std::move(*of))));
    body.done();
    if (!faults.empty()) co_return invalid(std::move(faults));
    auto added = co_await with.db.synced([d, actor = c.who.actor](tables& t) -> result<domain> {
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        if (auto project = or_missing(t.settings.find_project(d.project), "project"); !project)
            return std::unexpected(std::move(project.error()));
        domain row = d;
        row.created = *now;
        auto made = t.directory.add(row);
        if (!made) return made;
        auto kept = audit(t, actor,
                          {.what = "domain.create",
                           .after = view_of(*made),
                           .detail = {{"domain", made->id}},
                           .project = made->project});
        if (!kept) return std::unexpected(std::move(kept.error()));
        return made;
    });
    if (!added) co_return refuse(added.error());
    co_return created_reply(view_of(*added), added->version, fmt::format("/api/v1/domains/{}", added->id));
}

/// `change(domain&)` in one transaction with its audit.
template <class Change>
task<result<domain>> change_domain(store::database& db, record_id id, std::string actor, std::string what,
                                   Change change) {
    co_return co_await db.synced([id, actor, what, change](tables& t) -> result<domain> {
        auto before = or_missing(t.directory.find_domain(id), "domain");
        if (!before) return before;
        domain after = *before;
        change(after);
        auto row = t.directory.update(after);
        if (!row) return row;
        auto kept = audit(t, actor,
                          {.what = what,
                           .before = view_of(*before),
                           .after = view_of(*row),
                           .detail = {{"domain", id}},
                           .project = row->project});
        if (!kept) return std::unexpected(std::move(kept.error()));
        return row;
    });
}

task<outcome<http::reply>> edit_domain(route_parts with, context& c) {
    auto at = c.edited();
    if (!at) co_return std::unexpected(std::move(at.error()));
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    const auto display = body.text("display", {.most = 255});
    std::optional<std::string> overrides;
    if (auto of = body.object("overrides"))
        overrides = json::serialize(jobs::json_of(jobs::read_domain_settings(std::move(*of))));
    body.done();
    if (!faults.empty()) co_return invalid(std::move(faults));
    auto stored = co_await change_domain(with.db, at->id, c.who.actor, "domain.update",
                                         [display, overrides, from = at->from](domain& d) {
                                             d.version = from;
                                             if (display) d.display = *display;
                                             if (overrides) d.overrides = *overrides;
                                         });
    if (!stored) co_return refuse(stored.error());
    co_return versioned_reply(view_of(*stored), stored->version);
}

task<outcome<http::reply>> remove_domain(route_parts with, context& c) {
    auto at = c.edited();
    if (!at) co_return std::unexpected(std::move(at.error()));
    auto gone = co_await with.db.synced([at = *at, actor = c.who.actor](tables& t) -> result<void> {
        auto before = or_missing(t.directory.find_domain(at.id), "domain");
        if (!before) return std::unexpected(std::move(before.error()));
        auto removed = t.directory.remove_domain(at.id, at.from);
        if (!removed) return std::unexpected(std::move(removed.error()));
        return audit(t, actor,
                     {.what = "domain.delete",
                      .before = view_of(*before),
                      .detail = {{"domain", at.id}},
                      .project = before->project});
    });
    if (!gone) co_return refuse(gone.error());
    co_return http::reply::empty();
}

struct freeze_wish {
    bool provisioning = false, passwords = false, retry = false;
};

outcome<freeze_wish> read_freeze(context& c, bool frozen) {
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    freeze_wish w;
    w.provisioning = body.flag("provisioning").value_or(false);
    w.passwords = body.flag("password_changes").value_or(false);
    w.retry = body.flag("retry").value_or(false);
    if (frozen && w.retry) body.fault("retry", "means something to unfreeze only");
    if (!w.provisioning && !w.passwords) body.fault("provisioning", "or password_changes must be true");
    body.done();
    if (!faults.empty()) return invalid(std::move(faults));
    return w;
}

/// Those that the freeze has stopped are queued again.
task<result<void>> retry_frozen(route_parts with, const std::string& name, freeze_wish w, std::string actor) {
    std::vector<std::string> words;
    if (w.provisioning) words.push_back(jobs::frozen_words(jobs::freeze_kind::provisioning, name));
    if (w.passwords) words.push_back(jobs::frozen_words(jobs::freeze_kind::passwords, name));
    record_id after = 0;
    for (bool more = true; more;) {
        auto page = co_await with.db.read([after](tables& t) {
            return t.migrations.list({.states = {store::mailbox_state::failed}}, {.after = after, .limit = 1'000});
        });
        if (!page) co_return std::unexpected(std::move(page.error()));
        for (const store::migration& m : page->rows) {
            after = m.id;
            if (std::ranges::none_of(words, [&](const std::string& s) { return m.reason.starts_with(s); })) continue;
            auto queued = co_await with.commands.mailbox(m.id, jobs::command::retry, actor);
            if (!queued && !store::refusal::is(queued.error(), store::refusal::not_allowed))
                co_return std::unexpected(std::move(queued.error()));
        }
        more = page->more;
    }
    co_return result<void>{};
}

task<outcome<http::reply>> freeze(route_parts with, context& c, bool frozen) {
    if (with.directory == nullptr) co_return refuse_no_directory();
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    auto row =
        co_await with.db.read([id = *id](tables& t) { return or_missing(t.directory.find_domain(id), "domain"); });
    if (!row) co_return refuse(row.error());
    auto wish = read_freeze(c, frozen);
    if (!wish) co_return std::unexpected(std::move(wish.error()));
    const auto hooks = [&]() -> task<result<void>> {
        result<void> done;
        for (const auto& [wanted, kind] : {std::pair{wish->provisioning, jobs::freeze_kind::provisioning},
                                           std::pair{wish->passwords, jobs::freeze_kind::passwords}})
            if (done && wanted) done = co_await with.directory->run_hook(row->name, kind, frozen);
        co_return done;
    };
    // The old system is held before we say that it is, and let go after.
    if (frozen)
        if (auto held = co_await hooks(); !held)
            co_return refuse(502,
                             "The hook could not hold the old system; nothing is frozen: " + held.error().message());
    auto stored = co_await change_domain(with.db, *id, c.who.actor, frozen ? "domain.freeze" : "domain.unfreeze",
                                         [w = *wish, frozen](domain& d) {
                                             if (w.provisioning) d.provisioning_frozen = frozen;
                                             if (w.passwords) d.passwords_frozen = frozen;
                                         });
    if (!stored) co_return refuse(stored.error());
    if (wish->retry)
        if (auto ok = co_await retry_frozen(with, row->name, *wish, c.who.actor); !ok) co_return refuse(ok.error());
    if (!frozen)
        if (auto let_go = co_await hooks(); !let_go)
            co_return refuse(502, "The freeze is lifted here; the hook could not let the old system go: " +
                                      let_go.error().message());
    co_return versioned_reply(view_of(*stored), stored->version);
}

task<outcome<http::reply>> freeze_domain(route_parts with, context& c) { return freeze(with, c, true); }
task<outcome<http::reply>> unfreeze_domain(route_parts with, context& c) { return freeze(with, c, false); }

json::array texts(const std::vector<std::string>& all) {
    json::array out;
    for (const std::string& one : all) out.emplace_back(one);
    return out;
}

task<outcome<http::reply>> reconcile_domain(route_parts with, context& c) {
    if (with.directory == nullptr) co_return refuse_no_directory();
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    const auto right = body.required("new").text("new", driver_rule);
    const auto left = body.text("old", driver_rule);
    body.done();
    if (!faults.empty()) co_return invalid(std::move(faults));
    auto row =
        co_await with.db.read([id = *id](tables& t) { return or_missing(t.directory.find_domain(id), "domain"); });
    if (!row) co_return refuse(row.error());
    auto found = co_await with.directory->reconcile(*row, left.value_or(""), *right);
    if (!found) co_return refuse_driver(found.error());
    co_return json_reply(json::object{{"domain", row->name},
                                      {"both", found->both},
                                      {"only_old", found->only_old},
                                      {"only_new", found->only_new},
                                      {"missing_on_new", texts(found->missing_on_new)},
                                      {"missing_on_old", texts(found->missing_on_old)}});
}

task<outcome<http::reply>> discover_aliases(route_parts with, context& c) {
    if (with.directory == nullptr) co_return refuse_no_directory();
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    const auto by = body.required("provisioning").text("provisioning", driver_rule);
    body.done();
    if (!faults.empty()) co_return invalid(std::move(faults));
    auto row =
        co_await with.db.read([id = *id](tables& t) { return or_missing(t.directory.find_domain(id), "domain"); });
    if (!row) co_return refuse(row.error());
    auto found = co_await with.directory->discover(*row, *by);
    if (!found) co_return refuse_driver(found.error());
    json::object view{{"proposed", found->proposed}, {"known", found->known}, {"left_out", found->left_out}};
    auto kept = co_await with.db.synced([view, row = *row, by = *by, actor = c.who.actor](tables& t) {
        return audit(t, actor,
                     {.what = "domain.discover_aliases",
                      .after = view,
                      .detail = {{"domain", row.id}, {"provisioning", by}},
                      .project = row.project});
    });
    if (!kept) co_return refuse(kept.error());
    co_return json_reply(std::move(view));
}

} // namespace

void add_directory_routes(router& to, route_parts with) {
    const route_adder add{.to = to, .bound = {with}};
    using http::method;
    constexpr auto json_body = route::takes::json;
    add(method::get, "/company", access::read, show_company);
    add(method::put, "/company", access::admin, put_company, json_body);
    add(method::get, "/provisioning", access::read, list_drivers);
    add(method::get, "/domains", access::read, list_domains);
    add(method::post, "/domains", access::admin, add_domain, json_body);
    add(method::get, "/domains/{domain}", access::read, show_domain);
    add(method::patch, "/domains/{domain}", access::admin, edit_domain, json_body);
    add(method::del, "/domains/{domain}", access::admin, remove_domain);
    add(method::post, "/domains/{domain}/freeze", access::admin, freeze_domain, json_body);
    add(method::post, "/domains/{domain}/unfreeze", access::admin, unfreeze_domain, json_body);
    add(method::post, "/domains/{domain}/reconcile", access::operate, reconcile_domain, json_body);
    add(method::post, "/domains/{domain}/discover-aliases", access::admin, discover_aliases, json_body);
}

} // namespace postferry::api

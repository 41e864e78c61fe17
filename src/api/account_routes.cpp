// Accounts and aliases as they are meant to be on the new server, and what is asked of it for one of them.
#include "api/directory_parts.hpp"
#include "base/text.hpp"

#include <fmt/format.h>

namespace postferry::api {

namespace json = boost::json;
using store::account;
using store::account_state;
using store::alias;
using store::alias_state;
using store::record_id;
using store::tables;

namespace {

constexpr std::int64_t most_octets = std::int64_t{1} << 62U;

template <class E> outcome<std::optional<E>> word_of_query(const context& c, std::string_view name) {
    const auto text = c.query(name);
    if (!text) return std::optional<E>{};
    const auto known = store::parse<E>(*text);
    if (!known) return invalid("?" + std::string(name), "is none of the words that it can be");
    return std::optional<E>(known);
}

task<outcome<http::reply>> list_accounts(route_parts with, context& c) {
    auto domain = c.query_id("domain");
    if (!domain) co_return std::unexpected(std::move(domain.error()));
    auto state = word_of_query<account_state>(c, "state");
    if (!state) co_return std::unexpected(std::move(state.error()));
    store::account_filter filter{
        .domain = *domain, .state = *state, .contains = ascii_lower(c.query("address").value_or(""))};
    co_return co_await list(with.db, c,
                            [filter](tables& t, const store::paging& p) { return t.directory.accounts(filter, p); });
}

task<outcome<http::reply>> show_account(route_parts with, context& c) {
    return show(with.db, c, [](tables& t, record_id id) { return t.directory.find_account(id); });
}

/// Name, quota, language and time zone, where they are given.
void read_common(fields& body, context& c, account& a) {
    if (auto v = body.text("name")) a.name = std::move(*v);
    if (auto v = body.integer("quota", 0, most_octets)) {
        a.quota = static_cast<std::uint64_t>(*v);
    } else if (c.body.contains("quota") && c.body.at("quota").is_null()) {
        a.quota.reset();
    }
    if (auto v = body.text("language", {.most = 35})) a.language = std::move(*v);
    if (auto v = body.text("time_zone", {.most = 64})) a.time_zone = std::move(*v);
    directory::domain_settings s;
    if (!a.language.empty()) s.language = a.language;
    if (!a.time_zone.empty()) s.time_zone = a.time_zone;
    if (auto ok = directory::validate(s); !ok)
        body.fault(ok.error().what.starts_with("language") ? "language" : "time_zone", ok.error().what);
}

result<void> tell(tables& t, const std::string& actor, std::string what, json::value before, json::value after,
                  record_id account) {
    return audit(t, actor,
                 {.what = std::move(what),
                  .before = std::move(before),
                  .after = std::move(after),
                  .detail = {{"account", account}}});
}

/// The domain of a new account; it must be known.
task<result<store::domain>> domain_for(store::database& db, record_id project, std::string name) {
    co_return co_await db.read([project, name](tables& t) -> result<store::domain> {
        auto d = t.directory.find_domain(project, name);
        if (!d) return std::unexpected(std::move(d.error()));
        if (!*d)
            return store::refusal::refuse(store::refusal::missing, fmt::format("There is no domain {}", name),
                                          "Add it first (POST /domains)");
        return std::move(**d);
    });
}

task<outcome<http::reply>> add_account(route_parts with, context& c) {
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    account a;
    const auto project =
        body.integer("project", 1, std::numeric_limits<std::int64_t>::max()).value_or(store::default_project);
    std::optional<directory::address> address;
    if (const auto text = body.required("address").text("address", {.least = 3, .most = 254})) {
        auto read = directory::address::parse(*text);
        if (read)
            address = std::move(*read);
        else
            body.fault("address", read.error().what);
    }
    read_common(body, c, a);
    const auto password = body.password("password");
    const auto by = body.text("provisioning", driver_rule);
    if (password && !by) body.fault("password", "needs provisioning: it is set there, and kept nowhere here");
    body.done();
    if (!faults.empty()) co_return invalid(std::move(faults));
    auto domain = co_await domain_for(with.db, project, std::string(address->domain()));
    if (!domain) co_return refuse(domain.error());
    a.domain = domain->id;
    a.address = address->text();
    auto there = co_await with.db.read([name = a.address](tables& t) { return t.directory.find_account(name); });
    if (!there) co_return refuse(there.error());
    if (*there) co_return refuse(409, fmt::format("There is an account {} already", a.address));
    if (by) {
        if (with.directory == nullptr) co_return refuse_no_directory();
        auto made = co_await with.directory->create(a, password.value_or(secret{}), *by);
        if (!made) co_return refuse_driver(made.error());
        a.state = account_state::active;
        a.reason = made->note;
    }
    auto added = co_await with.db.synced([a, actor = c.who.actor](tables& t) -> result<account> {
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        account row = a;
        row.created = *now;
        auto ids = t.directory.add(std::vector{row});
        if (!ids) return std::unexpected(std::move(ids.error()));
        auto stored = or_missing(t.directory.find_account(row.address), "account");
        if (!stored) return stored;
        if (ids->front() == 0)
            return store::refusal::refuse(store::refusal::duplicate, "There is an account of that address already");
        auto kept = tell(t, actor, "account.create", nullptr, view_of(*stored), stored->id);
        if (!kept) return std::unexpected(std::move(kept.error()));
        return stored;
    });
    if (!added) co_return refuse(added.error());
    co_return created_reply(view_of(*added), added->version, fmt::format("/api/v1/accounts/{}", added->id));
}

task<result<account>> find_account(store::database& db, record_id id) {
    co_return co_await db.read([id](tables& t) { return or_missing(t.directory.find_account(id), "account"); });
}

template <class Change>
task<result<account>> change_account(store::database& db, record_id id, std::string actor, std::string what,
                                     Change change) {
    co_return co_await db.synced([id, actor, what, change](tables& t) -> result<account> {
        auto before = or_missing(t.directory.find_account(id), "account");
        if (!before) return before;
        account after = *before;
        change(after);
        auto row = t.directory.update(after);
        if (!row) return row;
        auto kept = tell(t, actor, what, view_of(*before), view_of(*row), id);
        if (!kept) return std::unexpected(std::move(kept.error()));
        return row;
    });
}

task<outcome<http::reply>> edit_account(route_parts with, context& c) {
    auto at = c.edited();
    if (!at) co_return std::unexpected(std::move(at.error()));
    auto now = co_await find_account(with.db, at->id);
    if (!now) co_return refuse(now.error());
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    account a = *now;
    read_common(body, c, a);
    if (auto of = body.any("services")) {
        json::object wrapped{{"services", *of}};
        const auto s = jobs::read_domain_settings(fields(wrapped, faults));
        a.services = "{}";
        if (auto view = jobs::json_of(s); view.contains("services")) a.services = json::serialize(view.at("services"));
    }
    const auto by = body.text("provisioning", driver_rule);
    body.done();
    if (!faults.empty()) co_return invalid(std::move(faults));
    if (now->version != at->from) co_return refuse(412, "The account has been changed by somebody else");
    if (by && a.quota != now->quota) {
        if (with.directory == nullptr) co_return refuse_no_directory();
        auto set = co_await with.directory->set_quota(a, a.quota.value_or(0), *by);
        if (!set) co_return refuse_driver(set.error());
    }
    a.version = at->from;
    auto stored = co_await change_account(with.db, at->id, c.who.actor, "account.update", [a](account& to) { to = a; });
    if (!stored) co_return refuse(stored.error());
    co_return versioned_reply(view_of(*stored), stored->version);
}

task<outcome<http::reply>> remove_account(route_parts with, context& c) {
    auto at = c.edited();
    if (!at) co_return std::unexpected(std::move(at.error()));
    auto gone = co_await with.db.synced([at = *at, actor = c.who.actor](tables& t) -> result<void> {
        auto before = or_missing(t.directory.find_account(at.id), "account");
        if (!before) return std::unexpected(std::move(before.error()));
        auto removed = t.directory.remove_account(at.id, at.from);
        if (!removed) return std::unexpected(std::move(removed.error()));
        return tell(t, actor, "account.delete", view_of(*before), nullptr, at.id);
    });
    if (!gone) co_return refuse(gone.error());
    co_return http::reply::empty();
}

task<outcome<http::reply>> set_suspended(route_parts with, context& c, bool suspended) {
    if (with.directory == nullptr) co_return refuse_no_directory();
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    const auto by = body.required("provisioning").text("provisioning", driver_rule);
    body.done();
    if (!faults.empty()) co_return invalid(std::move(faults));
    auto now = co_await find_account(with.db, *id);
    if (!now) co_return refuse(now.error());
    auto done = co_await with.directory->suspend(*now, suspended, *by);
    if (!done) co_return refuse_driver(done.error());
    auto stored = co_await change_account(with.db, *id, c.who.actor, suspended ? "account.suspend" : "account.resume",
                                          [suspended](account& a) {
                                              a.state = suspended ? account_state::suspended : account_state::active;
                                              a.reason.clear();
                                          });
    if (!stored) co_return refuse(stored.error());
    co_return versioned_reply(view_of(*stored), stored->version);
}

task<outcome<http::reply>> suspend_account(route_parts with, context& c) { return set_suspended(with, c, true); }
task<outcome<http::reply>> resume_account(route_parts with, context& c) { return set_suspended(with, c, false); }

task<outcome<http::reply>> set_password(route_parts with, context& c) {
    if (with.directory == nullptr) co_return refuse_no_directory();
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    const auto by = body.required("provisioning").text("provisioning", driver_rule);
    const auto password = body.required("password").password("password");
    if (password && password->empty()) body.fault("password", "is empty");
    body.done();
    if (!faults.empty()) co_return invalid(std::move(faults));
    auto now = co_await find_account(with.db, *id);
    if (!now) co_return refuse(now.error());
    auto done = co_await with.directory->set_password(*now, *password, *by);
    if (!done) co_return refuse_driver(done.error());
    auto kept = co_await with.db.synced([id = *id, actor = c.who.actor, by = *by](tables& t) {
        return tell(t, actor, "account.password", nullptr, json::object{{"provisioning", by}}, id);
    });
    if (!kept) co_return refuse(kept.error());
    co_return versioned_reply(view_of(*now), now->version);
}

task<outcome<http::reply>> list_aliases(route_parts with, context& c) {
    auto domain = c.query_id("domain");
    if (!domain) co_return std::unexpected(std::move(domain.error()));
    auto state = word_of_query<alias_state>(c, "state");
    if (!state) co_return std::unexpected(std::move(state.error()));
    store::alias_filter filter{.domain = *domain, .state = *state};
    if (const auto address = c.query("address")) filter.address = ascii_lower(*address);
    co_return co_await list(with.db, c,
                            [filter](tables& t, const store::paging& p) { return t.directory.aliases(filter, p); });
}

task<outcome<http::reply>> show_alias(route_parts with, context& c) {
    return show(with.db, c, [](tables& t, record_id id) { return t.directory.find_alias(id); });
}

result<void> tell_alias(tables& t, const std::string& actor, std::string what, json::value before, json::value after,
                        record_id id) {
    return audit(
        t, actor,
        {.what = std::move(what), .before = std::move(before), .after = std::move(after), .detail = {{"alias", id}}});
}

task<outcome<http::reply>> add_alias(route_parts with, context& c) {
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    const auto project =
        body.integer("project", 1, std::numeric_limits<std::int64_t>::max()).value_or(store::default_project);
    alias a{.origin = store::alias_origin::discovered};
    std::string domain_name;
    for (const auto& [name, to] : {std::pair{"address", &a.address}, std::pair{"goes_to", &a.goes_to}}) {
        const auto text = body.required(name).text(name, {.least = 3, .most = 254});
        if (!text) continue;
        auto read = directory::address::parse(*text);
        if (!read) {
            body.fault(name, read.error().what);
            continue;
        }
        *to = read->text();
        if (to == &a.address) domain_name = read->domain();
    }
    if (!a.address.empty() && a.address == a.goes_to) body.fault("goes_to", "is the alias itself");
    body.done();
    if (!faults.empty()) co_return invalid(std::move(faults));
    auto domain = co_await domain_for(with.db, project, domain_name);
    if (!domain) co_return refuse(domain.error());
    a.domain = domain->id;
    auto added = co_await with.db.synced([a, actor = c.who.actor](tables& t) -> result<alias> {
        auto account_there = t.directory.find_account(a.address);
        if (!account_there) return std::unexpected(std::move(account_there.error()));
        if (*account_there)
            return store::refusal::refuse(store::refusal::duplicate, fmt::format("{} is an account", a.address));
        auto ids = t.directory.add(std::vector{a});
        if (!ids) return std::unexpected(std::move(ids.error()));
        if (ids->front() == 0) return store::refusal::refuse(store::refusal::duplicate, "There is that alias already");
        alias made = a;
        made.id = ids->front();
        auto kept = tell_alias(t, actor, "alias.create", nullptr, view_of(made), made.id);
        if (!kept) return std::unexpected(std::move(kept.error()));
        return made;
    });
    if (!added) co_return refuse(added.error());
    http::reply r = json_reply(view_of(*added), 201);
    r.fields.emplace_back("Location", fmt::format("/api/v1/aliases/{}", added->id));
    co_return r;
}

/// proposed, failed and refused may be approved; all that is not made yet may be refused.
task<result<alias>> decide(store::database& db, record_id id, alias_state to, std::string reason, std::string actor) {
    co_return co_await db.synced([id, to, reason, actor](tables& t) -> result<alias> {
        auto before = or_missing(t.directory.find_alias(id), "alias");
        if (!before) return before;
        if (before->state == alias_state::created)
            return store::refusal::refuse(store::refusal::not_allowed, "The alias is made already");
        alias now = *before;
        now.state = to;
        now.reason = reason;
        if (auto ok = t.directory.set_alias_state(id, to, reason); !ok) return std::unexpected(std::move(ok.error()));
        auto kept = tell_alias(t, actor, to == alias_state::refused ? "alias.refuse" : "alias.approve",
                               view_of(*before), view_of(now), id);
        if (!kept) return std::unexpected(std::move(kept.error()));
        return now;
    });
}

task<outcome<http::reply>> approve_alias(route_parts with, context& c) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    const auto by = body.text("provisioning", driver_rule);
    body.done();
    if (!faults.empty()) co_return invalid(std::move(faults));
    auto now = co_await decide(with.db, *id, alias_state::approved, "", c.who.actor);
    if (!now) co_return refuse(now.error());
    if (!by) co_return json_reply(view_of(*now));
    if (with.directory == nullptr) co_return refuse_no_directory();
    auto made = co_await with.directory->make_alias(*now, *by);
    if (!made) co_return refuse_driver(made.error());
    co_return json_reply(view_of(*made));
}

task<outcome<http::reply>> refuse_alias(route_parts with, context& c) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    const auto reason = body.text("reason");
    body.done();
    if (!faults.empty()) co_return invalid(std::move(faults));
    auto now = co_await decide(with.db, *id, alias_state::refused, reason.value_or(""), c.who.actor);
    if (!now) co_return refuse(now.error());
    co_return json_reply(view_of(*now));
}

task<outcome<http::reply>> remove_alias(route_parts with, context& c) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    auto gone = co_await with.db.synced([id = *id, actor = c.who.actor](tables& t) -> result<void> {
        auto before = or_missing(t.directory.find_alias(id), "alias");
        if (!before) return std::unexpected(std::move(before.error()));
        if (auto ok = t.directory.remove_alias(id); !ok) return std::unexpected(std::move(ok.error()));
        return tell_alias(t, actor, "alias.delete", view_of(*before), nullptr, id);
    });
    if (!gone) co_return refuse(gone.error());
    co_return http::reply::empty();
}

} // namespace

void add_account_routes(router& to, route_parts with) {
    const route_adder add{.to = to, .bound = {with}};
    using http::method;
    constexpr auto json_body = route::takes::json;
    add(method::get, "/accounts", access::read, list_accounts);
    add(method::post, "/accounts", access::admin, add_account, json_body);
    add(method::get, "/accounts/{account}", access::read, show_account);
    add(method::patch, "/accounts/{account}", access::admin, edit_account, json_body);
    add(method::del, "/accounts/{account}", access::admin, remove_account);
    add(method::post, "/accounts/{account}/suspend", access::admin, suspend_account, json_body);
    add(method::post, "/accounts/{account}/resume", access::admin, resume_account, json_body);
    add(method::post, "/accounts/{account}/password", access::admin, set_password, json_body);
    add(method::get, "/aliases", access::read, list_aliases);
    add(method::post, "/aliases", access::admin, add_alias, json_body);
    add(method::get, "/aliases/{alias}", access::read, show_alias);
    add(method::del, "/aliases/{alias}", access::admin, remove_alias);
    add(method::post, "/aliases/{alias}/approve", access::admin, approve_alias, json_body);
    add(method::post, "/aliases/{alias}/refuse", access::admin, refuse_alias, json_body);
}

} // namespace postferry::api

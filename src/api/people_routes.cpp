// Who may use the API: people with roles, and the tokens they make for programs.
#include "api/audit.hpp"
#include "api/listing.hpp"
#include "api/person_rules.hpp"
#include "api/routes.hpp"
#include "api/token_text.hpp"
#include "api/views.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

namespace postferry::api {

using store::person;
using store::tables;

namespace {

constexpr std::array<std::string_view, 3> scope_words{"read", "operate", "admin"};

std::optional<std::string> login_name(fields& body) {
    const auto given = body.text("name", {.least = 1, .most = 100});
    if (!given) return std::nullopt;
    auto name = login_name_of(*given);
    if (!name) body.fault("name", std::string(login_name_rule));
    return name;
}

std::optional<secret> new_password(fields& body) {
    auto password = body.password("password", most_password);
    if (!password || password->reveal().size() >= least_password) return password;
    body.fault("password", fmt::format("must have at least {} octets", least_password));
    return std::nullopt;
}

task<outcome<http::reply>> list_people(route_parts with, context& c) {
    return list(with.db, c, [](tables& t, const store::paging& p) { return t.people.list(p); });
}

task<outcome<http::reply>> show_person(route_parts with, context& c) {
    return show(with.db, c, [](tables& t, store::record_id id) { return t.people.find(id); });
}

task<outcome<http::reply>> add_person(route_parts with, context& c) {
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    person p;
    auto name = login_name(body.required("name"));
    p.display = body.text("display").value_or("");
    const auto role = body.required("role").word("role", store::words_of<store::person_role>);
    auto password = new_password(body);
    body.done();
    if (!faults.empty()) co_return invalid(std::move(faults));
    p.name = std::move(*name);
    p.role = static_cast<store::person_role>(*role);
    if (password) {
        auto hash = co_await with.guard.hash_password(std::move(*password));
        if (!hash) co_return std::unexpected(std::move(hash.error()));
        p.password = std::move(*hash);
    }
    auto added = co_await with.db.synced([p, actor = c.who.actor](tables& t) -> result<person> {
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        person row = p;
        row.created = *now;
        auto made = t.people.add(row);
        if (!made) return made;
        auto kept = audit(t, actor, {.what = "user.create", .after = view_of(*made), .detail = {{"user", made->id}}});
        if (!kept) return std::unexpected(std::move(kept.error()));
        return made;
    });
    if (!added) co_return refuse(added.error());
    co_return created_reply(view_of(*added), added->version, fmt::format("/api/v1/users/{}", added->id));
}

/// What a PATCH names, over what is stored.
struct person_edit {
    std::optional<std::string> display, hash;
    std::optional<store::person_role> role;
    std::optional<bool> disabled;
    void apply(person& to) const {
        if (display) to.display = *display;
        if (hash) to.password = *hash;
        if (role) to.role = *role;
        if (disabled) to.disabled = *disabled;
    }
};

task<outcome<person_edit>> read_edit(route_parts with, context& c) {
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    person_edit edit;
    edit.display = body.text("display");
    if (const auto role = body.word("role", store::words_of<store::person_role>))
        edit.role = static_cast<store::person_role>(*role);
    edit.disabled = body.flag("disabled");
    auto password = new_password(body);
    body.done();
    if (!faults.empty()) co_return invalid(std::move(faults));
    if (password) {
        auto hash = co_await with.guard.hash_password(std::move(*password));
        if (!hash) co_return std::unexpected(std::move(hash.error()));
        edit.hash = std::move(*hash);
    }
    co_return edit;
}

result<person> change_person(tables& t, store::record_id id, store::row_version from, const person_edit& edit,
                             const std::string& actor) {
    auto row = t.people.find(id);
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return store::refusal::refuse(store::refusal::missing, "There is no such user");
    person after = **row;
    edit.apply(after);
    after.version = from;
    auto stored = t.people.update(after);
    if (!stored) return stored;
    // Whoever knew the old password, or had the old role, signs in anew.
    if (edit.hash || edit.disabled.value_or(false) || edit.role)
        if (auto ok = t.people.remove_sessions_of(id); !ok) return std::unexpected(std::move(ok.error()));
    auto kept = audit(t, actor,
                      {.what = "user.update",
                       .before = view_of(**row),
                       .after = view_of(*stored),
                       .detail = {{"user", id}, {"password_changed", edit.hash.has_value()}}});
    if (!kept) return std::unexpected(std::move(kept.error()));
    return stored;
}

task<outcome<http::reply>> edit_person(route_parts with, context& c) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    auto from = c.if_match();
    if (!from) co_return std::unexpected(std::move(from.error()));
    auto edit = co_await read_edit(with, c);
    if (!edit) co_return std::unexpected(std::move(edit.error()));
    auto stored = co_await with.db.synced([id = *id, from = *from, edit = *edit, actor = c.who.actor](tables& t) {
        return change_person(t, id, from, edit, actor);
    });
    if (!stored) co_return refuse(stored.error());
    co_return versioned_reply(view_of(*stored), stored->version);
}

task<outcome<http::reply>> remove_person(route_parts with, context& c) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    auto from = c.if_match();
    if (!from) co_return std::unexpected(std::move(from.error()));
    auto gone = co_await with.db.synced([id = *id, from = *from, actor = c.who.actor](tables& t) -> result<void> {
        auto row = t.people.find(id);
        if (!row) return std::unexpected(std::move(row.error()));
        if (!*row) return store::refusal::refuse(store::refusal::missing, "There is no such user");
        if (auto ok = t.people.remove(id, from); !ok) return ok;
        return audit(t, actor, {.what = "user.delete", .before = view_of(**row), .detail = {{"user", id}}});
    });
    if (!gone) co_return refuse(gone.error());
    co_return http::reply::empty();
}

// Tokens: one's own, or anybody's for an owner.

task<outcome<http::reply>> list_tokens(route_parts with, context& c) {
    const std::optional<store::record_id> whose = c.who.most == access::owner ? std::nullopt : c.who.person;
    return list(with.db, c, [whose](tables& t, const store::paging& p) { return t.people.tokens(whose, p); });
}

/// One that leaks must not make others that outlive it, nor take its owner's away.
bool is_lesser_token(const caller& who) { return who.actor.starts_with("token/") && who.most < access::admin; }

task<outcome<http::reply>> add_token(route_parts with, context& c) {
    if (is_lesser_token(c.who)) co_return refuse(403, "A token makes tokens only with the scope admin");
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    store::api_token row;
    row.name = body.required("name").text("name", {.least = 1, .most = 100}).value_or("");
    const auto scopes = body.required("scopes").texts("scopes", scope_words.size(), {.least = 1, .most = 20});
    const auto user = body.integer("user", 1, INT64_MAX);
    row.expires = body.moment("expires");
    body.done();
    for (const std::string& s : scopes.value_or(std::vector<std::string>())) {
        if (std::ranges::find(scope_words, s) == scope_words.end()) body.fault("scopes", "may be read, operate, admin");
        if (access_of_scopes(s) > c.who.most) body.fault("scopes", "may not hold more than you may do yourself");
        row.scopes += row.scopes.empty() ? s : " " + s;
    }
    if (scopes && scopes->empty()) body.fault("scopes", "must name at least one of read, operate, admin");
    if (!user && !c.who.person) body.fault("user", "is missing: whose token shall it be?");
    if (!faults.empty()) co_return invalid(std::move(faults));
    row.person = user.value_or(c.who.person.value_or(0));
    if (row.person != c.who.person && c.who.most != access::owner)
        co_return refuse(403, "Only an owner makes tokens for others");
    const secret token = new_token("pf_");
    row.hash = hash_of(token.reveal());
    auto added = co_await with.db.synced([row, actor = c.who.actor](tables& t) -> result<store::api_token> {
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        auto owner = t.people.find(row.person);
        if (!owner) return std::unexpected(std::move(owner.error()));
        if (!*owner) return store::refusal::refuse(store::refusal::missing, "There is no such user");
        store::api_token made = row;
        made.created = *now;
        auto stored = t.people.add(made);
        if (!stored) return stored;
        auto kept =
            audit(t, actor, {.what = "token.create", .after = view_of(*stored), .detail = {{"token", stored->id}}});
        if (!kept) return std::unexpected(std::move(kept.error()));
        return stored;
    });
    if (!added) co_return refuse(added.error());
    boost::json::object answer = view_of(*added);
    answer["token"] = std::string(token.reveal()); // the only time it is shown
    http::reply r = json_reply(std::move(answer), 201);
    r.fields.emplace_back("Location", fmt::format("/api/v1/tokens/{}", added->id));
    co_return r;
}

task<outcome<http::reply>> remove_token(route_parts with, context& c) {
    if (is_lesser_token(c.who)) co_return refuse(403, "A token removes tokens only with the scope admin");
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    const std::optional<store::record_id> whose = c.who.most == access::owner ? std::nullopt : c.who.person;
    auto gone = co_await with.db.synced([id = *id, whose, actor = c.who.actor](tables& t) -> result<void> {
        auto rows = t.people.tokens(whose, {.after = id - 1, .limit = 1});
        if (!rows) return std::unexpected(std::move(rows.error()));
        if (rows->rows.empty() || rows->rows.front().id != id)
            return store::refusal::refuse(store::refusal::missing, "There is no such token");
        if (auto ok = t.people.remove_token(id); !ok) return std::unexpected(std::move(ok.error()));
        return audit(t, actor,
                     {.what = "token.delete", .before = view_of(rows->rows.front()), .detail = {{"token", id}}});
    });
    if (!gone) co_return refuse(gone.error());
    co_return http::reply::empty();
}

} // namespace

void add_people_routes(router& to, route_parts with) {
    const route_adder add{.to = to, .bound = {with}};
    const bound_to& bound = add.bound;
    using http::method;
    constexpr auto json = route::takes::json;
    add(method::get, "/users", access::owner, list_people);
    add(method::post, "/users", access::owner, add_person, json);
    add(method::get, "/users/{user}", access::owner, show_person);
    add(method::patch, "/users/{user}", access::owner, edit_person, json);
    add(method::del, "/users/{user}", access::owner, remove_person);
    add(method::get, "/tokens", access::read, list_tokens);
    to.add({.verb = method::post,
            .pattern = "/tokens",
            .needs = access::read,
            .body = json,
            .holds_secret = true,
            .run = bound(add_token)});
    add(method::del, "/tokens/{token}", access::read, remove_token);
}

} // namespace postferry::api

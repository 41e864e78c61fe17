// Mail servers with their limits and use, and the workers.
#include "api/audit.hpp"
#include "api/routes.hpp"
#include "api/views.hpp"
#include "base/text.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::api {

using store::server_use;
using store::tables;

namespace {

/// "imap.example.org:993", as mailboxes are counted by.
bool is_server_key(std::string_view key) {
    const std::size_t colon = key.rfind(':');
    if (colon == std::string_view::npos || colon == 0 || key.size() > 300) return key == "local";
    const auto port = parse_u32(key.substr(colon + 1));
    return port && *port <= 65'535 &&
           std::ranges::all_of(key, [](char c) { return c > ' ' && c < 0x7F && c != '/' && c != '"'; });
}

/// Any server may be given limits before it has been seen.
result<server_use> use_of(tables& t, const std::string& key) {
    auto all = t.leases.servers();
    if (!all) return std::unexpected(std::move(all.error()));
    for (server_use& one : *all)
        if (one.limits.key == key) return std::move(one);
    return server_use{.limits = {.key = key}};
}

template <class Row> boost::json::array views_of(const std::vector<Row>& rows) {
    boost::json::array out;
    out.reserve(rows.size());
    for (const Row& row : rows) out.push_back(view_of(row));
    return out;
}

task<outcome<http::reply>> list_servers(route_parts with, context&) {
    auto all = co_await with.db.read([](tables& t) { return t.leases.servers(); });
    if (!all) co_return refuse(all.error());
    co_return json_reply(boost::json::object{{"items", views_of(*all)}});
}

task<outcome<http::reply>> list_workers(route_parts with, context&) {
    auto all = co_await with.db.read([](tables& t) { return t.leases.workers(); });
    if (!all) co_return refuse(all.error());
    co_return json_reply(boost::json::object{{"items", views_of(*all)}});
}

outcome<std::string> key_in(const context& c) {
    if (!is_server_key(c.parameters.at(0))) return refuse(404, "There is no such server; write imap.example.org:993");
    return c.parameters.at(0);
}

task<outcome<http::reply>> show_server(route_parts with, context& c) {
    auto key = key_in(c);
    if (!key) co_return std::unexpected(std::move(key.error()));
    auto use = co_await with.db.read([key = *key](tables& t) { return use_of(t, key); });
    if (!use) co_return refuse(use.error());
    co_return versioned_reply(view_of(*use), use->limits.version);
}

struct server_edit {
    std::optional<std::optional<std::int64_t>> connections, messages, octets; ///< inner nothing: no limit
    std::optional<std::optional<store::unix_ms>> paused_until;
    std::string paused_why;
};

outcome<server_edit> read_edit(context& c) {
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    server_edit e;
    const auto limit = [&](std::string_view name, std::int64_t least, std::int64_t most) {
        std::optional<std::optional<std::int64_t>> out;
        if (body.has(name)) out = body.integer(name, least, most);
        return out;
    };
    e.connections = limit("connections_max", 1, 10'000);
    e.messages = limit("messages_per_second", 1, 1'000'000);
    e.octets = limit("bytes_per_second", 1'000, 1'000'000'000'000);
    if (body.has("paused_until")) e.paused_until = body.moment("paused_until");
    const bool says_why = body.has("paused_why");
    e.paused_why = body.text("paused_why", {.least = 0, .most = 500}).value_or("");
    if (says_why && !e.paused_until) body.fault("paused_why", "goes with paused_until");
    body.done();
    if (!faults.empty()) return invalid(std::move(faults));
    return e;
}

result<server_use> change_server(tables& t, const std::string& key, store::row_version from, const server_edit& e,
                                 const std::string& actor) {
    auto before = use_of(t, key);
    if (!before) return before;
    store::server row = before->limits;
    row.version = from;
    if (e.connections)
        row.connections_max = *e.connections ? std::optional(static_cast<int>(**e.connections)) : std::nullopt;
    if (e.messages)
        row.messages_per_second = *e.messages ? std::optional(static_cast<std::uint64_t>(**e.messages)) : std::nullopt;
    if (e.octets)
        row.octets_per_second = *e.octets ? std::optional(static_cast<std::uint64_t>(**e.octets)) : std::nullopt;
    if (auto stored = t.leases.put(row); !stored) return std::unexpected(std::move(stored.error()));
    if (e.paused_until) {
        // A later moment would stand against an earlier one: what people say goes before what servers have asked for.
        auto done = t.leases.pause_server(key, std::nullopt, "");
        if (done && *e.paused_until) done = t.leases.pause_server(key, *e.paused_until, e.paused_why);
        if (!done) return std::unexpected(std::move(done.error()));
    }
    auto after = use_of(t, key);
    if (!after) return after;
    auto kept = audit(
        t, actor,
        {.what = "server.update", .before = view_of(*before), .after = view_of(*after), .detail = {{"server", key}}});
    if (!kept) return std::unexpected(std::move(kept.error()));
    return after;
}

task<outcome<http::reply>> edit_server(route_parts with, context& c) {
    auto key = key_in(c);
    if (!key) co_return std::unexpected(std::move(key.error()));
    auto from = c.if_match();
    if (!from) co_return std::unexpected(std::move(from.error()));
    auto edit = read_edit(c);
    if (!edit) co_return std::unexpected(std::move(edit.error()));
    auto stored = co_await with.db.synced([key = *key, from = *from, edit = *edit, actor = c.who.actor](tables& t) {
        return change_server(t, key, from, edit, actor);
    });
    if (!stored) co_return refuse(stored.error());
    with.woken();
    co_return versioned_reply(view_of(*stored), stored->limits.version);
}

} // namespace

void add_server_routes(router& to, route_parts with) {
    const route_adder add{.to = to, .bound = {with}};
    using http::method;
    add(method::get, "/servers", access::read, list_servers);
    add(method::get, "/servers/{server}", access::read, show_server);
    add(method::patch, "/servers/{server}", access::operate, edit_server, route::takes::json);
    add(method::get, "/workers", access::read, list_workers);
}

} // namespace postferry::api

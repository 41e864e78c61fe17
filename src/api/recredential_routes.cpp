// The operator's side of the link by which the owner of a mailbox gives its new password.
#include "api/audit.hpp"
#include "api/recredential.hpp"
#include "api/routes.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

namespace postferry::api {

using store::tables;

namespace {

constexpr std::int64_t usual_days = 7, most_days = 30;

task<outcome<http::reply>> make_link(route_parts with, context& c) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    const std::int64_t days = body.integer("days", 1, most_days).value_or(usual_days);
    body.done();
    if (!faults.empty()) co_return invalid(std::move(faults));
    if (with.vault == nullptr) co_return refuse(409, "This service has no key file, and can make no links");
    const link_token token = new_link_token(*with.vault, store::link_kind::recredential);
    auto made = co_await with.db.synced([id = *id, hash = token.nonce_hash, days, actor = c.who.actor](tables& t) {
        return put_recredential_link(t, id, hash, std::chrono::hours(24 * days), actor);
    });
    if (!made) co_return refuse(made.error());
    http::reply r =
        json_reply(boost::json::object{{"url", fmt::format("{}/r/{}", with.public_url, token.text.reveal())},
                                       {"expires", rfc3339_of(made->expires)}},
                   201);
    r.fields.emplace_back("Cache-Control", "no-store");
    co_return r;
}

task<outcome<http::reply>> end_links(route_parts with, context& c) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    auto gone = co_await with.db.synced([id = *id, actor = c.who.actor](tables& t) -> result<void> {
        auto m = t.migrations.find(id);
        if (!m) return std::unexpected(std::move(m.error()));
        if (!*m) return store::refusal::refuse(store::refusal::missing, "There is no such mailbox");
        auto ended = t.requests.remove_links(store::link_kind::recredential, std::to_string(id));
        if (!ended) return std::unexpected(std::move(ended.error()));
        if (*ended == 0) return {};
        return audit(t, actor, {.what = "recredential.end", .batch = (*m)->batch, .migration = id});
    });
    if (!gone) co_return refuse(gone.error());
    co_return http::reply::empty();
}

} // namespace

void add_recredential_routes(router& to, route_parts with) {
    to.add({.verb = http::method::post,
            .pattern = "/mailboxes/{mailbox}/recredential-link",
            .needs = access::operate,
            .body = route::takes::json,
            .holds_secret = true,
            .run = [with](context& c) { return make_link(with, c); }});
    to.add({.verb = http::method::del,
            .pattern = "/mailboxes/{mailbox}/recredential-link",
            .needs = access::operate,
            .run = [with](context& c) { return end_links(with, c); }});
}

} // namespace postferry::api

#include "api/service.hpp"

#include "api/routes.hpp"
#include "api/token_text.hpp"
#include "store/tables.hpp"

#include <fmt/format.h>

namespace postferry::api {

using store::tables;

namespace {

constexpr std::size_t longest_body = 1'000'000;
constexpr std::size_t longest_of_strangers = 16'384;
constexpr std::size_t longest_key = 200;

// The API and everything under it is never framed, cached by strangers or guessed at.
void add_guards(http::reply& r) {
    r.fields.emplace_back("X-Content-Type-Options", "nosniff");
    r.fields.emplace_back("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
    r.fields.emplace_back("Referrer-Policy", "no-referrer");
}

bool is_json(std::string_view type) {
    type = type.substr(0, type.find(';'));
    while (type.ends_with(' ')) type.remove_suffix(1);
    return type == "application/json" || type == "application/merge-patch+json";
}

/// A stream, counted for as long as it runs.
task<> counted(watch* counts, std::string route, http::body_maker make, http::body_sink& out) {
    struct running {
        watch* counts;
        std::string_view route;
        running(watch* w, std::string_view r) : counts(w), route(r) { counts->on_stream(route, 1); }
        ~running() { counts->on_stream(route, -1); }
        running(const running&) = delete;
        running& operator=(const running&) = delete;
    };
    const running here(counts, route);
    co_await make(out);
}

bool may_repeat(const http::reply& r) noexcept { return std::holds_alternative<std::string>(r.body); }

} // namespace

service::service(parts p)
    : parts_(std::move(p)), guard_(parts_.db, parts_.hashing, parts_.guard), commands_(parts_.db, parts_.woken),
      marks_(parts_.vault), pages_({.db = parts_.db,
                                    .hashing = guard_,
                                    .vault = parts_.vault,
                                    .old_server = parts_.old_server,
                                    .woken = parts_.woken}) {
    const route_parts with{.db = parts_.db,
                           .guard = guard_,
                           .commands = commands_,
                           .vault = parts_.vault,
                           .renderer = parts_.renderer,
                           .woken = parts_.woken ? parts_.woken : [] {},
                           .public_url = parts_.public_url,
                           .directory = parts_.directory,
                           .imports = parts_.imports,
                           .uploads = parts_.uploads};
    add_session_routes(router_, with);
    add_people_routes(router_, with);
    add_event_routes(router_, with);
    add_project_routes(router_, with);
    add_batch_routes(router_, with);
    add_batch_action_routes(router_, with);
    add_mailbox_routes(router_, with);
    add_mailbox_action_routes(router_, with);
    add_history_routes(router_, with);
    add_log_routes(router_, with);
    add_report_routes(router_, with);
    add_server_routes(router_, with);
    add_settings_routes(router_, with);
    add_directory_routes(router_, with);
    add_account_routes(router_, with);
    add_import_routes(router_, with);
    add_contract_routes(router_, with);
    add_recredential_routes(router_, with);
}

task<http::reply> service::handle(http::exchange& x) {
    const auto began = std::chrono::steady_clock::now();
    std::string route = "other";
    http::reply r = co_await answer(x, route);
    if (parts_.counts == nullptr) co_return r;
    parts_.counts->on_answer(
        {.verb = x.verb(),
         .route = route,
         .status = r.status,
         .took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began)});
    if (auto* make = std::get_if<http::body_maker>(&r.body))
        r.body = http::body_maker([counts = parts_.counts, route, inner = std::move(*make)](http::body_sink& out) {
            return counted(counts, route, inner, out);
        });
    co_return r;
}

/// @param route what the request was for, as far as it is known
task<http::reply> service::answer(http::exchange& x, std::string& route) {
    if (const auto page = pages::route_of(x)) {
        route = *page;
        co_return co_await pages_.handle(x);
    }
    const auto& path = x.path();
    http::reply r;
    if (path.size() == 1 && http::is_safe(x.verb()) && (path[0] == "healthz" || path[0] == "readyz")) {
        route = "/" + path[0];
        r = co_await health(path[0] == "readyz");
    } else {
        auto answered = co_await serve(x, route);
        r = answered ? std::move(*answered) : reply_of(answered.error());
    }
    add_guards(r);
    co_return r;
}

task<outcome<http::reply>> service::metrics(http::exchange& x) {
    if (!parts_.open_metrics) {
        auto who = co_await guard_.identify(x);
        if (!who) co_return std::unexpected(std::move(who.error()));
        if (auto ok = guard_.check(*who, access::read); !ok) co_return std::unexpected(std::move(ok.error()));
    }
    http::reply r{.type = "text/plain; version=0.0.4; charset=utf-8", .body = co_await parts_.counts->exposition()};
    r.fields.emplace_back("Cache-Control", "no-store");
    co_return r;
}

task<http::reply> service::health(bool ready) {
    if (!ready) co_return http::reply{.type = "text/plain", .body = "ok\n"};
    const auto gone = parts_.db.current_outage();
    if (!gone) co_return http::reply{.type = "text/plain", .body = "ready\n"};
    co_return http::reply{.status = 503, .type = "text/plain", .body = "the database does not answer\n"};
}

task<outcome<http::reply>> service::serve(http::exchange& x, std::string& route) {
    const auto& path = x.path();
    if (parts_.counts != nullptr && path.size() == 1 && path[0] == "metrics" && http::is_safe(x.verb())) {
        route = "/metrics";
        co_return co_await metrics(x);
    }
    if (path.size() < 2 || path[0] != "api" || path[1] != "v1") co_return refuse(404, "The API is below /api/v1");
    auto found = router_.find(x.verb(), std::span(path).subspan(2));
    if (found.to != nullptr) route = fmt::format("/api/v1{}", found.to->pattern);
    auto who = co_await guard_.identify(x);
    if (!who) co_return std::unexpected(std::move(who.error()));
    if (found.to == nullptr) {
        auto p = refuse(found.allowed.empty() ? 404 : 405, found.allowed.empty() ? "There is no such route" : "");
        if (!found.allowed.empty()) p.error().fields.emplace_back("Allow", found.allowed);
        co_return p;
    }
    if (auto ok = guard_.check(*who, found.to->needs); !ok) co_return std::unexpected(std::move(ok.error()));
    context with{.request = x, .who = *who, .parameters = std::move(found.parameters)};
    auto done = co_await run(*found.to, with);
    if (!http::is_safe(x.verb())) guard_.forget(); // it may have been about somebody's rights
    co_return done;
}

task<outcome<http::reply>> service::run(const route& to, context& with) {
    std::string text;
    if (to.body == route::takes::json) {
        if (!is_json(with.request.header("content-type"))) co_return refuse(415, "Send Content-Type: application/json");
        auto body = co_await with.request.body(to.needs == access::anyone ? longest_of_strangers : longest_body);
        if (!body) co_return refuse(body.error());
        auto parsed = input::parse_object(*body);
        if (!parsed) co_return refuse(parsed.error().response_code == "JSON" ? 400 : 422, parsed.error().what);
        with.body = std::move(*parsed);
        text = std::move(*body);
    }
    const std::string_view key = with.request.header("idempotency-key");
    const bool once = to.verb == http::method::post && to.needs != access::anyone && !to.holds_secret;
    if (!once || key.empty()) co_return co_await to.run(with);
    if (key.size() > longest_key) co_return refuse(400, "The Idempotency-Key is longer than 200 octets");
    co_return co_await run_once(to, with, std::string(key), std::move(text));
}

/// The same key from the same caller: the same answer, and the thing is done once.
task<outcome<http::reply>> service::run_once(const route& to, context& with, std::string key, std::string text) {
    store::remembered_answer a{.key = std::move(key),
                               .actor = with.who.actor,
                               .route = fmt::format("{} {}", http::name_of(to.verb), with.request.raw_path()),
                               .request_hash = marks_.of(text),
                               .body = {}};
    auto before = co_await parts_.db.synced([a](tables& t) -> result<std::optional<store::remembered_answer>> {
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        store::remembered_answer row = a;
        row.created = *now;
        return t.requests.begin(row);
    });
    if (!before) co_return refuse(before.error());
    if (*before) {
        const store::remembered_answer& was = **before;
        if (was.route != a.route || !marks_.fits(was.request_hash, text))
            co_return refuse(422, "This Idempotency-Key was used for another request");
        if (was.status == 0) co_return refuse(409, "The request with this Idempotency-Key is still at work");
        co_return http::reply{.status = static_cast<unsigned>(was.status),
                              .type = was.body.empty() ? "" : "application/json",
                              .body = was.body,
                              .fields = {{"Idempotency-Replayed", "true"}}};
    }
    auto done = co_await to.run(with);
    const bool keep = done && may_repeat(*done) && done->status < 500;
    if (keep) {
        a.status = static_cast<int>(done->status);
        a.body = std::get<std::string>(done->body);
    }
    // A refusal changed nothing, so the same key may try again.
    auto kept = co_await parts_.db.synced(
        [a, keep](tables& t) { return keep ? t.requests.end(a) : t.requests.forget(a.actor, a.key); });
    if (!kept) co_return refuse(kept.error());
    co_return done;
}

} // namespace postferry::api

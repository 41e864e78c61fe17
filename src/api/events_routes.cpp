// What has happened, as a list and as a stream (server-sent events, WHATWG HTML 9.2).
#include "api/listing.hpp"
#include "api/routes.hpp"
#include "store/tables.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <charconv>

namespace postferry::api {

using store::tables;

namespace {

constexpr std::chrono::milliseconds look_every{100};
constexpr std::chrono::seconds word_every{15}; ///< a comment, so that proxies and a peer that has gone are noticed

outcome<store::event_filter> filter_of(const context& c) {
    store::event_filter f;
    for (const auto& [name, to] :
         {std::pair{"project", &f.project}, std::pair{"batch", &f.batch}, std::pair{"mailbox", &f.migration}}) {
        const auto text = c.query(name);
        if (!text) continue;
        store::record_id id = 0;
        const auto [end, ec] = std::from_chars(text->data(), text->data() + text->size(), id);
        if (ec != std::errc() || end != text->data() + text->size() || id < 1)
            return invalid(fmt::format("?{}", name), "must be an id");
        *to = id;
    }
    if (const auto kind = c.query("kind")) f.kind_prefix = kind->substr(0, 100);
    if (const auto actor = c.query("actor")) f.actor = actor->substr(0, 100);
    for (const auto& [name, to] : {std::pair{"from", &f.from}, std::pair{"to", &f.to}}) {
        const auto text = c.query(name);
        if (!text) continue;
        *to = parse_rfc3339(*text);
        if (!*to) return invalid(fmt::format("?{}", name), "must be a time like 2026-11-22T18:00:00Z (RFC 3339)");
    }
    return f;
}

task<outcome<http::reply>> list_events(route_parts with, context& c) {
    auto filter = filter_of(c);
    if (!filter) co_return std::unexpected(std::move(filter.error()));
    co_return co_await list(
        with.db, c, [f = *filter](tables& t, const store::paging& p) { return t.events.list(f, p); }, true);
}

/// What people have changed.
task<outcome<http::reply>> list_audit(route_parts with, context& c) {
    auto filter = filter_of(c);
    if (!filter) co_return std::unexpected(std::move(filter.error()));
    filter->kind_prefix = "audit.";
    co_return co_await list(
        with.db, c, [f = *filter](tables& t, const store::paging& p) { return t.events.list(f, p); }, true);
}

bool passes(const store::event_filter& f, const store::event& e) noexcept {
    return (!f.project || e.project == f.project) && (!f.batch || e.batch == f.batch) &&
           (!f.migration || e.migration == f.migration) && e.kind.starts_with(f.kind_prefix) &&
           (f.actor.empty() || e.actor == f.actor);
}

std::string line_of(const store::event& e) {
    return fmt::format("id: {}\nevent: {}\ndata: {}\n\n", e.id, e.kind, boost::json::serialize(view_of(e)));
}

task<> follow(route_parts with, caller who, store::event_filter filter, store::record_id after, http::body_sink& out) {
    store::event_cursor at{.after = after};
    unsigned looks = 0;
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
    auto last_word = std::chrono::steady_clock::now();
    if (!co_await out.write("retry: 2000\n\n")) co_return;
    while (!out.stopping()) {
        auto news = co_await with.db.read([at](tables& t) -> result<store::event_tail> {
            auto now = t.now();
            if (!now) return std::unexpected(std::move(now.error()));
            return t.events.tail(at, *now);
        });
        if (!news) co_return; // the client comes back with Last-Event-ID
        at = news->next;
        std::string text;
        for (const store::event& e : news->events)
            if (passes(filter, e)) text += line_of(e);
        // Rights may have gone since: nobody hears what he may not ask for any more.
        if ((!text.empty() || ++looks % 20 == 0) && !co_await with.guard.stands(who)) co_return;
        const auto now = std::chrono::steady_clock::now();
        if (text.empty() && now - last_word >= word_every) text = ": still here\n\n";
        if (!text.empty()) {
            if (!co_await out.write(text)) co_return;
            last_word = now;
        }
        timer.expires_after(look_every);
        co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    }
}

/// From now on, or behind what Last-Event-ID names.
task<outcome<http::reply>> stream(route_parts with, context& c) {
    auto filter = filter_of(c);
    if (!filter) co_return std::unexpected(std::move(filter.error()));
    std::string_view from = c.request.header("last-event-id");
    if (from.empty()) from = c.query("after").value_or("");
    store::record_id after = 0;
    if (from.empty()) {
        auto last = co_await with.db.read([](tables& t) { return t.events.last(); });
        if (!last) co_return refuse(last.error());
        after = *last;
    } else {
        const auto [end, ec] = std::from_chars(from.data(), from.data() + from.size(), after);
        if (ec != std::errc() || end != from.data() + from.size() || after < 0)
            co_return invalid("Last-Event-ID", "must be the id of an event");
    }
    http::reply r{.type = "text/event-stream",
                  .body = http::body_maker([with, who = c.who, f = *filter, after](http::body_sink& out) {
                      return follow(with, who, f, after, out);
                  })};
    r.fields.emplace_back("Cache-Control", "no-store");
    r.fields.emplace_back("X-Accel-Buffering", "no"); // nginx would hold the stream back
    co_return r;
}

} // namespace

void add_event_routes(router& to, route_parts with) {
    const route_adder add{.to = to, .bound = {with}};
    add(http::method::get, "/events", access::read, list_events);
    add(http::method::get, "/events/stream", access::read, stream);
    add(http::method::get, "/audit", access::admin, list_audit);
}

} // namespace postferry::api

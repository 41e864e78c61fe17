// What has become of batches and mailboxes: passes, folders, failures, events.
#include "api/batch_view.hpp"
#include "api/failures.hpp"
#include "api/listing.hpp"
#include "api/routes.hpp"
#include "store/refusal.hpp"

namespace postferry::api {

using store::tables;

namespace {

task<outcome<http::reply>> list_passes(route_parts with, context& c) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    co_return co_await list(
        with.db, c,
        [id = *id](tables& t, const store::paging& p) -> result<store::slice<store::pass_record>> {
            if (auto row = existing_mailbox(t, id); !row) return std::unexpected(std::move(row.error()));
            return t.passes.list(id, p);
        },
        true);
}

task<outcome<http::reply>> show_pass(route_parts with, context& c) {
    auto mailbox = c.id(0);
    if (!mailbox) co_return std::unexpected(std::move(mailbox.error()));
    auto id = c.id(1);
    if (!id) co_return std::unexpected(std::move(id.error()));
    auto row = co_await with.db.read([id = *id](tables& t) { return t.passes.find(id); });
    if (!row) co_return refuse(row.error());
    if (!*row || (*row)->migration != *mailbox) co_return refuse(404, "There is no such pass");
    auto view = view_of(**row);
    view["report"] = (*row)->report.empty() ? boost::json::value() : parsed((*row)->report);
    co_return json_reply(std::move(view));
}

template <class Query> task<outcome<http::reply>> of_last_report(route_parts with, context& c, Query query) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    auto found = co_await with.db.read([id = *id, query](tables& t) { return query(t, id); });
    if (!found) co_return refuse(found.error());
    co_return json_reply(std::move(*found));
}

/// Events of one batch or mailbox, the newest first.
task<outcome<http::reply>> list_events_of(route_parts with, bool of_batch, context& c) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    store::event_filter f;
    (of_batch ? f.batch : f.migration) = *id;
    f.kind_prefix = c.query("kind").value_or("").substr(0, 100);
    co_return co_await list(
        with.db, c,
        [f, of_batch, id = *id](tables& t, const store::paging& p) -> result<store::slice<store::event>> {
            if (of_batch) {
                if (auto row = existing_batch(t, id); !row) return std::unexpected(std::move(row.error()));
            } else {
                if (auto row = existing_mailbox(t, id); !row) return std::unexpected(std::move(row.error()));
            }
            return t.events.list(f, p);
        },
        true);
}

} // namespace

void add_history_routes(router& to, route_parts with) {
    const auto get = [&](std::string_view pattern, auto f) {
        to.add({.verb = http::method::get, .pattern = pattern, .needs = access::read, .run = f});
    };
    get("/mailboxes/{mailbox}/passes", [with](context& c) { return list_passes(with, c); });
    get("/mailboxes/{mailbox}/passes/{pass}", [with](context& c) { return show_pass(with, c); });
    get("/mailboxes/{mailbox}/folders", [with](context& c) { return of_last_report(with, c, folders_of); });
    get("/mailboxes/{mailbox}/failures", [with](context& c) { return of_last_report(with, c, failures_of); });
    get("/mailboxes/{mailbox}/events", [with](context& c) { return list_events_of(with, false, c); });
    get("/batches/{batch}/events", [with](context& c) { return list_events_of(with, true, c); });
}

} // namespace postferry::api

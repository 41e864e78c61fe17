// Reports of batches and mailboxes, drawn from what passes have left in the store.
#include "api/batch_view.hpp"
#include "api/downloads.hpp"
#include "api/routes.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

#include <stdexcept>

namespace postferry::api {

using store::tables;

namespace {

constexpr int reports_at_a_time = 20; ///< of a batch, in memory; one may have a megabyte
/// A page of more than these would be of no use to anybody, and its overview is kept in memory.
constexpr std::uint64_t most_on_a_page = 20'000;

struct form_words {
    std::string_view type, extension;
};
form_words words_of_form(report_form f) noexcept {
    switch (f) {
    case report_form::json: return {"application/json", "json"};
    case report_form::csv: return {"text/csv; charset=utf-8; header=present", "csv"};
    case report_form::html: return {"text/html; charset=utf-8", "html"};
    }
    return {};
}

/// Whose reports, and since when there can be some.
struct subject {
    bool of_batch = true;
    store::record_id id = 0;
    store::unix_ms started = 0, ended = 0;
};

using report_page = store::pass_repository::report_page;

task<report_page> next_page(store::database& db, subject of, store::record_id after) {
    auto page = co_await db.read([of, after](tables& t) -> result<report_page> {
        if (of.of_batch) return t.passes.last_reports(of.id, after, reports_at_a_time);
        auto last = t.passes.last_report(of.id);
        if (!last) return std::unexpected(std::move(last.error()));
        report_page one;
        if (*last) one.rows.push_back(std::move((*last)->report));
        return one;
    });
    // A body that ends here must not look whole.
    if (!page) throw std::runtime_error("the reports could not be read to their end");
    co_return std::move(*page);
}

task<> draw(store::database& db, subject of, const report_renderer& renderer, report_form form, http::body_sink& out) {
    const auto document = renderer.make(form, of.started, of.ended);
    for (const bool looking : {true, false}) {
        if (looking && !document->looks_first()) continue;
        if (!looking && !co_await out.write(document->begin())) co_return;
        store::record_id after = 0;
        for (bool more = true; more;) {
            const report_page page = co_await next_page(db, of, after);
            for (const std::string& report : page.rows) {
                if (looking) {
                    if (!document->look(report)) throw std::runtime_error("a report is none");
                    continue;
                }
                const auto text = document->mailbox(report);
                if (!text) throw std::runtime_error("a report is none");
                if (!co_await out.write(*text)) co_return;
            }
            more = page.more && !out.stopping();
            after = page.after;
        }
        if (out.stopping()) throw std::runtime_error("the service stops");
    }
    (void)co_await out.write(document->end());
}

result<subject> find_subject(tables& t, bool of_batch, store::record_id id, report_form form) {
    subject of{.of_batch = of_batch, .id = id};
    auto now = t.now();
    if (!now) return std::unexpected(std::move(now.error()));
    of.ended = *now;
    if (!of_batch) {
        auto row = existing_mailbox(t, id);
        if (!row) return std::unexpected(std::move(row.error()));
        of.started = row->created;
        return of;
    }
    auto row = existing_batch(t, id);
    if (!row) return std::unexpected(std::move(row.error()));
    of.started = row->created;
    auto tally = t.batches.tally(id);
    if (!tally) return std::unexpected(std::move(tally.error()));
    std::uint64_t mailboxes = 0;
    for (const store::batch_tally& line : *tally) mailboxes += line.mailboxes;
    if (form == report_form::html && mailboxes > most_on_a_page)
        return store::refusal::refuse(store::refusal::not_allowed,
                                      fmt::format("A page of {} mailboxes would be of no use", mailboxes),
                                      "Take the report as CSV or JSON, or one mailbox's as a page");
    return of;
}

task<outcome<http::reply>> report(route_parts with, bool of_batch, report_form form, context& c) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    if (with.renderer == nullptr) co_return refuse(404, "This service draws no reports");
    auto of =
        co_await with.db.read([of_batch, form, id = *id](tables& t) { return find_subject(t, of_batch, id, form); });
    if (!of) co_return refuse(of.error());
    const auto [type, extension] = words_of_form(form);
    co_return download(std::string(type),
                       fmt::format("postferry-{}-{}-report.{}", of_batch ? "batch" : "mailbox", *id, extension),
                       [&db = with.db, of = *of, renderer = with.renderer, form](http::body_sink& out) {
                           return draw(db, of, *renderer, form, out);
                       });
}

} // namespace

void add_report_routes(router& to, route_parts with) {
    const auto get = [&](std::string_view pattern, bool of_batch, report_form form) {
        to.add({.verb = http::method::get,
                .pattern = pattern,
                .needs = access::read,
                .run = [with, of_batch, form](context& c) { return report(with, of_batch, form, c); }});
    };
    get("/batches/{batch}/report.json", true, report_form::json);
    get("/batches/{batch}/report.csv", true, report_form::csv);
    get("/batches/{batch}/report.html", true, report_form::html);
    get("/mailboxes/{mailbox}/report.json", false, report_form::json);
    get("/mailboxes/{mailbox}/report.csv", false, report_form::csv);
    get("/mailboxes/{mailbox}/report.html", false, report_form::html);
}

} // namespace postferry::api

#include "store/history_repository.hpp"

#include "store/detail/counts.hpp"
#include "store/detail/rows.hpp"

#include <cstdlib>

namespace postferry::store {

using detail::one;
using detail::optional_number;
using detail::pass_on;
using detail::run;
using detail::selection;
using detail::text;

namespace {

constexpr std::string_view audit_prefix = "audit.";
/// How long an event may stay unseen behind a younger one (the limits of sql::open_options).
constexpr unix_ms longest_transaction_ms = 120'000;
/// A transaction draws the number of an event some instructions before it has a number of its own.
constexpr unix_ms shortest_wait_ms = 1'000;

pass_record read_pass(const sql::query& q) {
    return {.id = q.get<record_id>(0),
            .migration = q.get<record_id>(1),
            .kind = text(q, 2),
            .started = q.get<unix_ms>(3),
            .ended = optional_number<unix_ms>(q, 4),
            .worker = text(q, 5),
            .outcome = text(q, 6),
            .counts = detail::read_counts(q, 7),
            .report = text(q, 14)};
}

std::string select_passes(std::string_view report, std::string_view rest) {
    return fmt::format("SELECT id, migration, kind, started, ended, worker, outcome, {}, {} FROM pass {}",
                       detail::count_columns, report, rest);
}

event read_event(const sql::query& q) {
    return {.id = q.get<record_id>(0),
            .at = q.get<unix_ms>(1),
            .actor = text(q, 2),
            .kind = text(q, 3),
            .project = optional_number<record_id>(q, 4),
            .batch = optional_number<record_id>(q, 5),
            .migration = optional_number<record_id>(q, 6),
            .before = text(q, 7),
            .after = text(q, 8),
            .detail = text(q, 9)};
}

constexpr std::string_view select_events =
    "SELECT id, at, actor, kind, project, batch, migration, before, after, detail FROM event";

log_line read_line(const sql::query& q) {
    std::string folder = text(q, 4);
    return {.id = q.get<record_id>(0),
            .at = q.get<unix_ms>(1),
            .batch = q.get<record_id>(2),
            .migration = optional_number<record_id>(q, 3),
            .folder = folder.empty() ? std::nullopt : std::optional(std::move(folder)),
            .level = static_cast<log_level>(std::clamp(q.get<int>(5), 0, static_cast<int>(count_of<log_level>) - 1)),
            .text = text(q, 6)};
}

void narrow(selection& wanted, const log_filter& filter) {
    if (filter.batch) wanted.where("batch =", *filter.batch);
    if (filter.migration) wanted.where("migration =", *filter.migration);
    if (filter.folder) wanted.where("folder =", std::string_view(*filter.folder));
    if (filter.up_to) wanted.where("id <=", *filter.up_to);
    if (filter.at_least != log_level::debug) wanted.where("level >=", static_cast<std::int64_t>(filter.at_least));
}

} // namespace

result<record_id> pass_repository::begin(const pass_record& p) {
    return detail::number(db_,
                          "INSERT INTO pass (migration, kind, started, worker, outcome, messages_source, "
                          "messages_copied, messages_present, messages_skipped, messages_failed, octets_source, "
                          "octets_copied, report) VALUES ($1, $2, $3, $4, '', 0, 0, 0, 0, 0, 0, 0, '') RETURNING id",
                          p.migration, p.kind, p.started, p.worker);
}

result<void> pass_repository::end(const pass_record& p) {
    const message_counts& c = p.counts;
    auto done = run(db_,
                    "UPDATE pass SET ended = $1, outcome = $2, messages_source = $3, messages_copied = $4, "
                    "messages_present = $5, messages_skipped = $6, messages_failed = $7, octets_source = $8, "
                    "octets_copied = $9, report = $10 WHERE id = $11",
                    p.ended, p.outcome, c.messages_source, c.messages_copied, c.messages_present, c.messages_skipped,
                    c.messages_failed, c.octets_source, c.octets_copied, p.report, p.id);
    if (!done) return pass_on(done);
    if (*done == 0) return refusal::refuse(refusal::missing, "there is no such pass");
    return {};
}

result<std::optional<pass_record>> pass_repository::find(record_id id) {
    return one(db_, select_passes("report", "WHERE id = $1"), read_pass, id);
}

result<std::optional<pass_record>> pass_repository::last_report(record_id migration) {
    return one(db_, select_passes("report", "WHERE migration = $1 AND report <> '' ORDER BY id DESC LIMIT 1"),
               read_pass, migration);
}

result<pass_repository::report_page> pass_repository::last_reports(record_id batch, record_id after, int limit) {
    report_page out{.rows = {}, .after = after};
    auto page =
        selection("SELECT m.id, COALESCE((SELECT p.report FROM pass p WHERE p.migration = m.id AND p.report <> '' "
                  "ORDER BY p.id DESC LIMIT 1), '') FROM migration m");
    page.where("m.batch =", batch);
    auto rows = page.page(db_, {.after = after, .limit = limit}, "m.id",
                          [](const sql::query& q) { return std::pair(q.get<record_id>(0), text(q, 1)); });
    if (!rows) return pass_on(rows);
    out.more = rows->more;
    for (auto& [id, report] : rows->rows) {
        out.after = id;
        if (!report.empty()) out.rows.push_back(std::move(report));
    }
    return out;
}

result<void> waiver_repository::add(const std::vector<waiver>& all) {
    return detail::insert_rows(
        db_, "INSERT INTO waiver (migration, folder, source_uid, waived_by, at, why) VALUES", " ON CONFLICT DO NOTHING",
        all,
        [](const waiver& w, std::vector<sql::value>& values) {
            detail::put(values, w.migration, w.folder, w.source_uid, w.by, w.at, w.why);
        },
        [](const sql::query&) {});
}

result<bool> waiver_repository::remove(record_id migration, const std::string& folder, std::uint32_t source_uid) {
    auto gone = run(db_, "DELETE FROM waiver WHERE migration = $1 AND folder = $2 AND source_uid = $3", migration,
                    folder, source_uid);
    if (!gone) return pass_on(gone);
    return *gone > 0;
}

result<std::vector<waiver>> waiver_repository::of(record_id migration) {
    std::vector<waiver> out;
    auto done = detail::each_row(
        db_,
        "SELECT migration, folder, source_uid, waived_by, at, why FROM waiver WHERE migration = $1 ORDER BY folder, "
        "source_uid",
        [&](const sql::query& q) {
            out.push_back({.migration = q.get<record_id>(0),
                           .folder = text(q, 1),
                           .source_uid = q.get<std::uint32_t>(2),
                           .by = text(q, 3),
                           .at = q.get<unix_ms>(4),
                           .why = text(q, 5)});
        },
        migration);
    if (!done) return pass_on(done);
    return out;
}

result<slice<pass_record>> pass_repository::list(record_id migration, const paging& page) {
    selection wanted(select_passes("''", ""));
    wanted.where("migration =", migration);
    return wanted.page(db_, page, "id", read_pass);
}

result<record_id> event_repository::add(const event& e) {
    return detail::number(db_,
                          "INSERT INTO event (at, actor, kind, audit, project, batch, migration, before, after, "
                          "detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id",
                          e.at, e.actor, e.kind, e.kind.starts_with(audit_prefix), e.project, e.batch, e.migration,
                          e.before, e.after, e.detail);
}

result<void> event_repository::add(const std::vector<event>& all) {
    return detail::insert_rows(
        db_, "INSERT INTO event (at, actor, kind, audit, project, batch, migration, before, after, detail) VALUES", "",
        all,
        [](const event& e, std::vector<sql::value>& values) {
            detail::put(values, e.at, e.actor, e.kind, e.kind.starts_with(audit_prefix), e.project, e.batch,
                        e.migration, e.before, e.after, e.detail);
        },
        [](const sql::query&) {});
}

result<slice<event>> event_repository::list(const event_filter& filter, const paging& page) {
    selection wanted(select_events);
    const std::string end = filter.kind_prefix.empty() ? "" : filter.kind_prefix + "\x7f";
    if (filter.project) wanted.where("project =", *filter.project);
    if (filter.batch) wanted.where("batch =", *filter.batch);
    if (filter.migration) wanted.where("migration =", *filter.migration);
    if (filter.kind_prefix.starts_with(audit_prefix)) wanted.where("audit = 1"); // has an index
    if (!filter.kind_prefix.empty() && filter.kind_prefix != audit_prefix) {
        wanted.where("kind >=", std::string_view(filter.kind_prefix));
        wanted.where("kind <", std::string_view(end));
    }
    if (!filter.actor.empty()) wanted.where("actor =", std::string_view(filter.actor));
    if (filter.from) wanted.where("at >=", *filter.from);
    if (filter.to) wanted.where("at <", *filter.to);
    return wanted.page(db_, page, "id", read_event);
}

namespace {

struct open_transactions {
    std::int64_t oldest = 0, next = 0; ///< none that is open is below the one, none is above the other
};

result<open_transactions> ask_transactions(sql::connection& db) {
    auto found = one(
        db,
        "SELECT CAST(CAST(pg_snapshot_xmin(s) AS TEXT) AS BIGINT), CAST(CAST(pg_snapshot_xmax(s) AS TEXT) AS BIGINT) "
        "FROM pg_current_snapshot() AS s",
        [](const sql::query& q) {
            return open_transactions{.oldest = q.get<std::int64_t>(0), .next = q.get<std::int64_t>(1)};
        });
    if (!found) return pass_on(found);
    return found->value_or(open_transactions{});
}

} // namespace

result<event_tail> event_repository::tail(const event_cursor& from, unix_ms now, int limit) {
    auto page = selection(select_events).page(db_, {.after = from.after, .limit = limit}, "id", read_event);
    if (!page) return pass_on(page);
    event_tail out{.events = std::move(page->rows), .next = from};
    // One process writes a file, one transaction after the other: what is missing there is gone.
    const bool overtaken = db_.dialect() == sql::dialect::postgresql;
    std::optional<open_transactions> open;
    for (std::size_t i = 0; i < out.events.size(); ++i) {
        const event& e = out.events[i];
        // `after` 0 is no event: whoever begins there sees the oldest that is left.
        if (overtaken && out.next.after != 0 && e.id != out.next.after + 1) {
            if (!open) {
                auto asked = ask_transactions(db_);
                if (!asked) return pass_on(asked);
                open = *asked;
            }
            // Whoever has drawn a number below this one had begun before this event could be seen.
            if (out.next.gap_before != e.id)
                out.next = {.after = out.next.after, .gap_before = e.id, .gap_ends = open->next, .gap_seen = now};
            const unix_ms waited = std::abs(now - out.next.gap_seen);
            if (waited < shortest_wait_ms || (open->oldest < out.next.gap_ends && waited < longest_transaction_ms)) {
                out.events.resize(i);
                return out;
            }
        }
        out.next = {.after = e.id};
    }
    return out;
}

result<record_id> event_repository::last() { return detail::number(db_, "SELECT COALESCE(max(id), 0) FROM event"); }

result<void> log_repository::add(const std::vector<log_line>& lines) {
    return detail::insert_rows(
        db_, "INSERT INTO log (at, batch, migration, folder, level, text) VALUES", "", lines,
        [](const log_line& l, std::vector<sql::value>& values) {
            detail::put(values, l.at, l.batch, l.migration, l.folder, static_cast<int>(l.level), l.text);
        },
        [](const sql::query&) {});
}

result<slice<log_line>> log_repository::list(const log_filter& filter, const paging& page) {
    selection wanted("SELECT id, at, batch, migration, folder, level, text FROM log");
    narrow(wanted, filter);
    return wanted.page(db_, page, "id", read_line);
}

result<std::int64_t> log_repository::remove(const log_filter& filter) {
    selection wanted("DELETE FROM log");
    narrow(wanted, filter);
    return wanted.run(db_);
}

} // namespace postferry::store

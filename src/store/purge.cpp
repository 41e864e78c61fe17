#include "store/purge.hpp"

#include "store/detail/place.hpp"
#include "store/detail/rows.hpp"
#include "store/ledger_schema.hpp"

#include <fmt/chrono.h>

#include <ctime>

namespace postferry::store {

using detail::pass_on;
using detail::purpose;

namespace {

constexpr std::string_view at_rest = "SELECT id FROM batch WHERE state IN ('completed', 'archived', 'rolled_back')";

/// As reports tell their moments, which compare as text.
std::string rfc3339(unix_ms at) {
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(at / 1000)));
}

class purging {
  public:
    purging(sql::connection& db, unix_ms before) : db_(db), before_(before) {}

    result<void> history(purged& out) {
        auto done = drop(out.log_lines, fmt::format("DELETE FROM log WHERE at < $1 AND batch IN ({})", at_rest));
        if (done)
            done =
                drop(out.events,
                     fmt::format("DELETE FROM event WHERE at < $1 AND (batch IS NULL OR batch IN ({0}) OR NOT EXISTS "
                                 "(SELECT 1 FROM batch b WHERE b.id = event.batch))",
                                 at_rest));
        if (done)
            done = drop(out.passes, fmt::format("DELETE FROM pass WHERE ended IS NOT NULL AND ended < $1 AND migration "
                                                "IN (SELECT id FROM migration WHERE batch IN ({}))",
                                                at_rest));
        for (const std::string_view sql :
             {"DELETE FROM session WHERE expires < $1", "DELETE FROM link WHERE expires < $1",
              "DELETE FROM remembered WHERE created < $1", "DELETE FROM worker WHERE state = 'gone' AND seen < $1"})
            if (done) done = drop(out.other, sql);
        return done;
    }

    result<std::vector<std::int64_t>> old_ledgers() {
        std::vector<std::int64_t> ids;
        auto done = detail::each_row(
            db_,
            fmt::format("SELECT m.id FROM mailbox m WHERE (SELECT max(r.ended) FROM report r WHERE r.mailbox = m.id) < "
                        "$1 AND NOT EXISTS (SELECT 1 FROM migration g WHERE g.ledger_mailbox = m.id AND g.batch NOT IN "
                        "({})) AND NOT EXISTS (SELECT 1 FROM ledger_hold h WHERE h.mailbox = m.id) ORDER BY m.id",
                        at_rest),
            [&](const sql::query& q) { ids.push_back(q.get<std::int64_t>(0)); }, rfc3339(before_));
        if (!done) return pass_on(done);
        return ids;
    }

    result<void> ledger(std::int64_t mailbox) {
        static constexpr std::string_view folders = "(SELECT id FROM folder WHERE mailbox = $1)";
        std::int64_t gone = 0;
        for (const std::string_view table : {"message", "failure", "repaired", "flag_set"})
            if (auto done = drop_of(gone, fmt::format("DELETE FROM {} WHERE folder IN {}", table, folders), mailbox);
                !done)
                return done;
        static constexpr std::string_view named = "SELECT n.id FROM named_folder n JOIN mailbox m ON m.source_key = "
                                                  "n.source_key AND m.target_key = n.target_key WHERE m.id = $1";
        for (const std::string& sql :
             {fmt::format("DELETE FROM name WHERE named_folder IN ({})", named),
              fmt::format("DELETE FROM named_folder WHERE id IN ({})", named),
              std::string("DELETE FROM folder WHERE mailbox = $1"),
              std::string("DELETE FROM report WHERE mailbox = $1"),
              std::string("UPDATE migration SET ledger_mailbox = NULL WHERE ledger_mailbox = $1"),
              std::string("DELETE FROM mailbox WHERE id = $1")})
            if (auto done = drop_of(gone, sql, mailbox); !done) return done;
        return {};
    }

  private:
    result<void> drop(std::int64_t& count, std::string_view sql) { return drop_of(count, sql, before_); }
    result<void> drop_of(std::int64_t& count, std::string_view sql, std::int64_t of) {
        auto gone = detail::run(db_, sql, of);
        if (!gone) return pass_on(gone);
        count += *gone;
        return {};
    }

    sql::connection& db_;
    unix_ms before_;
};

} // namespace

result<purged> purge(const store_place& place, unix_ms before) {
    auto store = detail::open_place(place, purpose::change, "postferry store purge");
    if (!store) return pass_on(store);
    purged out;
    purging work(*store->db, before);
    auto done = detail::in_transaction(*store->db, [&] { return work.history(out); });
    if (!done) return pass_on(done);
    auto old = work.old_ledgers();
    if (!old) return pass_on(old);
    for (const std::int64_t mailbox : *old) {
        done = detail::in_transaction(*store->db, [&] { return work.ledger(mailbox); });
        if (!done) return pass_on(done);
        ++out.ledgers;
    }
    done = store->db->script("VACUUM");
    if (!done) return pass_on(done);
    return out;
}

result<store_status> status(const store_place& place) {
    auto store = detail::open_place(place, purpose::look, "");
    if (!store) return pass_on(store);
    sql::connection& db = *store->db;
    store_status out{.name = store->name, .knows = ledger_schema().version()};
    auto mark = db.read_schema_mark();
    if (!mark) return pass_on(mark);
    out.version = mark->version;
    auto octets = detail::number(db, db.dialect() == sql::dialect::sqlite
                                         ? "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
                                         : "SELECT pg_database_size(current_database())");
    if (!octets) return pass_on(octets);
    out.octets = *octets;
    static constexpr std::pair<int, std::string_view> asked_for[] = {
        {1, "mailbox"}, {1, "message"}, {1, "failure"}, {3, "report"},     {6, "batch"}, {6, "migration"},
        {6, "account"}, {6, "event"},   {6, "log"},     {6, "credential"}, {6, "person"}};
    for (const auto& [since, table] : asked_for) {
        if (out.version < since) return out;
        auto rows = detail::number(db, fmt::format("SELECT count(*) FROM {}", table));
        if (!rows) return pass_on(rows);
        out.rows.emplace_back(table, *rows);
    }
    auto done = detail::each_row(
        db, "SELECT state, count(*) FROM batch GROUP BY state ORDER BY state",
        [&](const sql::query& q) { out.batches.emplace_back(detail::text(q, 0), q.get<std::int64_t>(1)); });
    if (done)
        done = detail::each_row(
            db,
            "SELECT k.id, k.is_current, (SELECT count(*) FROM credential c WHERE c.key_id = k.id) FROM seal_key k "
            "UNION SELECT c.key_id, 0, count(*) FROM credential c WHERE NOT EXISTS (SELECT 1 FROM seal_key k WHERE "
            "k.id = "
            "c.key_id) GROUP BY c.key_id ORDER BY 1",
            [&](const sql::query& q) {
                out.keys.push_back(
                    {.id = detail::text(q, 0), .current = q.get<bool>(1), .credentials = q.get<std::int64_t>(2)});
            });
    if (!done) return pass_on(done);
    return out;
}

} // namespace postferry::store

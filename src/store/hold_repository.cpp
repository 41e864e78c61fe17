#include "store/hold_repository.hpp"

#include "store/detail/rows.hpp"

namespace postferry::store {

using detail::one;
using detail::pass_on;
using detail::run;
using detail::text;

result<void> hold_repository::take(const ledger_hold& wanted, unix_ms now) {
    auto put = run(db_,
                   "INSERT INTO ledger_hold (mailbox, holder, described, migration, since) VALUES ($1, $2, $3, $4, $5) "
                   "ON CONFLICT DO NOTHING",
                   wanted.mailbox, wanted.holder, wanted.described, wanted.migration, now);
    if (!put) return pass_on(put);
    if (*put > 0) return {};
    // Application names are cut off at 63 octets and shown to everybody.
    auto other = one(
        db_,
        "SELECT h.holder, h.described, h.migration, EXISTS (SELECT 1 FROM pg_stat_activity a WHERE "
        "a.application_name = h.holder AND a.datname = current_database()) FROM ledger_hold h WHERE "
        "h.mailbox = $1 FOR UPDATE",
        [](const sql::query& q) {
            return std::pair(ledger_hold{.holder = text(q, 0),
                                         .described = text(q, 1),
                                         .migration = detail::optional_number<record_id>(q, 2)},
                             q.get<bool>(3));
        },
        wanted.mailbox);
    if (!other) return pass_on(other);
    if (*other) {
        const auto& [hold, alive] = **other;
        const bool same_lease = wanted.migration && hold.migration == wanted.migration;
        if (alive && hold.holder != wanted.holder && !same_lease)
            return fail(retry_class::config, phase::ledger,
                        fmt::format("the mailbox is being copied by {}", quote_server_text(hold.described, 200)),
                        "Wait until that has ended");
    }
    auto taken = run(db_,
                     "INSERT INTO ledger_hold (mailbox, holder, described, migration, since) VALUES ($1, $2, $3, $4, "
                     "$5) ON CONFLICT (mailbox) DO UPDATE SET holder = excluded.holder, described = "
                     "excluded.described, migration = excluded.migration, since = excluded.since",
                     wanted.mailbox, wanted.holder, wanted.described, wanted.migration, now);
    if (!taken) return pass_on(taken);
    return {};
}

result<void> hold_repository::release(transfer::mailbox_id mailbox, const std::string& holder) {
    auto gone = run(db_, "DELETE FROM ledger_hold WHERE mailbox = $1 AND holder = $2", mailbox, holder);
    if (!gone) return pass_on(gone);
    return {};
}

result<bool> hold_repository::holds(transfer::mailbox_id mailbox, const std::string& holder) {
    auto found =
        detail::number(db_, "SELECT 1 FROM ledger_hold WHERE mailbox = $1 AND holder = $2 FOR SHARE", mailbox, holder);
    if (!found) return pass_on(found);
    return *found == 1;
}

result<bool> hold_repository::holds_folder(transfer::folder_id folder, const std::string& holder) {
    auto found =
        detail::number(db_,
                       "SELECT 1 FROM ledger_hold h JOIN folder f ON f.mailbox = h.mailbox WHERE f.id = $1 AND "
                       "h.holder = $2 FOR SHARE OF h",
                       folder, holder);
    if (!found) return pass_on(found);
    return *found == 1;
}

} // namespace postferry::store

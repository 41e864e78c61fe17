#pragma once
// The columns of a mailbox of a batch, which several repositories read.
#include "store/detail/counts.hpp"
#include "store/detail/rows.hpp"

namespace postferry::store::detail {

/// Of table `migration AS m`.
inline constexpr std::string_view migration_columns =
    "m.id, m.batch, m.account, m.source_url, m.target_url, m.source_user, m.target_user, m.source_server, "
    "m.target_server, m.ledger_mailbox, m.state, m.reason, m.reason_class, m.until, m.throttled_by, m.priority, "
    "m.next_pass, m.due, m.messages_source, m.messages_copied, m.messages_present, m.messages_skipped, "
    "m.messages_failed, m.octets_source, m.octets_copied, m.grade, m.passes, m.since, m.queued_ms, m.running_ms, "
    "m.throttled_ms, m.stalled_ms, m.position, m.created, m.version, m.notify";

/// Every member but none of the room of its texts is new: for whoever goes over very many.
inline void read_migration_into(migration& m, const sql::query& q) {
    m.id = q.get<record_id>(0);
    m.batch = q.get<record_id>(1);
    m.account = optional_number<record_id>(q, 2);
    m.source_url = q.text(3);
    m.target_url = q.text(4);
    m.source_user = q.text(5);
    m.target_user = q.text(6);
    m.source_server = q.text(7);
    m.target_server = q.text(8);
    m.ledger_mailbox = optional_number<std::int64_t>(q, 9);
    m.state = word<mailbox_state>(q, 10);
    m.reason = q.text(11);
    m.reason_class = q.text(12);
    m.until = optional_number<unix_ms>(q, 13);
    m.throttled_by = q.text(14);
    m.priority = q.get<int>(15);
    m.next_pass = q.text(16);
    m.due = optional_number<unix_ms>(q, 17);
    m.counts = read_counts(q, 18);
    m.grade = q.text(25);
    m.passes = q.get<std::uint32_t>(26);
    m.since = q.get<unix_ms>(27);
    m.queued_ms = q.get<std::uint64_t>(28);
    m.running_ms = q.get<std::uint64_t>(29);
    m.throttled_ms = q.get<std::uint64_t>(30);
    m.stalled_ms = q.get<std::uint64_t>(31);
    m.position = q.get<std::uint32_t>(32);
    m.created = q.get<unix_ms>(33);
    m.version = q.get<row_version>(34);
    m.notify = q.text(35);
}

[[nodiscard]] inline migration read_migration(const sql::query& q) {
    migration m;
    read_migration_into(m, q);
    return m;
}

[[nodiscard]] inline std::string select_migrations(std::string_view rest) {
    return fmt::format("SELECT {} FROM migration AS m {}", migration_columns, rest);
}

} // namespace postferry::store::detail

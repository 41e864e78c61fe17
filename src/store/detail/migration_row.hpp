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
    "m.throttled_ms, m.stalled_ms, m.position, m.created, m.version";

[[nodiscard]] inline migration read_migration(const sql::query& q) {
    return {.id = q.get<record_id>(0),
            .batch = q.get<record_id>(1),
            .account = optional_number<record_id>(q, 2),
            .source_url = text(q, 3),
            .target_url = text(q, 4),
            .source_user = text(q, 5),
            .target_user = text(q, 6),
            .source_server = text(q, 7),
            .target_server = text(q, 8),
            .ledger_mailbox = optional_number<std::int64_t>(q, 9),
            .state = word<mailbox_state>(q, 10),
            .reason = text(q, 11),
            .reason_class = text(q, 12),
            .until = optional_number<unix_ms>(q, 13),
            .throttled_by = text(q, 14),
            .priority = q.get<int>(15),
            .next_pass = text(q, 16),
            .due = optional_number<unix_ms>(q, 17),
            .counts = read_counts(q, 18),
            .grade = text(q, 25),
            .passes = q.get<std::uint32_t>(26),
            .since = q.get<unix_ms>(27),
            .queued_ms = q.get<std::uint64_t>(28),
            .running_ms = q.get<std::uint64_t>(29),
            .throttled_ms = q.get<std::uint64_t>(30),
            .stalled_ms = q.get<std::uint64_t>(31),
            .position = q.get<std::uint32_t>(32),
            .created = q.get<unix_ms>(33),
            .version = q.get<row_version>(34)};
}

[[nodiscard]] inline std::string select_migrations(std::string_view rest) {
    return fmt::format("SELECT {} FROM migration AS m {}", migration_columns, rest);
}

} // namespace postferry::store::detail

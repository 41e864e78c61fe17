#include "store/overview.hpp"

#include "store/detail/counts.hpp"
#include "store/detail/rows.hpp"

#include <algorithm>

namespace postferry::store {

using detail::each_row;
using detail::pass_on;
using detail::word;

namespace {

constexpr std::string_view due_now =
    "SELECT count(*), min(due) FROM (SELECT due FROM migration AS m WHERE due IS NOT NULL AND due <= $1 AND NOT EXISTS "
    "(SELECT 1 FROM lease WHERE lease.migration = m.id) LIMIT $2) AS waiting";

result<void> count_mailboxes(tables& t, overview& o) {
    auto done = each_row(t.db,
                         "SELECT c.state, CAST(sum(c.mailboxes) AS BIGINT), CAST(sum(c.messages_source) AS BIGINT), "
                         "CAST(sum(c.messages_copied) AS BIGINT), CAST(sum(c.messages_present) AS BIGINT), "
                         "CAST(sum(c.messages_skipped) AS BIGINT), CAST(sum(c.messages_failed) AS BIGINT), "
                         "CAST(sum(c.octets_source) AS BIGINT), CAST(sum(c.octets_copied) AS BIGINT) "
                         "FROM batch_tally AS c JOIN batch AS b ON b.id = c.batch WHERE b.state <> 'archived' "
                         "GROUP BY c.state HAVING sum(c.mailboxes) <> 0",
                         [&](const sql::query& q) {
                             o.mailboxes.push_back({.state = word<mailbox_state>(q, 0),
                                                    .mailboxes = q.get<std::uint64_t>(1),
                                                    .counts = detail::read_counts(q, 2)});
                         });
    if (!done) return pass_on(done);
    std::ranges::sort(o.mailboxes, {}, &batch_tally::state);
    return {};
}

result<void> count_batches(tables& t, overview& o) {
    auto done =
        each_row(t.db, "SELECT state, count(*) FROM batch GROUP BY state ORDER BY state", [&](const sql::query& q) {
            o.batches.emplace_back(word<batch_state>(q, 0), q.get<std::uint64_t>(1));
        });
    if (!done) return pass_on(done);
    done = each_row(
        t.db,
        "SELECT reason_class, count(*) FROM (SELECT reason_class FROM migration WHERE state = 'failed' LIMIT $1) AS f "
        "GROUP BY reason_class",
        [&](const sql::query& q) { o.failed[detail::text(q, 0)] = q.get<std::uint64_t>(1); }, overview::most_counted);
    if (!done) return pass_on(done);
    return {};
}

result<void> count_queue(tables& t, overview& o) {
    auto done = each_row(
        t.db, due_now,
        [&](const sql::query& q) {
            o.due = q.get<std::uint64_t>(0);
            if (o.due > 0) o.longest_due = std::max<unix_ms>(o.now - q.get<unix_ms>(1), 0);
        },
        o.now, overview::most_counted);
    if (!done) return pass_on(done);
    auto leases = detail::number(t.db, "SELECT count(*) FROM lease");
    if (!leases) return pass_on(leases);
    o.leases = static_cast<std::uint64_t>(*leases);
    return {};
}

} // namespace

result<overview> read_overview(tables& t) {
    auto now = t.now();
    if (!now) return pass_on(now);
    overview o{.now = *now};
    auto done = count_mailboxes(t, o);
    if (done) done = count_batches(t, o);
    if (done) done = count_queue(t, o);
    if (!done) return pass_on(done);
    auto servers = t.leases.servers();
    if (!servers) return pass_on(servers);
    o.servers = std::move(*servers);
    auto workers = t.leases.workers();
    if (!workers) return pass_on(workers);
    o.workers = std::move(*workers);
    return o;
}

} // namespace postferry::store

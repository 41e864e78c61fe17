#include "store/clock_watch.hpp"

#include "store/detail/rows.hpp"

namespace postferry::store {

using detail::pass_on;
using detail::run;

namespace {

constexpr unix_ms slack = 5'000; ///< of clocks that are set all the time, by little
constexpr unix_ms longest_throttle = 3'600'000;

} // namespace

void lease_watch::look(const std::vector<lease>& standing, std::int64_t now_ms) {
    std::map<record_id, seen> now;
    for (const lease& l : standing) {
        const auto before = seen_.find(l.migration);
        const bool same =
            before != seen_.end() && before->second.token == l.token && before->second.expires == l.expires;
        now.emplace(l.migration,
                    seen{.token = l.token, .expires = l.expires, .since_ms = same ? before->second.since_ms : now_ms});
    }
    seen_ = std::move(now);
    now_ms_ = now_ms;
}

bool lease_watch::silent(const lease& l) const noexcept {
    const auto at = seen_.find(l.migration);
    return at != seen_.end() && at->second.token == l.token && at->second.expires == l.expires &&
           now_ms_ - at->second.since_ms >= patience_.count();
}

result<std::vector<lease>> leases_of_others(tables& t, const std::string& worker) {
    std::vector<lease> out;
    auto done = detail::each_row(
        t.db, "SELECT migration, token, expires FROM lease WHERE worker <> $1",
        [&](const sql::query& q) {
            out.push_back(
                {.migration = q.get<record_id>(0), .token = q.get<std::int64_t>(1), .expires = q.get<unix_ms>(2)});
        },
        worker);
    if (!done) return pass_on(done);
    return out;
}

result<unix_ms> follow_clock_back(tables& t, unix_ms now, std::chrono::milliseconds term) {
    auto last = detail::number(t.db, "SELECT COALESCE(max(seen), 0) FROM worker");
    if (!last) return pass_on(last);
    if (*last <= now + slack) return unix_ms{0};
    // Whoever gets the rows first does the rest.
    auto noticed = run(t.db, "UPDATE worker SET seen = $1 WHERE seen > $2", now, now + slack);
    if (!noticed) return pass_on(noticed);
    if (*noticed == 0) return unix_ms{0};
    const unix_ms back = *last - now;
    auto done = run(t.db, "UPDATE lease SET expires = $1 WHERE expires > $1", now + term.count());
    if (done)
        done = run(t.db,
                   "UPDATE migration SET due = CASE WHEN due <= $1 THEN $2 ELSE due - $3 END, "
                   "until = CASE WHEN until > $2 THEN until - $3 ELSE until END WHERE due > $2 AND NOT EXISTS "
                   "(SELECT 1 FROM batch b WHERE b.id = migration.batch AND b.start_at > $2)",
                   *last, now, back);
    if (done)
        done = run(t.db,
                   "UPDATE server SET paused_until = CASE WHEN paused_until <= $1 THEN $2 ELSE paused_until - $3 END "
                   "WHERE paused_until > $2 AND paused_until < $4",
                   *last, now, back, *last + longest_throttle);
    if (!done) return pass_on(done);
    return back;
}

} // namespace postferry::store

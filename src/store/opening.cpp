#include "store/opening.hpp"

#include "store/detail/rows.hpp"

namespace postferry::store {

result<void> set_opening(tables& t, record_id batch, std::optional<unix_ms> was, unix_ms opens) {
    auto moved = detail::run(t.db,
                             "UPDATE migration SET due = $1, until = $1, version = version + 1 "
                             "WHERE batch = $2 AND state = 'paused' AND reason = 'window'",
                             opens, batch);
    if (moved && was)
        moved = detail::run(t.db,
                            "UPDATE migration SET due = $1, version = version + 1 "
                            "WHERE batch = $2 AND state = 'queued' AND due = $3",
                            opens, batch, *was);
    if (!moved) return detail::pass_on(moved);
    return {};
}

result<std::vector<record_id>> batches_outside_hours(tables& t) {
    std::vector<record_id> out;
    auto done =
        detail::each_row(t.db, "SELECT DISTINCT batch FROM migration WHERE state = 'paused' AND reason = 'window'",
                         [&](const sql::query& q) { out.push_back(q.get<record_id>(0)); });
    if (!done) return detail::pass_on(done);
    return out;
}

} // namespace postferry::store

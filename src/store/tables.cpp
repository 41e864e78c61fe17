#include "store/tables.hpp"

#include "store/detail/statements.hpp"

#include <chrono>

namespace postferry::store {

result<unix_ms> tables::now() {
    if (clock_) return clock_();
    unix_ms now = 0;
    if (db.dialect() == sql::dialect::sqlite) {
        const auto since = std::chrono::system_clock::now().time_since_epoch();
        return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
    }
    auto done = detail::each_row(db, "SELECT CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS BIGINT)",
                                 [&](const sql::query& q) { now = q.get<unix_ms>(0); });
    if (!done) return detail::pass_on(done);
    return now;
}

} // namespace postferry::store

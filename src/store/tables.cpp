#include "store/tables.hpp"

#include "store/detail/statements.hpp"

#include <fmt/format.h>

#include <chrono>

namespace postferry::store {

result<unix_ms> tables::now() {
    if (clock_ || db.dialect() == sql::dialect::sqlite) return now_or(0);
    static const std::string ask = fmt::format("SELECT {}", moment.postgresql);
    unix_ms now = 0;
    auto done = detail::each_row(db, ask, [&](const sql::query& q) { now = q.get<unix_ms>(0); });
    if (!done) return detail::pass_on(done);
    return now;
}

unix_ms tables::now_or(unix_ms told) const {
    if (clock_) return clock_();
    if (db.dialect() == sql::dialect::postgresql) return told;
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

} // namespace postferry::store

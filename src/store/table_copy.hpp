#pragma once
// Everything from one database into another one, table by table: SQLite to PostgreSQL, back, and a PostgreSQL into a
// file.
#include "sql/connection.hpp"

#include <cstdint>
#include <functional>
#include <string_view>

namespace postferry::store {

/// Told between bites; false = stop.
using copy_progress = std::function<bool(std::string_view table, std::int64_t rows)>;

struct copied_tables {
    int tables = 0;
    std::int64_t rows = 0;
};

/// Inside a snapshot of `from` and a transaction of `to`, which the caller commits when it has succeeded; both of the
/// current schema. What belongs to processes at work (workers, leases, holds) stays behind: mailboxes that were at work
/// are taken up again. Numbers go on where they were, so that none is given twice. Class config: `to` holds something
/// already (with `replace`, that goes first); class local: the counts differ afterwards; class cancelled: stopped.
[[nodiscard]] result<copied_tables> copy_tables(sql::connection& from, sql::connection& to, bool replace,
                                                const copy_progress& progress);

} // namespace postferry::store

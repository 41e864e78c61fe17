#include "sql/open.hpp"

#include "sql/postgresql.hpp"
#include "sql/sqlite.hpp"

namespace postferry::sql {

result<std::unique_ptr<connection>> open(const location& where, const secret& password, const open_options& options,
                                         trouble* kind) {
    if (where.dialect == dialect::postgresql) return open_postgresql(where, password, options, kind);
    const std::string name = options.name.empty() ? "database " + where.shown : options.name;
    return open_sqlite(where.file,
                       {.name = name,
                        .read_only = options.read_only,
                        .busy_timeout = options.busy_timeout,
                        .cache_kib = options.cache_kib},
                       kind);
}

result<std::unique_ptr<connection>> open(std::string_view url, const secret& password, const open_options& options,
                                         trouble* kind) {
    auto where = parse_location(url);
    if (!where) return std::unexpected(std::move(where.error()));
    return open(*where, password, options, kind);
}

} // namespace postferry::sql

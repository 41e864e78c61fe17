#pragma once
// What every repository over sql/ says again and again.
#include "sql/connection.hpp"

#include <string_view>
#include <utility>

namespace postferry::store::detail {

template <class T> std::unexpected<error> pass_on(result<T>& r) { return std::unexpected(std::move(r.error())); }

/// Statements whose rows nobody reads.
template <class... A> result<std::int64_t> run(sql::connection& db, std::string_view text, const A&... arguments) {
    auto q = db.prepare(text);
    if (!q) return pass_on(q);
    return q->run(arguments...);
}

/// Every row through `read(query)`.
template <class Read, class... A>
result<void> each_row(sql::connection& db, std::string_view text, Read read, const A&... arguments) {
    auto q = db.prepare(text);
    if (!q) return pass_on(q);
    auto row = q->first(arguments...);
    for (; row && *row; row = q->next()) read(*q);
    if (!row) return pass_on(row);
    return {};
}

} // namespace postferry::store::detail

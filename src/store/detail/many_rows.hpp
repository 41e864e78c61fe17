#pragma once
// Many rows looked for, or changed, in few statements: with a server each statement is a round trip.
#include "store/detail/rows.hpp"

#include <span>

namespace postferry::store::detail {

/// Every row whose `column` is one of `keys` (each once among them), through `read(query)`. `head` is a SELECT up to
/// its conditions, `tail` what follows them.
template <class Key, class Read>
result<void> each_among(sql::connection& db, std::string_view head, std::string_view column,
                        const std::vector<Key>& keys, Read read, std::string_view tail = {}) {
    for (std::span<const Key> left(keys); !left.empty(); left = left.subspan(std::min(left.size(), most_rows))) {
        selection wanted(head);
        wanted.any_of(column, left.first(std::min(left.size(), most_rows)));
        if (auto done = wanted.rows(db, read, tail); !done) return done;
    }
    return {};
}

/// A column that update_rows() sets. PostgreSQL does not guess the type of a parameter there.
struct typed_column {
    std::string_view name, type; ///< "BIGINT", "TEXT"
};

/// An UPDATE that gives many rows values of their own. `columns`: the key, which no two rows share, then what is set;
/// `fill(row, values)` appends a value for each. `also`: what is set alike in all, ending with a comma. Rows that are
/// not in the table are passed over.
template <class T, class Fill>
result<void> update_rows(sql::connection& db, std::string_view table, std::span<const typed_column> columns,
                         std::string_view also, const std::vector<T>& rows, Fill fill) {
    std::vector<sql::value> values;
    for (std::size_t at = 0; at < rows.size(); at += most_rows) {
        const std::size_t count = std::min(rows.size() - at, most_rows);
        values.clear();
        // As many rows as the next power of two, the last repeated: few texts. A row is changed once all the same.
        for (std::size_t i = 0; i < std::bit_ceil(count); ++i) fill(rows[at + std::min(i, count - 1)], values);
        std::string sql = fmt::format("UPDATE {} SET {}", table, also);
        for (std::size_t c = 1; c < columns.size(); ++c)
            fmt::format_to(std::back_inserter(sql), "{}{} = v.column{}", c == 1 ? "" : ", ", columns[c].name, c + 1);
        sql += " FROM (VALUES ";
        for (std::size_t i = 0; i < values.size(); ++i) {
            const std::size_t c = i % columns.size();
            sql += c > 0 ? ", " : i == 0 ? "(" : ", (";
            if (i < columns.size()) // the first row tells the types of all
                fmt::format_to(std::back_inserter(sql), "CAST(${} AS {})", i + 1, columns[c].type);
            else
                fmt::format_to(std::back_inserter(sql), "${}", i + 1);
            if (c + 1 == columns.size()) sql += ')';
        }
        fmt::format_to(std::back_inserter(sql), ") AS v WHERE {}.{} = v.column1", table, columns.front().name);
        auto q = db.prepare(sql);
        if (!q) return pass_on(q);
        auto row = q->first_of(values);
        while (row && *row) row = q->next();
        if (!row) return pass_on(row);
    }
    return {};
}

} // namespace postferry::store::detail

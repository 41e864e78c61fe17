#pragma once
// What the repositories of the control data share: one row, lists in pages with filters, many rows at once.
#include "sql/connection.hpp"
#include "store/detail/statements.hpp"
#include "store/paging.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace postferry::store::detail {

/// Columns as optional values. NULL reads as 0: for numbers that are never 0.
template <class T> std::optional<T> optional_number(const sql::query& q, int column) {
    const auto n = q.get<T>(column);
    return n == 0 ? std::nullopt : std::optional<T>(n);
}

/// A word of an enumeration, which only this program writes.
template <class E> E word(const sql::query& q, int column) { return parse<E>(q.text(column)).value_or(E{}); }

inline std::string text(const sql::query& q, int column) { return std::string(q.text(column)); }

/// The one row of a query, or none.
template <class Read, class... A>
auto one(sql::connection& db, std::string_view sql, Read read, const A&... arguments)
    -> result<std::optional<std::invoke_result_t<Read&, const sql::query&>>> {
    std::optional<std::invoke_result_t<Read&, const sql::query&>> found;
    auto done = each_row(db, sql, [&](const sql::query& q) { found.emplace(read(q)); }, arguments...);
    if (!done) return pass_on(done);
    return found;
}

/// A number that a query answers in its one row.
template <class... A> result<std::int64_t> number(sql::connection& db, std::string_view sql, const A&... arguments) {
    auto found = one(db, sql, [](const sql::query& q) { return q.get<std::int64_t>(0); }, arguments...);
    if (!found) return pass_on(found);
    return found->value_or(0);
}

inline sql::value value_of(std::string_view text) { return text; }
inline sql::value value_of(const std::string& text) { return std::string_view(text); }
inline sql::value value_of(const char* text) { return std::string_view(text); }
inline sql::value value_of(const std::vector<std::uint8_t>& blob) { return sql::octets(blob); }
template <std::integral T> sql::value value_of(T n) { return static_cast<std::int64_t>(n); }
template <class T> sql::value value_of(const std::optional<T>& v) { return v ? value_of(*v) : sql::value(); }

/// Appends the values of a row, in the order of its columns.
template <class... A> void put(std::vector<sql::value>& values, const A&... row) {
    (values.push_back(value_of(row)), ...);
}

/// A SELECT whose conditions depend on what is asked for. Values are views: they live until rows() has returned.
class selection {
  public:
    explicit selection(std::string_view head) : sql_(head) {}

    /// `column_and_operator`: "batch =", "at >=".
    void where(std::string_view column_and_operator, sql::value v) {
        begin_condition();
        values_.push_back(v);
        fmt::format_to(std::back_inserter(sql_), "{} ${}", column_and_operator, values_.size());
    }
    void where(std::string_view condition) {
        begin_condition();
        sql_ += condition;
    }
    /// `condition` with {0} for the place of one value.
    void where_with(std::string_view condition, sql::value v) {
        begin_condition();
        values_.push_back(v);
        fmt::format_to(std::back_inserter(sql_), fmt::runtime(condition), fmt::format("${}", values_.size()));
    }
    template <class E> void one_of(std::string_view column, const state_set<E>& states) {
        if (states.empty()) return;
        begin_condition();
        sql_ += column;
        sql_ += " IN (";
        states.each([&](E s) {
            values_.emplace_back(name_of(s));
            fmt::format_to(std::back_inserter(sql_), "${},", values_.size());
        });
        sql_.back() = ')';
    }
    /// As many parameters as the next power of two, the last repeated: few texts, each prepared once.
    template <class Keys> void none_of(std::string_view column, const Keys& keys) {
        if (!keys.empty()) among(column, "NOT IN", keys);
    }
    /// No keys: no rows. For many: each_among() (store/detail/many_rows.hpp).
    template <class Keys> void any_of(std::string_view column, const Keys& keys) {
        if (keys.empty()) return where("1 = 0");
        among(column, "IN", keys);
    }

    /// A page of it, by `key`.
    template <class Read>
    auto page(sql::connection& db, const paging& p, std::string_view key, Read read)
        -> result<slice<std::invoke_result_t<Read&, const sql::query&>>> {
        slice<std::invoke_result_t<Read&, const sql::query&>> out;
        auto more = each_of_page(db, p, key, [&](const sql::query& q) { out.rows.push_back(read(q)); });
        if (!more) return pass_on(more);
        out.more = *more;
        return out;
    }

    /// The same row by row through `read(query)`. True: there is a page behind it.
    template <class Read>
    result<bool> each_of_page(sql::connection& db, const paging& p, std::string_view key, Read read) {
        const auto limit = static_cast<std::size_t>(std::clamp(p.limit, 1, paging::max_limit));
        if (p.after > 0) where(fmt::format("{} {}", key, p.newest_first ? "<" : ">"), p.after);
        fmt::format_to(std::back_inserter(sql_), " ORDER BY {}{} LIMIT ", key, p.newest_first ? " DESC" : "");
        if (p.limit == paging{}.limit) {
            // The usual page has a text of its own: with a number to come PostgreSQL plans it anew each time.
            fmt::format_to(std::back_inserter(sql_), "{}", limit + 1);
        } else {
            values_.emplace_back(static_cast<std::int64_t>(limit + 1));
            fmt::format_to(std::back_inserter(sql_), "${}", values_.size());
        }
        auto q = db.prepare(sql_);
        if (!q) return pass_on(q);
        q->expect_few();
        std::size_t had = 0;
        auto row = q->first_of(values_);
        for (; row && *row && had < limit; row = q->next(), ++had) read(*q);
        return row;
    }

    template <class Read> result<void> rows(sql::connection& db, Read read, std::string_view tail = {}) {
        sql_ += tail;
        auto q = db.prepare(sql_);
        if (!q) return pass_on(q);
        auto row = q->first_of(values_);
        for (; row && *row; row = q->next()) read(*q);
        if (!row) return pass_on(row);
        return {};
    }

    /// For a DELETE: how many rows there were.
    result<std::int64_t> run(sql::connection& db) {
        auto q = db.prepare(sql_);
        if (!q) return pass_on(q);
        auto row = q->first_of(values_);
        while (row && *row) row = q->next();
        if (!row) return pass_on(row);
        return q->affected();
    }

  private:
    template <class Keys> void among(std::string_view column, std::string_view how, const Keys& keys) {
        begin_condition();
        fmt::format_to(std::back_inserter(sql_), "{} {} (", column, how);
        const auto put = [&](const auto& one) {
            values_.push_back(value_of(one));
            fmt::format_to(std::back_inserter(sql_), "${},", values_.size());
        };
        for (const auto& one : keys) put(one);
        for (std::size_t i = keys.size(); i < std::bit_ceil(keys.size()); ++i) put(*keys.rbegin());
        sql_.back() = ')';
    }
    void begin_condition() {
        sql_ += values_.empty() && !conditions_ ? " WHERE " : " AND ";
        conditions_ = true;
    }
    std::string sql_;
    std::vector<sql::value> values_;
    bool conditions_ = false;
};

/// LIKE's pattern for "somewhere in it", with its own characters escaped by a backslash.
inline std::string containing(std::string_view part) {
    std::string pattern = "%";
    for (const char c : part) {
        if (c == '%' || c == '_' || c == '\\') pattern += '\\';
        pattern += c;
    }
    return pattern + "%";
}

/// Rows of one statement at most.
inline constexpr std::size_t most_rows = 256;

/// One statement for many rows spares a server's round trips. `head`: "INSERT INTO t (a, b) VALUES"; `fill(row,
/// values)` appends as many values as there are columns; `read(query)` is told the rows of a RETURNING in `tail`.
template <class T, class Fill, class Read>
result<void> insert_rows(sql::connection& db, std::string_view head, std::string_view tail, const std::vector<T>& rows,
                         Fill fill, Read read) {
    std::vector<sql::value> values;
    for (std::size_t at = 0; at < rows.size();) {
        // Few sizes, powers of four: each is a statement that is prepared and kept.
        const auto width = static_cast<unsigned>(std::bit_width(std::min(rows.size() - at, most_rows)));
        const std::size_t bite = std::size_t{1} << ((width - 1) & ~1U);
        values.clear();
        for (std::size_t i = 0; i < bite; ++i) fill(rows[at + i], values);
        const std::size_t columns = values.size() / bite;
        std::string sql(head);
        for (std::size_t i = 0; i < values.size(); ++i)
            fmt::format_to(std::back_inserter(sql), "{}${}{}", i % columns == 0 ? (i == 0 ? " (" : ", (") : ", ", i + 1,
                           (i + 1) % columns == 0 ? ")" : "");
        sql += tail;
        auto q = db.prepare(sql);
        if (!q) return pass_on(q);
        auto row = q->first_of(values);
        for (; row && *row; row = q->next()) read(*q);
        if (!row) return pass_on(row);
        at += bite;
    }
    return {};
}

/// What an INSERT ... ON CONFLICT DO NOTHING, or an UPDATE that names a version, has answered: the row, or a refusal.
template <class T> result<T> or_refuse(result<std::optional<T>> row, std::string_view word, std::string_view what) {
    if (!row) return pass_on(row);
    if (!*row) return refusal::refuse(word, std::string(what));
    return std::move(**row);
}

/// An update that named a version has found no row: is it not there, or another version?
template <class... A>
std::unexpected<error> missing_or_changed(sql::connection& db, std::string_view what, std::string_view count_sql,
                                          const A&... key) {
    auto there = number(db, count_sql, key...);
    if (!there) return pass_on(there);
    if (*there == 0) return refusal::refuse(refusal::missing, fmt::format("there is no such {}", what));
    return refusal::refuse(refusal::conflict, fmt::format("the {} has been changed by somebody else", what),
                           "Read it again and repeat the change");
}

} // namespace postferry::store::detail

#include "store/table_copy.hpp"

#include "store/detail/rows.hpp"

#include <array>
#include <string>
#include <vector>

namespace postferry::store {

using detail::pass_on;

namespace {

// In an order in which rows find what they refer to.
constexpr std::array<std::string_view, 30> all_tables{
    "mailbox",     "folder",    "flag_set", "message",    "failure", "repaired", "named_folder", "name",
    "report",      "traffic",   "project",  "setting",    "domain",  "account",  "alias",        "batch",
    "batch_tally", "migration", "server",   "pass",       "event",   "log",      "credential",   "seal_key",
    "person",      "session",   "token",    "remembered", "link",    "waiver"};
constexpr std::array<std::string_view, 3> of_processes{"worker", "lease", "ledger_hold"};
constexpr std::size_t bite = 64;

struct column {
    std::string name;
    enum class kind : std::uint8_t { number, text, blob } holds = kind::number;
};

result<std::vector<column>> columns_of(sql::connection& db, std::string_view table) {
    static constexpr sql::spelling question{
        .sqlite = "SELECT name, lower(type) FROM pragma_table_info($1) ORDER BY cid",
        .postgresql = "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = "
                      "current_schema() AND table_name = $1 ORDER BY ordinal_position"};
    std::vector<column> out;
    auto done = detail::each_row(
        db, question.in(db.dialect()),
        [&](const sql::query& q) {
            const std::string_view type = q.text(1);
            out.push_back({.name = std::string(q.text(0)),
                           .holds = type == "text"                      ? column::kind::text
                                    : type == "blob" || type == "bytea" ? column::kind::blob
                                                                        : column::kind::number});
        },
        table);
    if (!done) return pass_on(done);
    return out;
}

result<std::int64_t> count(sql::connection& db, std::string_view table) {
    return detail::number(db, fmt::format("SELECT count(*) FROM {}", table));
}

std::string list(const std::vector<column>& columns) {
    std::string out;
    for (const column& c : columns) out += (out.empty() ? "\"" : ", \"") + c.name + "\"";
    return out;
}

/// A table on its way. Values are kept until their bite is written: what a query shows lives for one row only.
class table_on_its_way {
  public:
    table_on_its_way(sql::connection& from, sql::connection& to, std::string_view table, const copy_progress& progress)
        : from_(from), to_(to), table_(table), progress_(progress) {}

    result<std::int64_t> copy() {
        auto found = columns_of(from_, table_);
        if (!found) return pass_on(found);
        columns_ = std::move(*found);
        std::string select = "SELECT ";
        for (const column& c : columns_)
            fmt::format_to(std::back_inserter(select), "\"{0}\", \"{0}\" IS NULL, ", c.name);
        select.resize(select.size() - 2);
        auto q = from_.prepare(fmt::format("{} FROM {}", select, table_));
        if (!q) return pass_on(q);
        auto row = q->first();
        for (; row && *row; row = q->next()) {
            keep(*q);
            if (waiting_ < bite) continue;
            if (auto done = write(bite); !done) return pass_on(done);
        }
        if (!row) return pass_on(row);
        while (waiting_ > 0)
            if (auto done = write(waiting_ >= 8 ? 8 : 1); !done) return pass_on(done);
        return rows_;
    }

  private:
    struct held {
        bool null = false;
        std::int64_t number = 0;
        std::string octets;
    };

    void keep(const sql::query& q) {
        if (values_.size() < (waiting_ + 1) * columns_.size()) values_.resize((waiting_ + 1) * columns_.size());
        for (std::size_t i = 0; i < columns_.size(); ++i) {
            const int at = static_cast<int>(i) * 2;
            held& h = values_[waiting_ * columns_.size() + i];
            h.null = q.get<bool>(at + 1);
            if (h.null) continue;
            if (columns_[i].holds == column::kind::number)
                h.number = q.get<std::int64_t>(at);
            else if (columns_[i].holds == column::kind::text)
                h.octets = q.text(at);
            else
                h.octets.assign(reinterpret_cast<const char*>(q.blob(at).data()), q.blob(at).size());
        }
        ++waiting_;
    }

    [[nodiscard]] sql::value value_of(std::size_t row, std::size_t at) const {
        const held& h = values_[row * columns_.size() + at];
        if (h.null) return {};
        switch (columns_[at].holds) {
        case column::kind::number: return h.number;
        case column::kind::text: return std::string_view(h.octets);
        case column::kind::blob: break;
        }
        return sql::octets(reinterpret_cast<const std::uint8_t*>(h.octets.data()), h.octets.size());
    }

    /// The first `rows` of those that wait; the rest move up.
    result<void> write(std::size_t rows) {
        std::vector<std::size_t> numbers(rows);
        for (std::size_t i = 0; i < rows; ++i) numbers[i] = i;
        auto done = detail::insert_rows(
            to_, fmt::format("INSERT INTO {} ({}) VALUES", table_, list(columns_)), "", numbers,
            [&](std::size_t row, std::vector<sql::value>& values) {
                for (std::size_t i = 0; i < columns_.size(); ++i) values.push_back(value_of(row, i));
            },
            [](const sql::query&) {});
        if (!done) return done;
        rows_ += static_cast<std::int64_t>(rows);
        waiting_ -= rows;
        const auto gone = static_cast<std::ptrdiff_t>(rows * columns_.size());
        if (waiting_ > 0) std::rotate(values_.begin(), values_.begin() + gone, values_.end());
        if (progress_ && !progress_(table_, rows_))
            return fail(retry_class::cancelled, phase::ledger, "stopped; nothing was changed");
        return {};
    }

    sql::connection& from_;
    sql::connection& to_;
    std::string_view table_;
    const copy_progress& progress_;
    std::vector<column> columns_;
    std::vector<held> values_;
    std::size_t waiting_ = 0;
    std::int64_t rows_ = 0;
};

/// SQLite's foreign keys are not checked as it is opened here; PostgreSQL's order is the reverse of the copying.
result<void> empty_out(sql::connection& to) {
    for (const std::string_view table : of_processes)
        if (auto gone = detail::run(to, fmt::format("DELETE FROM {}", table)); !gone) return pass_on(gone);
    for (auto table = all_tables.rbegin(); table != all_tables.rend(); ++table)
        if (auto gone = detail::run(to, fmt::format("DELETE FROM {}", *table)); !gone) return pass_on(gone);
    return {};
}

result<void> must_be_empty(sql::connection& to) {
    for (const std::string_view table : all_tables) {
        // A new database has its first project.
        auto rows = count(to, table);
        if (!rows) return pass_on(rows);
        if (*rows > (table == "project" ? 1 : 0))
            return fail(
                retry_class::config, phase::ledger,
                fmt::format("the database that is to be filled holds something already ({} rows in {})", *rows, table),
                "Name an empty one, or give --force to put this in its place");
    }
    return {};
}

bool has_numbers(std::string_view table) {
    static constexpr std::array<std::string_view, 14> with_id{
        "mailbox", "folder",    "named_folder", "project", "domain", "account",    "alias",
        "batch",   "migration", "pass",         "event",   "log",    "credential", "person"};
    return std::ranges::find(with_id, table) != with_id.end() || table == "token" || table == "link";
}

/// The highest id that was ever given.
result<std::int64_t> last_number(sql::connection& db, std::string_view table) {
    if (db.dialect() == sql::dialect::postgresql)
        return detail::number(
            db, fmt::format("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {}_id_seq", table));
    auto highest = detail::number(db, fmt::format("SELECT COALESCE(max(id), 0) FROM {}", table));
    auto given = detail::number(db, "SELECT COALESCE(max(seq), 0) FROM sqlite_sequence WHERE name = $1", table);
    if (!highest || !given) return highest ? given : highest;
    return std::max(*highest, *given);
}

result<void> go_on_after(sql::connection& db, std::string_view table, std::int64_t number) {
    result<std::int64_t> done = 0;
    if (number <= 0) return {};
    if (db.dialect() == sql::dialect::postgresql)
        done = detail::number(db, fmt::format("SELECT setval('{}_id_seq', $1)", table), number);
    else
        done = detail::run(db, "UPDATE sqlite_sequence SET seq = $1 WHERE name = $2 AND seq < $1", number, table);
    if (!done) return pass_on(done);
    return {};
}

} // namespace

result<copied_tables> copy_tables(sql::connection& from, sql::connection& to, bool replace,
                                  const copy_progress& progress) {
    auto ready = replace ? empty_out(to) : must_be_empty(to);
    if (ready && !replace) ready = empty_out(to);
    if (!ready) return pass_on(ready);
    copied_tables out;
    for (const std::string_view table : all_tables) {
        auto rows = table_on_its_way(from, to, table, progress).copy();
        if (!rows) return pass_on(rows);
        auto there = count(to, table);
        if (!there) return pass_on(there);
        auto here = count(from, table);
        if (!here) return pass_on(here);
        if (*there != *here || *rows != *here)
            return fail(retry_class::local, phase::ledger,
                        fmt::format("{} has {} rows, but {} arrived", table, *here, *there), "Nothing was changed");
        if (has_numbers(table)) {
            auto last = last_number(from, table);
            if (!last) return pass_on(last);
            if (auto set = go_on_after(to, table, *last); !set) return pass_on(set);
        }
        ++out.tables;
        out.rows += *rows;
    }
    return out;
}

} // namespace postferry::store

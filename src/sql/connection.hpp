#pragma once
// The seam over databases: connect, bind, step, transaction. Repositories are written once over it. SQLite
// (sql/sqlite.hpp) and PostgreSQL (sql/postgresql.hpp) stand behind it; sql/open.hpp chooses by URL.
//
// SQL text: parameters are $1, $2 ... and first appear in ascending order, which both databases read alike. RETURNING
// and ON CONFLICT are common ground (in DO UPDATE name the table: `octets = traffic.octets + excluded.octets`); what
// the dialects spell differently (the making of tables, FOR UPDATE SKIP LOCKED) is a sql::spelling.
//
// Both databases promise the same, under these rules:
// - Inside a transaction nothing may follow a failed statement but rollback() or rollback_to_savepoint().
// - Order by numbers, or by text columns that PostgreSQL's schema step makes with COLLATE "C": SQLite compares octets.
// - Text comes back octet for octet, also where it is no UTF-8 or holds NUL.
#include "base/error.hpp"
#include "sql/dialect.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace postferry::sql {

using octets = std::span<const std::uint8_t>;

/// A value for a query whose parameters depend on what is asked for. Views live until the query has run.
using value = std::variant<std::monostate, std::int64_t, std::string_view, octets>;

/// What kind of failure the last one was, for those who must choose between ways out. `error` carries the words.
enum class trouble : std::uint8_t {
    none,
    full,           ///< no space left
    io,             ///< the disk or the network failed
    damaged,        ///< the database contradicts itself
    not_a_database, ///< the file is something else altogether
    busy,           ///< held by somebody else beyond the waiting time, or given up in a conflict; may be repeated
    read_only,      ///< may be read, not written
    no_access,      ///< cannot be opened
    constraint,     ///< the schema forbids the value
    other,
    /// The server cannot be reached or has cut the line. What was not committed has not happened; begin(), or a
    /// statement outside a transaction, connects again. sql/transaction.hpp repeats what is to be repeated.
    gone,
};

/// A prepared statement of one backend. Parameters count from 1, columns from 0. Bound values are copied. A failed bind
/// is kept and reported by the next step().
class statement {
  public:
    virtual ~statement() = default;
    virtual void bind(int parameter, std::int64_t value) = 0;
    virtual void bind(int parameter, std::string_view value) = 0;
    virtual void bind(int parameter, octets value) = 0;
    virtual void bind_null(int parameter) = 0;
    /// true: a row is there; false: done. After a failure only reset() helps.
    [[nodiscard]] virtual result<bool> step() = 0;
    virtual void reset() noexcept = 0;
    /// From now on its rows are fetched all at once: for statements with a LIMIT of some thousand. On a server one row
    /// at a time costs as much again as the row; in a file there is no difference.
    virtual void expect_few() noexcept {}
    [[nodiscard]] virtual std::int64_t integer(int column) const = 0;
    /// Views live until the next step() or reset(). NULL reads as 0 or as empty.
    [[nodiscard]] virtual std::string_view text(int column) const = 0;
    [[nodiscard]] virtual octets blob(int column) const = 0;
    /// Rows inserted, changed or deleted by this statement, which has been stepped to its end.
    [[nodiscard]] virtual std::int64_t affected() const = 0;
};

/// A cached statement on loan; it is reset when the loan ends. Take the same SQL text once at a time.
class query {
  public:
    explicit query(statement& s) noexcept : statement_(&s) {}

    query(query&& other) noexcept : statement_(std::exchange(other.statement_, nullptr)) {}

    query& operator=(query&&) = delete;

    ~query() {
        if (statement_ != nullptr) statement_->reset();
    }

    /// Binds, and runs to the end; rows are thrown away. Answers the number of rows affected.
    template <class... A> [[nodiscard]] result<std::int64_t> run(const A&... arguments) {
        auto more = first(arguments...);
        while (more && *more) more = next();
        if (!more) return std::unexpected(std::move(more.error()));
        return statement_->affected();
    }

    /// Binds, and steps to the first row. Then next() to go on.
    template <class... A> [[nodiscard]] result<bool> first(const A&... arguments) {
        statement_->reset();
        int parameter = 0;
        (bind(++parameter, arguments), ...);
        return statement_->step();
    }

    /// The same with as many values as there are parameters.
    [[nodiscard]] result<bool> first_of(std::span<const value> values) {
        statement_->reset();
        int parameter = 0;
        for (const value& v : values) bind(++parameter, v);
        return statement_->step();
    }

    /// The same with texts, as many as there are parameters: for statements of many rows. A column of another type
    /// reads its value from the text.
    [[nodiscard]] result<bool> first_of(std::span<const std::string_view> texts) {
        statement_->reset();
        for (int parameter = 0; const std::string_view text : texts) statement_->bind(++parameter, text);
        return statement_->step();
    }
    [[nodiscard]] result<std::int64_t> run_of(std::span<const std::string_view> texts) {
        auto more = first_of(texts);
        while (more && *more) more = next();
        if (!more) return std::unexpected(std::move(more.error()));
        return statement_->affected();
    }

    [[nodiscard]] result<bool> next() { return statement_->step(); }

    /// Before the first row: statement::expect_few().
    void expect_few() noexcept { statement_->expect_few(); }

    /// Rows inserted, changed or deleted, once next() has answered that there are no more.
    [[nodiscard]] std::int64_t affected() const { return statement_->affected(); }

    /// Column as any integer or bool; numbers above 2^63 come back as they were bound.
    template <class T> [[nodiscard]] T get(int column) const { return static_cast<T>(statement_->integer(column)); }

    [[nodiscard]] std::string_view text(int column) const { return statement_->text(column); }

    [[nodiscard]] octets blob(int column) const { return statement_->blob(column); }

  private:
    template <class T> void bind(int parameter, const T& value) {
        if constexpr (std::integral<T>)
            statement_->bind(parameter, static_cast<std::int64_t>(value));
        else if constexpr (std::convertible_to<const T&, std::string_view>)
            statement_->bind(parameter, std::string_view(value));
        else
            statement_->bind(parameter, octets(value));
    }

    template <class T> void bind(int parameter, const std::optional<T>& value) {
        if (value)
            bind(parameter, *value);
        else
            statement_->bind_null(parameter);
    }

    void bind(int parameter, const value& v) {
        std::visit(
            [&]<class T>(const T& held) {
                if constexpr (std::same_as<T, std::monostate>)
                    statement_->bind_null(parameter);
                else
                    statement_->bind(parameter, held);
            },
            v);
    }

    statement* statement_;
};

enum class durability : std::uint8_t {
    ordered, ///< survives the end of the process at once, a power cut only later; never torn
    synced,  ///< on the disk, with everything committed before it, when commit() returns
};

/// What a database says it is.
struct schema_mark {
    std::uint32_t application = 0; ///< whose schema; 0 = nobody's
    int version = 0;
    bool empty = true; ///< holds no table at all
};

/// One connection; one thread at a time. Failures are of class local and name the database and what to do about it.
class connection {
  public:
    virtual ~connection() = default;
    /// The statement of this text, prepared at the first call and kept.
    [[nodiscard]] virtual result<query> prepare(std::string_view sql) = 0;
    [[nodiscard]] result<query> prepare(const spelling& sql) { return prepare(sql.in(dialect())); }
    [[nodiscard]] virtual sql::dialect dialect() const noexcept = 0;
    /// Several statements without parameters.
    [[nodiscard]] virtual result<void> script(std::string_view sql) = 0;

    /// On a connection that was opened for reading only: a snapshot, all reads in it are of one moment.
    [[nodiscard]] virtual result<void> begin(durability how) = 0;
    /// A failed commit may leave the transaction open; rollback() then.
    [[nodiscard]] virtual result<void> commit() = 0;
    virtual void rollback() noexcept = 0; ///< nothing happens outside a transaction
    /// In place of begin(): until end_single() one statement is prepared, and reads. It is a snapshot by itself, so a
    /// server is spared the two round trips of a transaction; a second one fails (trouble::other).
    virtual void begin_single() noexcept = 0;
    virtual void end_single() noexcept = 0;
    /// false after begin() means that a failure has rolled everything back, or that the connection is gone.
    [[nodiscard]] virtual bool in_transaction() const noexcept = 0;
    /// One level of undo inside a transaction.
    [[nodiscard]] virtual result<void> savepoint() = 0;
    [[nodiscard]] virtual result<void> release_savepoint() = 0;
    [[nodiscard]] virtual result<void> rollback_to_savepoint() = 0; ///< undoes and releases

    /// After a commit() that failed with `gone`: did it happen? Connects again to find out; fails with `gone` while
    /// that cannot be done. Only databases that hold a schema of ours can tell (sql/schema.hpp): class local otherwise.
    [[nodiscard]] virtual result<bool> was_committed() = 0;

    [[nodiscard]] virtual result<schema_mark> read_schema_mark() = 0;
    /// Inside a transaction: until it ends nobody else changes the schema.
    [[nodiscard]] virtual result<void> lock_schema() = 0;
    /// Inside a transaction, with the change it marks.
    [[nodiscard]] virtual result<void> write_schema_mark(std::uint32_t application, int version) = 0;
    /// Of the last call that failed; begin() forgets what was before it.
    [[nodiscard]] virtual trouble last_trouble() const noexcept = 0;
};

} // namespace postferry::sql

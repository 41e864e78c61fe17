#include "sql/postgresql.hpp"

#include "sql/detail/pg_statement.hpp"
#include "sql/detail/pg_text.hpp"
#include "sql/detail/single_read.hpp"

#include <fmt/format.h>

#include <map>
#include <random>
#include <utility>

namespace postferry::sql {

namespace {

using detail::pg_link;
using detail::pg_result;
using detail::pg_statement;

using std::chrono::steady_clock;

std::string random_name() {
    std::random_device source;
    return fmt::format("{:08x}{:08x}{:08x}{:08x}", source(), source(), source(), source());
}

/// How it is known what became of a commit whose answer was lost: every transaction writes its number into a row of its
/// connection's own (postferry_commit), in the same round trip as COMMIT. After a reconnect the row tells. It also
/// tells when the server has forgotten commits that it had confirmed (a standby took over that was behind, a backup
/// came back).
class commit_numbers {
  public:
    /// The table is there only where sql/schema.hpp has been.
    void found_table(bool there) noexcept { there_ = there; }
    [[nodiscard]] bool there() const noexcept { return there_; }

    [[nodiscard]] std::string next() const {
        if (!there_) return "COMMIT";
        return fmt::format("INSERT INTO postferry_commit (session, number, at) VALUES ('{}', {}, now()) "
                           "ON CONFLICT (session) DO UPDATE SET number = excluded.number, at = excluded.at; COMMIT",
                           session_, confirmed_ + 1);
    }
    void committed() noexcept {
        if (there_) ++confirmed_;
        unsure_ = false;
        when_ = steady_clock::now();
    }
    void lost_answer() noexcept {
        unsure_ = there_;
        happened_.reset();
    }
    [[nodiscard]] std::string question() const {
        return fmt::format("SELECT number FROM postferry_commit WHERE session = '{}'", session_);
    }
    /// `number`: what the row holds, 0 = there is none. false: confirmed commits are missing.
    [[nodiscard]] bool answered(std::int64_t number) noexcept {
        if (unsure_) happened_ = number == confirmed_ + 1;
        if (std::exchange(unsure_, false) && *happened_) ++confirmed_;
        // Rows of old connections are swept (sweep_commits).
        const bool may_be_swept = number == 0 && steady_clock::now() - when_ > std::chrono::days(30);
        return number == confirmed_ || may_be_swept;
    }
    [[nodiscard]] std::optional<bool> happened() const noexcept { return happened_; }
    [[nodiscard]] bool in_question() const noexcept { return unsure_ || confirmed_ > 0; }

  private:
    std::string session_ = random_name();
    std::int64_t confirmed_ = 0;
    steady_clock::time_point when_;
    bool there_ = false;
    bool unsure_ = false;
    std::optional<bool> happened_; ///< of the commit whose answer was lost
};

class pg_connection final : public connection, private detail::pg_line_keeper {
  public:
    pg_connection(const location& where, const secret& password, const open_options& options)
        : link_(where, password, options), read_only_(options.read_only) {}

    result<void> connect();

    using connection::prepare;
    result<query> prepare(std::string_view sql) override;
    sql::dialect dialect() const noexcept override { return sql::dialect::postgresql; }
    result<void> script(std::string_view sql) override;
    result<void> begin(durability how) override;
    result<void> commit() override;
    void rollback() noexcept override;
    bool in_transaction() const noexcept override { return open_ && link_.up(); }
    void begin_single() noexcept override {
        link_.remember(trouble::none);
        single_.begin();
    }
    void end_single() noexcept override { single_.end(); }
    result<void> savepoint() override { return once("SAVEPOINT s"); }
    result<void> release_savepoint() override { return once("RELEASE SAVEPOINT s"); }
    result<void> rollback_to_savepoint() override { return once("ROLLBACK TO SAVEPOINT s; RELEASE SAVEPOINT s"); }
    result<bool> was_committed() override;
    result<schema_mark> read_schema_mark() override;
    result<void> lock_schema() override;
    result<void> write_schema_mark(std::uint32_t application, int version) override;
    trouble last_trouble() const noexcept override { return link_.last(); }

  private:
    result<void> make_ready() override;
    result<pg_result> ask(const std::string& sql);
    result<void> once(const std::string& sql);
    result<void> look_at_commits();
    result<void> sweep_commits();

    pg_link link_; // before the statements, which refer to it
    pg_statement* active_ = nullptr;
    std::map<std::string, pg_statement, std::less<>> statements_;
    commit_numbers commits_;
    bool read_only_;
    bool open_ = false;   ///< between begin() and its end, also when the line is lost meanwhile
    bool marked_ = false; ///< this transaction makes the table of commits
    detail::single_read single_;
    bool forgot_ = false; ///< the server has forgotten what it had confirmed
};

result<void> pg_connection::connect() {
    active_ = nullptr;
    auto done = link_.connect();
    if (done) done = look_at_commits();
    if (!done) link_.close();
    return done;
}

result<void> pg_connection::look_at_commits() {
    auto there = link_.simple("SELECT bool_and(has_table_privilege(to_regclass('postferry_commit'), wanted)) "
                              "FROM (VALUES ('SELECT'), ('INSERT'), ('UPDATE')) v (wanted)");
    if (!there) return std::unexpected(std::move(there.error()));
    commits_.found_table(!read_only_ && *PQgetvalue(there->get(), 0, 0) == 't');
    if (!commits_.in_question()) return commits_.there() ? sweep_commits() : result<void>{};
    std::int64_t number = 0;
    if (commits_.there()) {
        auto row = link_.simple(commits_.question());
        if (!row) return std::unexpected(std::move(row.error()));
        if (PQntuples(row->get()) == 1) number = detail::to_integer(PQgetvalue(row->get(), 0, 0));
    }
    forgot_ = !commits_.answered(number) || forgot_;
    if (!forgot_) return {};
    auto failure = link_.failed(trouble::damaged, "it has lost transactions that it had confirmed");
    failure.error().advice =
        "A standby may have taken over, or a backup come back. Start again: what is on the servers "
        "of mail is then looked at anew";
    return failure;
}

/// Rows of connections that are no more. Whoever may not delete them leaves them to others.
result<void> pg_connection::sweep_commits() {
    auto done =
        link_.simple("DELETE FROM postferry_commit WHERE session IN (SELECT session FROM postferry_commit WHERE "
                     "at < now() - interval '90 days' FOR UPDATE SKIP LOCKED)");
    if (!done && !link_.up()) return std::unexpected(std::move(done.error()));
    link_.remember(trouble::none);
    return {};
}

result<void> pg_connection::make_ready() {
    if (!link_.up()) {
        active_ = nullptr;
        if (open_) return link_.failed(trouble::gone, "the connection was lost");
        return connect();
    }
    return active_ != nullptr ? active_->make_room() : result<void>{};
}

result<pg_result> pg_connection::ask(const std::string& sql) {
    if (auto ready = make_ready(); !ready) return std::unexpected(std::move(ready.error()));
    return link_.simple(sql);
}

result<void> pg_connection::once(const std::string& sql) {
    auto done = ask(sql);
    if (!done) return std::unexpected(std::move(done.error()));
    return {};
}

result<query> pg_connection::prepare(std::string_view sql) {
    if (!single_.may_prepare()) return link_.failed(trouble::other, detail::single_read::refused);
    auto found = statements_.find(sql);
    if (found == statements_.end())
        found = statements_
                    .try_emplace(std::string(sql), static_cast<detail::pg_line_keeper&>(*this), link_, active_,
                                 fmt::format("s{}", statements_.size()), std::string(sql))
                    .first;
    auto ready = make_ready();
    if (ready) ready = found->second.prepare();
    if (!ready) return std::unexpected(std::move(ready.error()));
    return query(found->second);
}

result<void> pg_connection::script(std::string_view sql) { return once(std::string(sql)); }

result<void> pg_connection::begin(durability how) {
    open_ = marked_ = false;
    const std::string start = fmt::format("BEGIN{}; SET LOCAL synchronous_commit = {}",
                                          read_only_ ? " ISOLATION LEVEL REPEATABLE READ READ ONLY" : "",
                                          how == durability::synced ? "on" : "local");
    link_.remember(trouble::none); // what a repository finds wrong by itself must not look like the last trouble
    auto done = once(start);
    // A line that was cut while nobody used it shows only now. Nothing has happened yet, so once more.
    if (!done && link_.last() == trouble::gone && !link_.up() && !forgot_) done = once(start);
    open_ = done.has_value();
    return done;
}

result<void> pg_connection::commit() {
    if (!open_) return link_.failed(trouble::other, "commit outside a transaction");
    if (link_.in_failed_transaction()) return link_.failed(trouble::other, "a statement of this transaction failed");
    if (marked_) commits_.found_table(true);
    if (auto done = once(commits_.next()); !done) {
        if (link_.last() == trouble::gone) commits_.lost_answer();
        return done;
    }
    open_ = false;
    commits_.committed();
    return {};
}

void pg_connection::rollback() noexcept {
    if (!std::exchange(open_, false)) return;
    if (marked_) commits_.found_table(false); // until the next look
    const trouble why = link_.last();
    if (active_ != nullptr) active_->reset();
    if (link_.up() && !link_.simple("ROLLBACK")) link_.close();
    link_.remember(why);
}

result<bool> pg_connection::was_committed() {
    if (!commits_.there()) return link_.failed(trouble::other, "it cannot be told whether a commit happened");
    if (auto ready = make_ready(); !ready) return std::unexpected(std::move(ready.error()));
    return commits_.happened().value_or(false);
}

result<schema_mark> pg_connection::read_schema_mark() {
    auto there = ask("SELECT to_regclass('postferry_schema') IS NOT NULL, "
                     "(SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace "
                     "AND relkind IN ('r', 'p', 'v', 'm', 'f')), current_schema() IS NOT NULL");
    if (!there) return std::unexpected(std::move(there.error()));
    if (*PQgetvalue(there->get(), 0, 2) != 't')
        return link_.failed(trouble::no_access, "there is no schema on the search path that this user may use");
    schema_mark mark{.empty = detail::to_integer(PQgetvalue(there->get(), 0, 1)) == 0};
    if (*PQgetvalue(there->get(), 0, 0) != 't') return mark;
    auto row = ask("SELECT application, version FROM postferry_schema");
    if (!row) return std::unexpected(std::move(row.error()));
    if (PQntuples(row->get()) == 0) return mark;
    mark.application = static_cast<std::uint32_t>(detail::to_integer(PQgetvalue(row->get(), 0, 0)));
    mark.version = static_cast<int>(detail::to_integer(PQgetvalue(row->get(), 0, 1)));
    return mark;
}

result<void> pg_connection::lock_schema() {
    // "pfschema". Whoever holds it makes tables for a moment, so the wait may be longer than for a row.
    return once("SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(x'7066736368656d61'::bigint)");
}

result<void> pg_connection::write_schema_mark(std::uint32_t application, int version) {
    marked_ = !commits_.there();
    return once(fmt::format(
        "CREATE TABLE IF NOT EXISTS postferry_schema (application BIGINT PRIMARY KEY, version BIGINT NOT NULL); "
        "CREATE TABLE IF NOT EXISTS postferry_commit (session TEXT PRIMARY KEY, number BIGINT NOT NULL, "
        "at TIMESTAMPTZ NOT NULL); "
        "DELETE FROM postferry_schema; INSERT INTO postferry_schema VALUES ({}, {})",
        application, version));
}

} // namespace

result<std::unique_ptr<connection>> open_postgresql(const location& where, const secret& password,
                                                    const open_options& options, trouble* kind) {
    auto made = std::make_unique<pg_connection>(where, password, options);
    auto ready = made->connect();
    if (kind != nullptr) *kind = ready ? trouble::none : made->last_trouble();
    if (!ready) return std::unexpected(std::move(ready.error()));
    return made;
}

} // namespace postferry::sql

#include "sql/sqlite.hpp"

#include "sql/detail/single_read.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <array>
#include <cassert>
#include <fcntl.h>
#include <fstream>
#include <unistd.h>
#include <unordered_map>
#include <utility>

namespace postferry::sql {

namespace {

trouble trouble_of(int code) noexcept {
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return trouble::none;
    case SQLITE_FULL: return trouble::full;
    case SQLITE_IOERR: return trouble::io;
    case SQLITE_CORRUPT: return trouble::damaged;
    case SQLITE_NOTADB: return trouble::not_a_database;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return trouble::busy;
    case SQLITE_READONLY: return trouble::read_only;
    case SQLITE_PERM:
    case SQLITE_CANTOPEN: return trouble::no_access;
    case SQLITE_CONSTRAINT: return trouble::constraint;
    default: return trouble::other;
    }
}

std::string_view advice_for(trouble kind) noexcept {
    switch (kind) {
    case trouble::full: return "Free some space and run again; everything recorded so far is safe";
    case trouble::io: return "Check the disk (dmesg, quota) and run again; everything recorded so far is safe";
    case trouble::damaged:
    case trouble::not_a_database:
        return "Move the file aside, with its companions ending in -wal and -shm, and run again: what has been copied "
               "already "
               "is then recognised on the target and not copied twice";
    case trouble::busy: return "Another program holds the file; end it and run again";
    case trouble::read_only:
    case trouble::no_access: return "Check that the folder and the file exist and may be written by this user";
    default: return {};
    }
}

std::string_view words_for(trouble kind) noexcept {
    switch (kind) {
    case trouble::full: return "the disk is full";
    case trouble::io: return "reading or writing failed";
    case trouble::damaged: return "the file is damaged";
    case trouble::not_a_database: return "the file is damaged, or no ledger at all";
    case trouble::busy: return "in use by another program";
    case trouble::read_only: return "cannot be written";
    case trouble::no_access: return "cannot be opened";
    default: return "failed";
    }
}

error error_of(const std::string& name, int code, const char* text) {
    const trouble kind = trouble_of(code);
    return {.cls = retry_class::local,
            .where = phase::ledger,
            .what = fmt::format("{}: {} ({})", name, words_for(kind), text != nullptr ? text : sqlite3_errstr(code)),
            .server_said = {},
            .advice = std::string(advice_for(kind)),
            .response_code = {}};
}

struct close_handle {
    void operator()(sqlite3* handle) const noexcept { sqlite3_close_v2(handle); }

    void operator()(sqlite3_stmt* handle) const noexcept { sqlite3_finalize(handle); }
};

using database_handle = std::unique_ptr<sqlite3, close_handle>;
using statement_handle = std::unique_ptr<sqlite3_stmt, close_handle>;

/// What a connection and its statements share.
struct database {
    database_handle handle;
    std::string name;
    trouble last = trouble::none;

    std::unexpected<error> failed(int code) {
        last = trouble_of(code);
        return std::unexpected(error_of(name, code, handle ? sqlite3_errmsg(handle.get()) : nullptr));
    }
};

class sqlite_statement final : public statement {
  public:
    sqlite_statement(database& db, statement_handle handle) noexcept : db_(db), handle_(std::move(handle)) {}

    void bind(int parameter, std::int64_t value) override { keep(sqlite3_bind_int64(handle_.get(), parameter, value)); }

    void bind(int parameter, std::string_view value) override {
        keep(sqlite3_bind_text64(handle_.get(), parameter, value.data() == nullptr ? "" : value.data(), value.size(),
                                 SQLITE_TRANSIENT, SQLITE_UTF8));
    }

    void bind(int parameter, octets value) override {
        keep(sqlite3_bind_blob64(handle_.get(), parameter, value.data(), value.size(), SQLITE_TRANSIENT));
    }

    void bind_null(int parameter) override { keep(sqlite3_bind_null(handle_.get(), parameter)); }

    result<bool> step() override {
        if (bind_code_ != SQLITE_OK) return db_.failed(bind_code_);
        const int code = sqlite3_step(handle_.get());
        if (code == SQLITE_ROW) return true;
        if (code == SQLITE_DONE) return false;
        return db_.failed(sqlite3_extended_errcode(db_.handle.get()));
    }

    void reset() noexcept override {
        sqlite3_reset(handle_.get());
        bind_code_ = SQLITE_OK;
    }

    std::int64_t integer(int column) const override { return sqlite3_column_int64(handle_.get(), column); }

    std::string_view text(int column) const override {
        const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(handle_.get(), column));
        return data == nullptr ? std::string_view{} : std::string_view(data, length(column));
    }

    octets blob(int column) const override {
        const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(handle_.get(), column));
        return data == nullptr ? octets{} : octets(data, length(column));
    }

    std::int64_t affected() const override { return sqlite3_changes64(db_.handle.get()); }

  private:
    void keep(int code) noexcept {
        if (bind_code_ == SQLITE_OK) bind_code_ = code;
    }

    std::size_t length(int column) const {
        return static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column));
    }

    database& db_;
    statement_handle handle_;
    int bind_code_ = SQLITE_OK;
};

struct text_hash {
    using is_transparent = void;

    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
};

class sqlite_connection final : public connection {
  public:
    explicit sqlite_connection(database db) noexcept : db_(std::move(db)) {}

    result<void> set_up(const sqlite_options& options, bool file);

    using connection::prepare;
    result<query> prepare(std::string_view sql) override;
    sql::dialect dialect() const noexcept override { return sql::dialect::sqlite; }
    result<void> script(std::string_view sql) override;
    result<void> begin(durability how) override;

    result<void> commit() override { return once("COMMIT"); }

    void rollback() noexcept override {
        if (in_transaction()) sqlite3_exec(db_.handle.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    }

    bool in_transaction() const noexcept override { return sqlite3_get_autocommit(db_.handle.get()) == 0; }

    void begin_single() noexcept override {
        db_.last = trouble::none;
        single_.begin();
    }

    void end_single() noexcept override { single_.end(); }

    result<void> savepoint() override { return once("SAVEPOINT s"); }

    result<void> release_savepoint() override { return once("RELEASE s"); }

    result<void> rollback_to_savepoint() override {
        auto undone = once("ROLLBACK TO s");
        return undone ? once("RELEASE s") : undone;
    }

    result<bool> was_committed() override { return false; } // a file is never gone

    result<schema_mark> read_schema_mark() override;

    result<void> lock_schema() override { return {}; } // BEGIN IMMEDIATE has locked it all

    result<void> write_schema_mark(std::uint32_t application, int version) override {
        return script(fmt::format("PRAGMA application_id={}; PRAGMA user_version={}", application, version));
    }

    trouble last_trouble() const noexcept override { return db_.last; }

  private:
    result<void> once(std::string_view sql) {
        auto q = prepare(sql);
        if (!q) return std::unexpected(std::move(q.error()));
        auto done = q->run();
        if (!done) return std::unexpected(std::move(done.error()));
        return {};
    }

    result<std::int64_t> number(std::string_view sql);

    database db_; // before the statements, which refer to it
    std::unordered_map<std::string, sqlite_statement, text_hash, std::equal_to<>> statements_;
    bool wal_ = false;
    bool read_only_ = false;
    detail::single_read single_;
    durability now_ = durability::ordered;
};

result<query> sqlite_connection::prepare(std::string_view sql) {
    if (!single_.may_prepare()) {
        db_.last = trouble::other;
        return std::unexpected(error_of(db_.name, SQLITE_MISUSE, detail::single_read::refused));
    }
    auto found = statements_.find(sql);
    if (found == statements_.end()) {
        sqlite3_stmt* raw = nullptr;
        const int code = sqlite3_prepare_v3(db_.handle.get(), sql.data(), static_cast<int>(sql.size()),
                                            SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
        statement_handle handle(raw);
        if (code != SQLITE_OK) return db_.failed(sqlite3_extended_errcode(db_.handle.get()));
        // $2 before $1 would be numbered the other way round here than in PostgreSQL.
        for (int i = 1; i <= sqlite3_bind_parameter_count(raw); ++i)
            assert(sqlite3_bind_parameter_name(raw, i) == fmt::format("${}", i));
        found = statements_.try_emplace(std::string(sql), db_, std::move(handle)).first;
    }
    return query(found->second);
}

result<void> sqlite_connection::script(std::string_view sql) {
    const int code = sqlite3_exec(db_.handle.get(), std::string(sql).c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return db_.failed(sqlite3_extended_errcode(db_.handle.get()));
    return {};
}

result<void> sqlite_connection::begin(durability how) {
    // In WAL mode NORMAL leaves the log to the kernel, FULL flushes it after the commit: with it, as it is one file,
    // all that was committed before. The level cannot change inside a transaction, hence here. Without WAL it is
    // always FULL, as NORMAL could then damage the file in a power cut.
    if (wal_ && how != now_) {
        auto set = script(how == durability::synced ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
        if (!set) return set;
        now_ = how;
    }
    db_.last = trouble::none; // what a repository finds wrong by itself must not look like the last trouble
    return once(read_only_ ? "BEGIN" : "BEGIN IMMEDIATE");
}

result<std::int64_t> sqlite_connection::number(std::string_view sql) {
    auto q = prepare(sql);
    if (!q) return std::unexpected(std::move(q.error()));
    auto row = q->first();
    if (!row) return std::unexpected(std::move(row.error()));
    return *row ? q->get<std::int64_t>(0) : 0;
}

result<schema_mark> sqlite_connection::read_schema_mark() {
    auto application = number("PRAGMA application_id");
    if (!application) return std::unexpected(std::move(application.error()));
    auto version = number("PRAGMA user_version");
    if (!version) return std::unexpected(std::move(version.error()));
    auto tables = number("SELECT count(*) FROM sqlite_master");
    if (!tables) return std::unexpected(std::move(tables.error()));
    return schema_mark{.application = static_cast<std::uint32_t>(*application),
                       .version = static_cast<int>(*version),
                       .empty = *tables == 0};
}

result<void> sqlite_connection::set_up(const sqlite_options& options, bool file) {
    sqlite3_extended_result_codes(db_.handle.get(), 1);
    sqlite3_busy_timeout(db_.handle.get(), static_cast<int>(options.busy_timeout.count()));
    // Nothing secret is in here that erased rows would have to be overwritten for (Debian's default).
    auto set = script(
        fmt::format("PRAGMA cache_size=-{}; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA secure_delete=OFF",
                    options.cache_kib));
    read_only_ = options.read_only;
    if (!set || options.read_only || !file) return set;
    if (sqlite3_db_readonly(db_.handle.get(), "main") == 1) return db_.failed(SQLITE_READONLY);
    if (options.foreign) return script("PRAGMA synchronous=FULL");
    // auto_vacuum counts only while the file is being made.
    set = script("PRAGMA auto_vacuum=NONE");
    if (!set) return set;
    auto mode = prepare("PRAGMA journal_mode=WAL");
    if (!mode) return std::unexpected(std::move(mode.error()));
    auto row = mode->first();
    if (!row) return std::unexpected(std::move(row.error()));
    wal_ = *row && mode->text(0) == "wal"; // some network file systems cannot
    return script(wal_ ? "PRAGMA synchronous=NORMAL" : "PRAGMA synchronous=FULL");
}

/// SQLite takes a page that the file's end cuts through for one that ends in zeros, and a file shorter than a header
/// for an empty one. Only a log (-wal) may hold what is missing.
bool cut_short(const std::filesystem::path& path) {
    std::error_code failed;
    const auto size = std::filesystem::file_size(path, failed);
    if (failed || size == 0) return false;
    std::filesystem::path log = path;
    log += "-wal";
    const auto log_size = std::filesystem::file_size(log, failed);
    if (!failed && log_size != 0) return false;
    std::array<char, 18> header{};
    if (size < 100 || !std::ifstream(path, std::ios::binary).read(header.data(), header.size())) return true;
    const auto octet = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(header[i])); };
    const unsigned page = octet(16) << 8U | octet(17); // https://www.sqlite.org/fileformat.html#page_size, 1 = 65536
    return std::string_view(header.data(), 16) == std::string_view("SQLite format 3\0", 16) && page > 1 &&
           size % page != 0;
}

/// file:PATH?immutable=1, with the three characters escaped that an SQLite URI gives a meaning to.
std::string immutable_uri(const std::string& path) {
    std::string uri = "file:";
    for (const char c : path) {
        if (c == '%' || c == '?' || c == '#')
            uri += fmt::format("%{:02x}", static_cast<unsigned char>(c));
        else
            uri += c;
    }
    return uri + "?immutable=1";
}

} // namespace

result<std::unique_ptr<connection>> open_sqlite(const std::filesystem::path& path, const sqlite_options& options,
                                                trouble* kind) {
    const bool file = !path.empty();
    // One thread at a time uses a connection, so SQLite's own mutexes would be for nothing.
    int flags = SQLITE_OPEN_NOMUTEX | (options.read_only && file ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
    if (!options.foreign && !(options.read_only && file)) flags |= SQLITE_OPEN_CREATE;
    std::string location = file ? std::filesystem::absolute(path).string() : ":memory:";
    if (options.immutable) {
        location = immutable_uri(location);
        flags |= SQLITE_OPEN_URI;
    }
    // A new one is for its owner only, from its first octet on: SQLite would ask the umask. Its log follows the file.
    if (file && (flags & SQLITE_OPEN_CREATE) != 0)
        if (const int fd = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600); fd >= 0)
            ::close(fd);
    sqlite3* raw = nullptr;
    const int code = sqlite3_open_v2(location.c_str(), &raw, flags, nullptr);
    database db{.handle = database_handle(raw), .name = options.name};
    if (code != SQLITE_OK) {
        if (kind != nullptr) *kind = trouble_of(code);
        return db.failed(code);
    }
    if (file && cut_short(path)) {
        if (kind != nullptr) *kind = trouble::damaged;
        return std::unexpected(error_of(options.name, SQLITE_CORRUPT, "its end is missing"));
    }
    auto connected = std::make_unique<sqlite_connection>(std::move(db));
    auto ready = connected->set_up(options, file);
    if (kind != nullptr) *kind = connected->last_trouble();
    if (!ready) return std::unexpected(std::move(ready.error()));
    return connected;
}

} // namespace postferry::sql

#include "store/backup.hpp"

#include "sql/sqlite.hpp"
#include "store/detail/place.hpp"
#include "store/detail/statements.hpp"
#include "store/ledger_schema.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace postferry::store {

namespace fs = std::filesystem;
using detail::held_connection;
using detail::pass_on;
using detail::purpose;

namespace {

std::unexpected<error> there_already(const fs::path& file) {
    return fail(retry_class::config, phase::ledger, fmt::format("{} is there already", file.string()),
                "Name another file, or give --force to replace it");
}

void remove_with_companions(const fs::path& file) {
    std::error_code ignored;
    for (const char* end : {"", "-wal", "-shm", "-journal"}) {
        fs::path one = file;
        one += end;
        fs::remove(one, ignored);
    }
}

/// A snapshot that does not hold up those who write; pages that are free are left out.
result<void> vacuum_into(sql::connection& from, const fs::path& file) {
    std::string quoted;
    for (const char c : file.string()) quoted += c == '\'' ? std::string("''") : std::string(1, c);
    return from.script(fmt::format("VACUUM INTO '{}'", quoted));
}

result<void> tables_into(sql::connection& from, const fs::path& file, const copy_progress& progress) {
    auto fit = sql::inspect(from, ledger_schema());
    if (!fit) return pass_on(fit);
    if (*fit != sql::schema_fit::current)
        return fail(retry_class::config, phase::ledger, "the store was made by an older Postferry",
                    "The next copy or migrate brings it up to date; until then: pg_dump");
    auto to = sql::open_sqlite(file, {.name = "backup " + file.string()});
    if (!to) return pass_on(to);
    auto done = sql::migrate(**to, ledger_schema());
    if (done) done = from.begin(sql::durability::ordered);
    if (!done) return done;
    auto copied = detail::in_transaction(**to, [&] { return copy_tables(from, **to, false, progress); });
    from.rollback();
    if (!copied) return pass_on(copied);
    return {};
}

std::unexpected<error> no_use(const fs::path& file, std::string_view why) {
    return fail(retry_class::config, phase::ledger, fmt::format("{} is damaged, or no backup: {}", file.string(), why),
                "Use another backup; nothing was changed");
}

/// A backup that may be trusted, opened for reading.
result<std::unique_ptr<sql::connection>> open_backup(const fs::path& file) {
    std::error_code ignored;
    if (!fs::exists(file, ignored))
        return fail(retry_class::config, phase::ledger, fmt::format("there is no backup {}", file.string()));
    sql::trouble kind{};
    auto db = sql::open_sqlite(file, {.name = "backup " + file.string(), .read_only = true, .immutable = true}, &kind);
    if (!db && kind == sql::trouble::damaged) return no_use(file, db.error().what);
    if (!db) return db;
    auto fit = sql::inspect(**db, ledger_schema());
    if (!fit) return no_use(file, fit.error().what);
    if (*fit != sql::schema_fit::current && *fit != sql::schema_fit::older)
        return fail(retry_class::config, phase::ledger,
                    fmt::format("{} is no backup that this program can restore", file.string()));
    std::string verdict;
    auto checked = detail::each_row(**db, "PRAGMA integrity_check(1)",
                                    [&](const sql::query& q) { verdict = std::string(q.text(0)); });
    if (!checked || verdict != "ok") return no_use(file, checked ? verdict : checked.error().what);
    return db;
}

result<void> restore_file(const fs::path& file, const fs::path& to, bool replace) {
    auto lock = file_lock::take(to, "postferry store restore");
    if (!lock) return pass_on(lock);
    std::error_code failed;
    if (!replace && fs::exists(to, failed) && fs::file_size(to, failed) > 0) return there_already(to);
    fs::path next = to;
    next += ".restoring";
    remove_with_companions(next);
    fs::copy_file(file, next, failed);
    if (failed)
        return fail(retry_class::local, phase::ledger,
                    fmt::format("{} cannot be written: {}", next.string(), failed.message()));
    chmod(next.c_str(), 0600);
    if (auto done = detail::sync_file(next); !done) return done;
    // The old log before the old file: over the new one it would be somebody else's.
    for (const char* end : {"-wal", "-shm"}) {
        fs::path log = to;
        log += end;
        fs::remove(log, failed);
    }
    fs::rename(next, to, failed);
    if (failed)
        return fail(retry_class::local, phase::ledger,
                    fmt::format("{} cannot be put in place: {}", to.string(), failed.message()));
    if (auto done = detail::sync_folder_of(to); !done) return done;
    auto db = sql::open_sqlite(to, {.name = "store " + to.string()});
    if (!db) return pass_on(db);
    return sql::migrate(**db, ledger_schema());
}

/// Tables can be copied between equal schemas only: an older backup is brought up in a copy of its own.
result<void> restore_tables(const fs::path& file, held_connection& to, bool replace, const copy_progress& progress) {
    auto from = sql::open_sqlite(file, {.name = "backup " + file.string(), .read_only = true, .immutable = true});
    if (!from) return pass_on(from);
    auto fit = sql::inspect(**from, ledger_schema());
    if (!fit) return pass_on(fit);
    if (*fit == sql::schema_fit::older)
        return fail(retry_class::config, phase::ledger, fmt::format("{} was made by an older Postferry", file.string()),
                    "Restore it into a file first (--state FILE), then: postferry store move FILE postgresql://...");
    auto begun = (*from)->begin(sql::durability::ordered);
    if (!begun) return begun;
    auto copied = detail::in_transaction(*to.db, [&] { return copy_tables(**from, *to.db, replace, progress); });
    (*from)->rollback();
    if (!copied) return pass_on(copied);
    return {};
}

} // namespace

result<void> back_up(const store_place& from, const fs::path& file, bool replace, const copy_progress& progress) {
    std::error_code failed;
    if (!replace && fs::exists(file, failed)) return there_already(file);
    auto source = detail::open_place(from, purpose::look, "postferry store backup");
    if (!source) return pass_on(source);
    fs::path part = file;
    part += ".part";
    remove_with_companions(part);
    // Passwords' hashes and sealed secrets: for nobody else, from the first octet on. SQLite takes an empty file.
    if (const int fd = ::open(part.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600); fd >= 0)
        ::close(fd);
    auto done = from.where.dialect == sql::dialect::sqlite ? vacuum_into(*source->db, part)
                                                           : tables_into(*source->db, part, progress);
    if (done && chmod(part.c_str(), 0600) != 0)
        done = fail(retry_class::local, phase::ledger, fmt::format("{} cannot be written", part.string()));
    if (done) done = detail::sync_file(part);
    if (done) {
        fs::rename(part, file, failed);
        if (failed)
            done = fail(retry_class::local, phase::ledger,
                        fmt::format("{} cannot be put in place: {}", file.string(), failed.message()));
    }
    if (!done) {
        remove_with_companions(part);
        return done;
    }
    return detail::sync_folder_of(file);
}

result<void> restore(const fs::path& file, const store_place& to, bool replace, const copy_progress& progress) {
    if (auto checked = open_backup(file); !checked) return pass_on(checked);
    if (to.where.dialect == sql::dialect::sqlite) {
        std::error_code ignored;
        return restore_file(file, fs::weakly_canonical(to.where.file, ignored), replace);
    }
    auto target = detail::open_place(to, purpose::change, "postferry store restore");
    if (!target) return pass_on(target);
    if (auto free = detail::nobody_works(*target); !free) return free;
    return restore_tables(file, *target, replace, progress);
}

result<copied_tables> move(const store_place& from, const store_place& to, const copy_progress& progress) {
    if (from.where.shown == to.where.shown) return fail(retry_class::config, phase::ledger, "the two stores are one");
    if (from.where.dialect == sql::dialect::sqlite) {
        std::error_code ignored;
        if (!fs::exists(from.where.file, ignored))
            return fail(retry_class::config, phase::ledger, fmt::format("there is no store {}", from.where.shown));
    }
    // For change, though nothing is: its lock keeps others away, and an older one is brought up to date.
    auto source = detail::open_place(from, purpose::change, "postferry store move");
    if (!source) return pass_on(source);
    auto target = detail::open_place(to, purpose::change, "postferry store move");
    if (!target) return pass_on(target);
    for (held_connection* one : {&*source, &*target})
        if (auto free = detail::nobody_works(*one); !free) return pass_on(free);
    return detail::in_transaction(*source->db, [&] {
        return detail::in_transaction(*target->db,
                                      [&] { return copy_tables(*source->db, *target->db, false, progress); });
    });
}

} // namespace postferry::store

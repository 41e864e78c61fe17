// ledger_file::open: everything that can be wrong with a file, said before anything starts.
#include "sql/sqlite.hpp"
#include "store/ledger_file.hpp"
#include "store/ledger_schema.hpp"

#include <fmt/format.h>

namespace postferry::store {

namespace fs = std::filesystem;
using sql::schema_fit;
using sql::trouble;

namespace {

using opened = result<std::unique_ptr<sql::connection>>;

/// Two names of one file must lead to one lock.
fs::path real_path(const fs::path& path) {
    std::error_code failed;
    fs::path real = fs::weakly_canonical(path, failed);
    return failed ? fs::absolute(path, failed) : real;
}

error as_config(error why) {
    why.cls = retry_class::config;
    return why;
}

/// Wrong content is nothing that another attempt could mend, unlike trouble with the disk.
error at_opening(error why, trouble kind) {
    return kind == trouble::damaged || kind == trouble::not_a_database ? as_config(std::move(why)) : why;
}

result<void> bring_up(sql::connection& db, const std::string& name, bool read_only) {
    const sql::schema& wanted = ledger_schema();
    auto fit = sql::inspect(db, wanted);
    if (!fit) return std::unexpected(std::move(fit.error()));
    switch (*fit) {
    case schema_fit::current: return {};
    case schema_fit::foreign:
        return fail(retry_class::config, phase::ledger, fmt::format("{}: the file belongs to another program", name),
                    "Name another file with --state");
    case schema_fit::newer: {
        auto mark = db.read_schema_mark();
        return fail(retry_class::config, phase::ledger,
                    fmt::format("{} was made by a newer Postferry (its version is {}, this program knows {})", name,
                                mark ? mark->version : 0, wanted.version()),
                    "Use the newer program, or name another ledger with --state");
    }
    case schema_fit::older:
        if (read_only)
            return fail(retry_class::config, phase::ledger, fmt::format("{} was made by an older Postferry", name),
                        "The next copy or migrate brings it up to date");
        [[fallthrough]];
    case schema_fit::empty: return sql::migrate(db, wanted);
    }
    return {};
}

opened try_open(const fs::path& path, const sql::sqlite_options& options, trouble& kind) {
    auto db = sql::open_sqlite(path, options, &kind);
    if (!db) return std::unexpected(at_opening(std::move(db.error()), kind));
    auto usable = bring_up(**db, options.name, options.read_only && !path.empty());
    if (usable) usable = ledger_repository(**db).probe();
    kind = (*db)->last_trouble();
    if (!usable) return std::unexpected(at_opening(std::move(usable.error()), kind));
    return db;
}

opened open_for_reading(const fs::path& path, sql::sqlite_options options) {
    options.read_only = true;
    std::error_code ignored;
    const auto size = fs::file_size(path, ignored);
    trouble kind{};
    if (ignored || size == 0) return try_open({}, options, kind); // nothing there yet: an empty one in memory
    auto db = try_open(path, options, kind);
    if (db || (kind != trouble::no_access && kind != trouble::read_only)) return db;
    // A folder where we may not write. Without a log beside it the file is all there is, and nobody writes it.
    fs::path log = path;
    log += "-wal";
    if (fs::exists(log, ignored) && fs::file_size(log, ignored) != 0) return db;
    options.immutable = true;
    return try_open(path, options, kind);
}

} // namespace

result<std::unique_ptr<ledger_file>> ledger_file::open(const fs::path& path, const open_options& options) {
    const fs::path real = real_path(path);
    std::string name = fmt::format("ledger {}", real.string());
    std::optional<file_lock> lock;
    if (!options.read_only) {
        auto taken = file_lock::take(real, options.holder_description);
        if (!taken) return std::unexpected(std::move(taken.error()));
        lock.emplace(std::move(*taken));
    }
    trouble kind{};
    auto db = options.read_only ? open_for_reading(real, {.name = name}) : try_open(real, {.name = name}, kind);
    if (!db) return std::unexpected(std::move(db.error()));
    return std::unique_ptr<ledger_file>(
        new ledger_file(std::move(name), options.read_only, std::move(lock), std::move(*db)));
}

} // namespace postferry::store

// database::open: everything that can be wrong with a database, said before anything starts.
#include "sql/open.hpp"
#include "sql/sqlite.hpp"
#include "store/detail/database_parts.hpp"
#include "store/ledger_schema.hpp"

#include <fmt/format.h>

#include <random>

namespace postferry::store {

namespace fs = std::filesystem;
using sql::schema_fit;
using sql::trouble;

namespace {

/// As the beginning of a sentence.
std::string capital(std::string text) {
    if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
    return text;
}

using opened = result<std::unique_ptr<sql::connection>>;

/// Processes on one PostgreSQL have each a part of the tallies; a few that draw the same only wait for each other.
constexpr int shards = 64;

/// Transactions here ask one statement after the other. One that does not go on belongs to a process that was stopped
/// or cut off, and holds what the others wait for: leases, or the right to grant them.
constexpr std::chrono::milliseconds idle_timeout{10'000};

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

/// A process that only takes part in what another runs.
std::unexpected<error> not_ours_to_change(const std::string& name, std::string_view what) {
    return fail(retry_class::config, phase::ledger, fmt::format("{} {}", name, what),
                "Start this version of postferry serve on it first: it makes the tables and brings them up to date");
}

result<void> bring_up(sql::connection& db, const std::string& name, const database_options& options) {
    const bool read_only = options.read_only;
    const sql::schema& wanted = ledger_schema();
    auto fit = sql::inspect(db, wanted);
    if (!fit) return std::unexpected(std::move(fit.error()));
    switch (*fit) {
    case schema_fit::current: return {};
    case schema_fit::foreign:
        return fail(retry_class::config, phase::ledger,
                    fmt::format("{}: the {} belongs to another program", name,
                                db.dialect() == sql::dialect::sqlite ? "file" : "database"),
                    capital(options.elsewhere));
    case schema_fit::newer: {
        auto mark = db.read_schema_mark();
        return fail(retry_class::config, phase::ledger,
                    fmt::format("{} was made by a newer Postferry (its version is {}, this program knows {})", name,
                                mark ? mark->version : 0, wanted.version()),
                    fmt::format("Use the newer program, or {}", options.elsewhere));
    }
    case schema_fit::older:
        if (read_only)
            return fail(retry_class::config, phase::ledger, fmt::format("{} was made by an older Postferry", name),
                        "The next copy or migrate brings it up to date");
        if (!options.bring_up_to_date) return not_ours_to_change(name, "was made by an older Postferry");
        [[fallthrough]];
    case schema_fit::empty:
        if (read_only && db.dialect() == sql::dialect::postgresql)
            return fail(retry_class::config, phase::ledger, fmt::format("{} is empty", name),
                        "The first copy or migrate makes its tables");
        if (!options.bring_up_to_date) return not_ours_to_change(name, "is empty");
        return sql::migrate(db, wanted);
    }
    return {};
}

/// Looks at the ends of the tables: finds a file that is no working store, at the price of some pages.
result<void> probe(sql::connection& db) {
    auto done = ledger_repository(db).probe();
    if (!done) return done;
    auto q = db.prepare("SELECT (SELECT max(id) FROM batch), (SELECT max(id) FROM migration), (SELECT max(id) FROM "
                        "event), (SELECT max(id) FROM account), (SELECT max(id) FROM credential)");
    if (!q) return std::unexpected(std::move(q.error()));
    auto row = q->first();
    if (!row) return std::unexpected(std::move(row.error()));
    return {};
}

opened try_open(const fs::path& path, const sql::sqlite_options& options, const database_options& wanted,
                trouble& kind) {
    auto db = sql::open_sqlite(path, options, &kind);
    if (!db) return std::unexpected(at_opening(std::move(db.error()), kind));
    database_options how = wanted;
    how.read_only = options.read_only && !path.empty();
    auto usable = bring_up(**db, options.name, how);
    if (usable) usable = probe(**db);
    kind = (*db)->last_trouble();
    if (!usable) return std::unexpected(at_opening(std::move(usable.error()), kind));
    return db;
}

opened open_for_reading(const fs::path& path, sql::sqlite_options options, const database_options& wanted) {
    options.read_only = true;
    std::error_code ignored;
    const auto size = fs::file_size(path, ignored);
    trouble kind{};
    if (ignored || size == 0) return try_open({}, options, wanted, kind); // nothing there yet: an empty one in memory
    auto db = try_open(path, options, wanted, kind);
    if (db || (kind != trouble::no_access && kind != trouble::read_only)) return db;
    // A folder where we may not write. Without a log beside it the file is all there is, and nobody writes it.
    fs::path log = path;
    log += "-wal";
    if (fs::exists(log, ignored) && fs::file_size(log, ignored) != 0) return db;
    options.immutable = true;
    return try_open(path, options, wanted, kind);
}

opened open_server(const sql::location& where, const std::string& name, const database_options& options,
                   const std::string& session) {
    const bool read_only = options.read_only;
    auto db =
        sql::open(where, options.password,
                  {.name = name, .read_only = read_only, .idle_timeout = idle_timeout, .application_name = session});
    if (!db) return db;
    auto usable = bring_up(**db, name, options);
    if (!usable) return std::unexpected(std::move(usable.error()));
    return db;
}

/// Connections of one database; the first is the writer's.
result<std::vector<std::unique_ptr<sql::connection>>> connect(const sql::location& where, const std::string& name,
                                                              const database_options& options,
                                                              const std::string& session) {
    const bool server = where.dialect == sql::dialect::postgresql;
    const sql::sqlite_options file{.name = name, .cache_kib = options.cache_kib};
    std::vector<std::unique_ptr<sql::connection>> all;
    trouble kind{};
    auto first = server              ? open_server(where, name, options, session)
                 : options.read_only ? open_for_reading(where.file, file, options)
                                     : try_open(where.file, file, options, kind);
    if (!first) return std::unexpected(std::move(first.error()));
    all.push_back(std::move(*first));
    for (int i = 0; i < options.readers && !options.read_only; ++i) {
        auto reader = sql::open(where, options.password,
                                {.name = name,
                                 .read_only = true,
                                 .idle_timeout = idle_timeout,
                                 .cache_kib = options.cache_kib,
                                 .application_name = session + " reader"});
        if (!reader) return std::unexpected(std::move(reader.error()));
        all.push_back(std::move(*reader));
    }
    if (options.in_front)
        for (auto& one : all) one = options.in_front(std::move(one));
    return all;
}

} // namespace

result<std::unique_ptr<database>> database::open(const std::string& where, const database_options& options) {
    auto location = sql::parse_location(where);
    if (!location) return std::unexpected(std::move(location.error()));
    return open(*location, options);
}

result<std::unique_ptr<database>> database::open(const sql::location& where, const database_options& options) {
    sql::location real = where;
    const bool server = where.dialect == sql::dialect::postgresql;
    if (!server) {
        real.file = real_path(where.file);
        real.shown = real.file.string();
    }
    const std::string name = fmt::format("{} {}", options.kind_of_thing, real.shown);
    auto made = std::make_unique<parts>(name, where.dialect, options.read_only);
    std::random_device lot;
    made->session = fmt::format("postferry {:08x}{:08x}", lot(), lot());
    if (!options.read_only && !server) {
        auto taken = file_lock::take(real.file, options.holder_description,
                                     {.kind = options.kind_of_thing, .elsewhere = options.elsewhere});
        if (!taken) return std::unexpected(std::move(taken.error()));
        made->lock.emplace(std::move(*taken));
    }
    auto connections = connect(real, name, options, made->session);
    if (!connections) return std::unexpected(std::move(connections.error()));
    thread_settings settings{.clock = options.clock,
                             .shard = server ? static_cast<int>(lot() % shards) : 0,
                             .patience = options.patience,
                             .name = name};
    made->writer = std::make_unique<database_thread>(made->writes, made->board, std::move(connections->front()),
                                                     settings, options.read_only && server);
    settings.patience = std::min<std::chrono::milliseconds>(options.patience, std::chrono::seconds(5));
    for (std::size_t i = 1; i < connections->size(); ++i)
        made->readers.push_back(
            std::make_unique<database_thread>(made->reads, made->board, std::move((*connections)[i]), settings, true));
    return std::unique_ptr<database>(new database(std::move(made)));
}

} // namespace postferry::store

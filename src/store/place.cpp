#include "store/detail/place.hpp"

#include "store/detail/statements.hpp"
#include "store/ledger_schema.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>

namespace postferry::store::detail {

namespace fs = std::filesystem;

namespace {

result<void> fits(held_connection& store, bool looks_only) {
    const sql::schema& wanted = ledger_schema();
    auto fit = sql::inspect(*store.db, wanted);
    if (!fit) return pass_on(fit);
    switch (*fit) {
    case sql::schema_fit::current: return {};
    case sql::schema_fit::foreign:
        return fail(retry_class::config, phase::ledger, fmt::format("{} belongs to another program", store.name));
    case sql::schema_fit::newer:
        return fail(retry_class::config, phase::ledger, fmt::format("{} was made by a newer Postferry", store.name),
                    "Use the newer program");
    case sql::schema_fit::empty:
        if (looks_only) return fail(retry_class::config, phase::ledger, fmt::format("{} is empty", store.name));
        [[fallthrough]];
    case sql::schema_fit::older: return looks_only ? result<void>{} : sql::migrate(*store.db, wanted);
    }
    return {};
}

result<void> synced(const fs::path& path, int flags) {
    const int fd = open(path.c_str(), flags | O_CLOEXEC);
    const bool done = fd >= 0 && fsync(fd) == 0;
    const int code = errno;
    if (fd >= 0) close(fd);
    if (done) return {};
    return fail(
        retry_class::local, phase::ledger,
        fmt::format("{} cannot be written to the disk ({})", path.string(), std::generic_category().message(code)));
}

} // namespace

result<held_connection> open_place(const store_place& place, purpose why, const std::string& command) {
    const bool looks = why == purpose::look;
    held_connection out{.name = "store " + place.where.shown};
    std::error_code ignored;
    if (place.where.dialect == sql::dialect::sqlite) {
        const fs::path file = fs::weakly_canonical(place.where.file, ignored);
        if (looks && !fs::exists(file, ignored))
            return fail(retry_class::config, phase::ledger, fmt::format("there is no store {}", file.string()));
        if (!looks) {
            auto taken = file_lock::take(file, command);
            if (!taken) return pass_on(taken);
            out.lock.emplace(std::move(*taken));
        }
    }
    auto db = sql::open(place.where, place.password,
                        {.name = out.name, .read_only = looks, .statement_timeout = std::chrono::hours(1)});
    if (!db) return pass_on(db);
    out.db = std::move(*db);
    if (auto ok = fits(out, looks); !ok) return pass_on(ok);
    return out;
}

result<void> nobody_works(held_connection& store) {
    std::string who;
    auto done = each_row(*store.db,
                         store.db->dialect() == sql::dialect::sqlite
                             ? "SELECT host, pid FROM worker WHERE 1 = 0" // its lock has been taken
                             : "SELECT host, pid FROM worker WHERE state <> 'gone' AND seen > "
                               "extract(epoch FROM clock_timestamp()) * 1000 - 120000 ORDER BY seen DESC LIMIT 1",
                         [&](const sql::query& q) {
                             who = fmt::format("PID {} on {}", q.get<std::int64_t>(1), quote_server_text(q.text(0)));
                         });
    if (!done) return done;
    if (who.empty()) return {};
    return fail(retry_class::config, phase::ledger, fmt::format("{} is in use by {}", store.name, who),
                "Stop the service and its workers first");
}

result<void> sync_file(const fs::path& file) { return synced(file, O_RDONLY); }

result<void> sync_folder_of(const fs::path& file) {
    return synced(file.parent_path().empty() ? fs::path(".") : file.parent_path(), O_RDONLY | O_DIRECTORY);
}

} // namespace postferry::store::detail

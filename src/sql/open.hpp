#pragma once
// Which database, by URL.
#include "base/secret.hpp"
#include "sql/connection.hpp"

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace postferry::sql {

/// Where a database is, without any secret.
struct location {
    sql::dialect dialect = sql::dialect::sqlite;
    std::filesystem::path file = {}; ///< SQLite; empty = in memory
    /// PostgreSQL: connection parameters by libpq's names (host, port, user, dbname, sslmode ...).
    std::map<std::string, std::string> parameters = {};
    /// For people: the path, or "postgresql://postferry@db.example.org:5433/postferry".
    std::string shown = {};
};

/// "sqlite:PATH", a plain path, or "postgresql://[USER@][HOST[:PORT]]/DATABASE[?NAME=VALUE&...]" (also "postgres://"),
/// with percent-encoding; HOST may be an address in brackets, several hosts with commas, or a folder of sockets as
/// `host=%2Frun%2Fpostgresql`. NAME is one of libpq's connection parameters (sslmode, sslrootcert, sslcert, sslkey,
/// passfile, target_session_attrs ...; docs/store.md). Without `sslmode` it is `prefer` for sockets and loopback and
/// `verify-full` for all else. Class config: a password in the URL (it would be seen), an unknown scheme or parameter.
[[nodiscard]] result<location> parse_location(std::string_view url);

struct open_options {
    std::string name = {};  ///< How messages call it: "ledger /home/a/postferry.db". Empty: the location.
    bool read_only = false; ///< every change fails with `read_only`
    /// Waiting for locks that others hold.
    std::chrono::milliseconds busy_timeout{5000};
    /// PostgreSQL: until a connection stands, and until one statement has answered, all its rows included.
    std::chrono::milliseconds connect_timeout{10'000};
    std::chrono::milliseconds statement_timeout{60'000};
    /// PostgreSQL: a transaction that is left idle for so long is ended by the server (its process is stopped, its line
    /// is cut): until then others wait for its locks.
    std::chrono::milliseconds idle_timeout{60'000};
    std::size_t cache_kib = 512;                ///< SQLite
    std::string application_name = "postferry"; ///< PostgreSQL: seen in pg_stat_activity
};

/// Opens a database. `password` is PostgreSQL's; empty: libpq's own places (PGPASSWORD, ~/.pgpass). Class config: no
/// such user, password, database or certificate, and what parse_location refuses. Class local: all that another attempt
/// could mend; `kind` (if not null) tells `gone` from the rest.
[[nodiscard]] result<std::unique_ptr<connection>> open(const location& where, const secret& password,
                                                       const open_options& options, trouble* kind = nullptr);
[[nodiscard]] result<std::unique_ptr<connection>> open(std::string_view url, const secret& password,
                                                       const open_options& options, trouble* kind = nullptr);

} // namespace postferry::sql

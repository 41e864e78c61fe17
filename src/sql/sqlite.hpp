#pragma once
#include "sql/connection.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

namespace postferry::sql {

struct sqlite_options {
    /// How messages call the database: "ledger /home/a/postferry.db".
    std::string name;
    bool read_only = false;
    /// Only with read_only: nobody writes the file meanwhile. For files in folders where even a reader could not make
    /// the files of shared memory that WAL needs.
    bool immutable = false;
    std::chrono::milliseconds busy_timeout{5000};
    std::size_t cache_kib = 512;
    /// Somebody else's file, which other programs read: it must be there, and its journal mode stays as it is.
    bool foreign = false;
};

/// Opens, or makes, a database file. `path` empty = a database in memory. Files are kept in WAL mode: a writer and
/// readers do not wait for each other, and a commit is one append. The file is not looked at yet beyond what setting it
/// up takes; trouble (if not null) tells the kind of a failure.
[[nodiscard]] result<std::unique_ptr<connection>> open_sqlite(const std::filesystem::path& path,
                                                              const sqlite_options& options, trouble* kind = nullptr);

} // namespace postferry::sql

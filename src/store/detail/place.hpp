#pragma once
// Connections for work on a store as a whole, without threads.
#include "store/backup.hpp"
#include "store/file_lock.hpp"

#include <memory>
#include <optional>
#include <string>

namespace postferry::store::detail {

/// A connection and, for a file that may be written, its lock.
struct held_connection {
    std::optional<file_lock> lock = {}; // falls after the connection
    std::unique_ptr<sql::connection> db = {};
    std::string name = {};
};

enum class purpose : std::uint8_t {
    look,   ///< reading, beside those who work on it; older schemas are welcome
    change, ///< for us alone; made and brought up to date
};

[[nodiscard]] result<held_connection> open_place(const store_place& place, purpose why, const std::string& command);
/// Class config, naming a worker that was heard of within two minutes.
[[nodiscard]] result<void> nobody_works(held_connection& store);
[[nodiscard]] result<void> sync_file(const std::filesystem::path& file);
[[nodiscard]] result<void> sync_folder_of(const std::filesystem::path& file);
/// Runs `work` in a transaction that is on the disk when it ends.
template <class F> auto in_transaction(sql::connection& db, F work) -> decltype(work()) {
    if (auto begun = db.begin(sql::durability::synced); !begun) return std::unexpected(std::move(begun.error()));
    auto out = work();
    if (out) {
        if (auto done = db.commit(); !done) out = std::unexpected(std::move(done.error()));
    }
    db.rollback();
    return out;
}

} // namespace postferry::store::detail

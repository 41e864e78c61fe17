#pragma once
// Copies of a store: a backup is always an SQLite file of the store's own schema, whichever database it was made from,
// so that every backup can be opened, looked at, restored into either kind, and served from.
#include "base/secret.hpp"
#include "sql/open.hpp"
#include "store/table_copy.hpp"

#include <filesystem>

namespace postferry::store {

/// A database and how to get in.
struct store_place {
    sql::location where = {};
    secret password = {};
};

/// What is in the store at one moment, while others work on it. The file appears whole or not at all, mode 0600, on the
/// disk. Class config: it is there already (unless `replace`), or the store is none of ours or a newer program's.
/// Sealed secrets stay sealed: the key file is no part of it. Interrupted, it leaves FILE.part behind, which the next
/// run replaces.
[[nodiscard]] result<void> back_up(const store_place& from, const std::filesystem::path& file, bool replace,
                                   const copy_progress& progress);

/// A backup in the place of a store; older ones are brought up to date. Class config: damaged, none of ours, the store
/// is in use, or it holds something already and not `replace`.
[[nodiscard]] result<void> restore(const std::filesystem::path& file, const store_place& to, bool replace,
                                   const copy_progress& progress);

/// Everything from one store into another one that is empty, in one transaction, counted on both sides. FROM stays as
/// it is. Nobody may work on either: class config, naming who does.
[[nodiscard]] result<copied_tables> move(const store_place& from, const store_place& to, const copy_progress& progress);

} // namespace postferry::store

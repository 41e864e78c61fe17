#pragma once
#include "sql/schema.hpp"

namespace postferry::store {

/// What a ledger file looks like; its version is PRAGMA user_version.
[[nodiscard]] const sql::schema& ledger_schema() noexcept;

} // namespace postferry::store

#pragma once
#include "sql/schema.hpp"

namespace postferry::store {

/// Version 6 of the ledger's schema: what the service knows beside the ledger (store/records.hpp).
[[nodiscard]] const sql::schema_step& control_tables() noexcept;
/// Version 7: waivers, evidence of aliases, indexes for pages and their filters.
[[nodiscard]] const sql::schema_step& control_tables_7() noexcept;

} // namespace postferry::store

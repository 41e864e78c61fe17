#pragma once
#include "sql/open.hpp"

#include <memory>

namespace postferry::sql {

/// As open() of sql/open.hpp, for a location that is PostgreSQL's. A connection that was lost comes back by itself at
/// the next begin(), or at a statement outside a transaction.
///
/// durability: `synced` waits for what the server's own settings ask of a commit (synchronous_commit = on, standbys
/// included), `ordered` for the server's own disk only (= local). Not `off`: a server that crashed would forget commits
/// that we, still running, have built upon.
[[nodiscard]] result<std::unique_ptr<connection>> open_postgresql(const location& where, const secret& password,
                                                                  const open_options& options, trouble* kind = nullptr);

} // namespace postferry::sql

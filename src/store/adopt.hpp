#pragma once
// Runs of the command line, shown by the service.
#include "store/tables.hpp"

#include <string>

namespace postferry::store {

/// The batch that holds them; made when there is something to put in. It is an ordinary batch of the default project.
inline constexpr std::string_view command_line_batch = "command line";

/// Mailboxes that the ledger knows and no batch has become mailboxes of that batch: state synced, not due, with the
/// counts of the ledger, without credentials (a pass over one needs them first). At most `limit` in a call; how many.
/// Safe to repeat.
[[nodiscard]] result<int> adopt_command_line_runs(tables& t, const std::string& actor, int limit = 500);

/// "imaps://alice%40example.org@old.example.org:993" as its place and its user: "imaps://old.example.org:993",
/// "alice@example.org". A key without a user ("maildir:/srv/a") is all place.
struct key_parts {
    std::string url, user, server; ///< server: "old.example.org:993", or the place itself
};
[[nodiscard]] key_parts split_key(std::string_view key);

} // namespace postferry::store

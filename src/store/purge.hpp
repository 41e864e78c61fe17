#pragma once
// What is old goes; and what is in a store.
#include "store/backup.hpp"
#include "store/records.hpp"

#include <string>
#include <utility>
#include <vector>

namespace postferry::store {

struct purged {
    std::int64_t ledgers = 0; ///< mailboxes whose rows went
    std::int64_t log_lines = 0, events = 0, passes = 0, other = 0;
};

/// Removes what is older than `before`: log lines, events, reports of passes, and the ledgers of mailboxes whose last
/// report is older; never of a batch that is not completed, archived or rolled back, and of a command-line run only by
/// its reports' age. (Whoever copies such a mailbox once more finds its messages on the target again by content.)
/// Expired sessions, links, idempotency keys and workers that are gone go too. Then the file gives back its free pages.
[[nodiscard]] result<purged> purge(const store_place& store, unix_ms before);

struct store_status {
    std::string name;
    int version = 0, knows = 0; ///< of the schema; the program's
    std::int64_t octets = 0;
    std::vector<std::pair<std::string, std::int64_t>> rows = {};    ///< of the tables that people ask for
    std::vector<std::pair<std::string, std::int64_t>> batches = {}; ///< by state
    struct key {
        std::string id;
        bool current = false;
        std::int64_t credentials = 0;
    };
    std::vector<key> keys = {};
};

/// Beside those who work on it.
[[nodiscard]] result<store_status> status(const store_place& store);

} // namespace postferry::store

#pragma once
// The service at a glance, for metrics: sums that cost the same for ten mailboxes and for a million, but for the queue
// and the leases, which are counted up to a bound.
#include "store/tables.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace postferry::store {

struct overview {
    /// Counted no further than this, each.
    static constexpr std::int64_t most_counted = 100'000;

    unix_ms now = 0;                                                 ///< of the snapshot
    std::vector<batch_tally> mailboxes = {};                         ///< of all batches that are not archived, by state
    std::vector<std::pair<batch_state, std::uint64_t>> batches = {}; ///< by state; archived too
    std::map<std::string, std::uint64_t> failed = {};                ///< mailboxes in state failed, by class
    std::uint64_t due = 0;                                           ///< mailboxes that a worker may take now
    unix_ms longest_due = 0; ///< how long the first of them has waited, milliseconds
    std::uint64_t leases = 0;
    std::vector<server_use> servers = {};
    std::vector<worker> workers = {};
};

/// In a snapshot.
[[nodiscard]] result<overview> read_overview(tables& t);

} // namespace postferry::store

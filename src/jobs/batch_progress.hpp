#pragma once
// What a batch becomes as its mailboxes go on. (What people ask for is jobs/commands.hpp.)
#include "net/awaitable.hpp"
#include "store/database.hpp"
#include "store/records.hpp"
#include "store/states.hpp"

#include <optional>
#include <string>
#include <vector>

namespace postferry::jobs {

/// Nothing: it stays. A batch at work is synced when nothing of it waits or runs any more; review_for_cutover when
/// some of it has failed, is paused by hand or wants credentials; completed when all of it is (or was cancelled).
[[nodiscard]] std::optional<store::batch_state> next_state(store::batch_state now,
                                                           const std::vector<store::batch_tally>& mailboxes) noexcept;

/// Looks and changes it. Cheap when nothing is to be changed: a read.
task<result<void>> settle_batch(store::database& db, store::record_id batch, std::string actor);

} // namespace postferry::jobs

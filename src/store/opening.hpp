#pragma once
// When mailboxes go on that wait for the hours of their batch.
#include "store/tables.hpp"

#include <optional>
#include <vector>

namespace postferry::store {

/// The hours of a batch have changed: its mailboxes that waited for them (paused by them, or queued for `was`, the
/// moment at which they would have opened; nothing: they were open) wait until `opens` instead. No change of state.
[[nodiscard]] result<void> set_opening(tables& t, record_id batch, std::optional<unix_ms> was, unix_ms opens);

/// Those with mailboxes that are paused by their hours.
[[nodiscard]] result<std::vector<record_id>> batches_outside_hours(tables& t);

} // namespace postferry::store

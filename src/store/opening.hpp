#pragma once
// When mailboxes go on that wait for the hours of their batch.
#include "store/tables.hpp"

#include <optional>

namespace postferry::store {

/// The hours of a batch have changed: its mailboxes that waited for them (paused by them, or queued for `was`, the
/// moment at which they would have opened; nothing: they were open) wait until `opens` instead. No change of state.
result<void> set_opening(tables& t, record_id batch, std::optional<unix_ms> was, unix_ms opens);

} // namespace postferry::store

#pragma once
// Hours that have changed while mailboxes wait for them.
#include "jobs/batch_settings.hpp"
#include "store/tables.hpp"

#include <vector>

namespace postferry::jobs {

/// A batch's hours are others now: its mailboxes that waited for the old ones wait for these.
[[nodiscard]] result<void> follow_hours(store::tables& t, const store::batch& before, const store::batch& after);
/// At a start: the configuration's hours may be others than at the last one. The same for batches without their own.
[[nodiscard]] result<void> follow_usual_hours(store::tables& t, const std::vector<window>& usual);

} // namespace postferry::jobs

#pragma once
// What becomes of a mailbox when a pass over it has ended. Values in, values out.
#include "jobs/pass_runner.hpp"
#include "store/change_state.hpp"

#include <optional>

namespace postferry::jobs {

struct situation {
    store::migration mailbox; ///< as it is now in the store
    store::batch_state batch = store::batch_state::syncing;
    batch_settings settings;
    transfer::pass_kind kind = transfer::pass_kind::bulk;
    int failures_in_a_row = 0; ///< transient ones, this one included
    unix_ms now = 0;
};

struct decision {
    store::mailbox_change change;
    /// This pass follows at once, under the same lease.
    std::optional<transfer::pass_kind> go_on = {};
};

/// `actor` of the change is left to the caller.
[[nodiscard]] decision after_pass(const situation& s, const pass_end& end);

/// What the end of a verification makes of the mailbox; nothing: it did not get that far. What is waived does not
/// count against it.
[[nodiscard]] std::optional<store::mailbox_state> outcome_of_verify(const pass_end& end) noexcept;

/// Pause before the n-th attempt (n >= 1) after failures that may go away by themselves: 30 s, doubling, at most an
/// hour; spread by up to a quarter, by the mailbox's id, so that a thousand do not come back in the same second.
[[nodiscard]] unix_ms pause_before(int attempt, store::record_id mailbox) noexcept;

/// The pass that a mailbox is due for; bulk when the store names none.
[[nodiscard]] transfer::pass_kind next_pass_of(const store::migration& m) noexcept;

} // namespace postferry::jobs

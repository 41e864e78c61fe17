#pragma once
// The one way in which the state of a mailbox or of a batch changes. In one transaction: the table of states.hpp is
// asked, the time spent in the old state is added up, the batch's tally moves, and an event tells it.
#include "store/clock_watch.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace postferry::store {

struct mailbox_change {
    mailbox_state to = mailbox_state::queued;
    std::string actor;             ///< event::actor
    std::string reason = {};       ///< for people, without secrets
    std::string reason_class = {}; ///< name_of(retry_class)
    std::optional<unix_ms> until = {};
    std::string throttled_by = {};
    /// When a worker may take it. None: not at all (or: it is at work).
    std::optional<unix_ms> due = {};
    std::optional<std::string> next_pass = {}; ///< none: as it is
    /// Of the time in the old state: how much of it the worker was not heard of.
    std::uint64_t stalled_ms = 0;
    std::optional<row_version> from = {};   ///< only from this version, else `conflict`
    std::optional<std::int64_t> token = {}; ///< only while this lease stands, else `lease_lost`
};

/// The mailbox as it is now. `missing`; `not_allowed` when the state cannot follow (the words say which is which). To
/// the state that it has already: until, reason and due are changed, without an event.
[[nodiscard]] result<migration> change_state(tables& t, record_id id, const mailbox_change& change);

/// What a mailbox goes through, one change after the other: each has its event. None: it stays as it is.
using changes = std::vector<mailbox_change>;

/// Many mailboxes in few statements. All are locked first; then `wanted` is asked what becomes of each, as it is now.
/// Answers those that were changed, by id; mailboxes that are not there are passed over. When a state cannot follow, or
/// a version is not the stored one, nothing is changed and the failure is as above. Not for changes under a lease
/// (mailbox_change::token).
[[nodiscard]] result<std::vector<migration>> change_states(tables& t, const std::vector<record_id>& ids,
                                                           const std::function<changes(const migration&)>& wanted);

struct batch_change {
    batch_state to = batch_state::ready;
    std::string actor;
    std::string reason = {};
    std::optional<row_version> from = {};
};

/// As above. To the state that it has already: nothing happens. To archived: the credentials of its mailboxes are
/// removed in the same transaction.
[[nodiscard]] result<batch> change_state(tables& t, record_id id, const batch_change& change);

/// Takes mailboxes from workers that are gone or whose leases have lapsed, and those that are at work and held by
/// nobody: back to queued, due at once, the time since the last heartbeat counted as stalled. Answers how many. Any
/// process may call it at any time; an own transaction (database::alone).
/// @param watch only those of its silent leases are taken from workers that are not known to be gone; null: all of them
[[nodiscard]] result<int> requeue_lapsed(tables& t, const std::string& actor, const lease_watch* watch = nullptr);

} // namespace postferry::store

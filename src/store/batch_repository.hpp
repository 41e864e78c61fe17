#pragma once
// Batches, and how many of their mailboxes are in which state. On a database thread; transactions are the caller's.
#include "sql/connection.hpp"
#include "store/paging.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace postferry::store {

struct batch_filter {
    std::optional<record_id> project = {};
    batch_states states = {}; ///< empty: any but archived
    bool archived_too = false;
    std::string name_contains = {}; ///< whatever its case; empty: any
};

/// What a mailbox adds to its batch's tally, or takes from it.
struct tally_change {
    record_id batch = 0;
    mailbox_state state = mailbox_state::draft;
    std::int64_t mailboxes = 0; ///< +1, -1, or 0 when only the counts move
    message_counts add = {}, take = {};
};

class batch_repository {
  public:
    /// `shard`: this process's own part of the tallies, so that processes do not wait for each other's rows.
    explicit batch_repository(sql::connection& db, int shard = 0) noexcept : db_(db), shard_(shard) {}

    /// `duplicate` when the project has one of that name. Answers it as stored.
    [[nodiscard]] result<batch> add(const batch& b);
    [[nodiscard]] result<std::optional<batch>> find(record_id id);
    [[nodiscard]] result<std::optional<batch>> find(record_id project, const std::string& name);
    /// As it is, until the transaction ends: nobody changes it meanwhile, others may hold it too.
    [[nodiscard]] result<std::optional<batch>> hold(record_id id);
    [[nodiscard]] result<slice<batch>> list(const batch_filter& filter, const paging& page);
    /// As find(); until the transaction ends nobody changes or removes it: for whoever puts mailboxes into it.
    [[nodiscard]] result<std::optional<batch>> keep(record_id id);
    /// Name, mode, settings and start, if b.version is still the stored one; else `conflict`. The state changes by
    /// store/change_state.hpp only.
    [[nodiscard]] result<batch> update(const batch& b);

    /// One line for each state that a mailbox is in.
    [[nodiscard]] result<std::vector<batch_tally>> tally(record_id batch);
    /// Of several batches, in one query.
    [[nodiscard]] result<std::map<record_id, std::vector<batch_tally>>> tallies(const std::vector<record_id>& batches);
    /// The worst grade of each one's mailboxes; "" while none has one.
    [[nodiscard]] result<std::map<record_id, std::string>> worst_grades(const std::vector<record_id>& batches);
    /// One without mailboxes, with its tallies and log. `not_allowed`: it has mailboxes; `conflict`.
    [[nodiscard]] result<void> remove(record_id id, row_version from);
    /// Counts changes, in the order of batches and states, whichever order they come in: two callers do not wait for
    /// each other crosswise. Nothing but change_state() and migration_repository calls it.
    [[nodiscard]] result<void> count(const std::vector<tally_change>& changes);

  private:
    friend class state_changer;
    [[nodiscard]] result<void> set_state(record_id id, batch_state state);
    /// Held until the transaction ends.
    [[nodiscard]] result<std::optional<batch>> lock(record_id id);

    sql::connection& db_;
    int shard_;
};

} // namespace postferry::store

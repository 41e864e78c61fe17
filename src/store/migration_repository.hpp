#pragma once
// The mailboxes of batches. On a database thread; transactions are the caller's.
#include "sql/connection.hpp"
#include "store/batch_repository.hpp"
#include "store/paging.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace postferry::store {

struct migration_filter {
    std::optional<record_id> batch = {};
    mailbox_states states = {}; ///< empty: any
    std::optional<record_id> account = {};
    std::optional<std::string> server = {}; ///< key; as source or as target
    std::optional<std::string> grade = {};
    /// How the source's or the target's user begins, ASCII letters of either case; empty: any. Of the few that begin so
    /// an index knows; when they are thousands, mailboxes are walked through until a page of them is met.
    std::string user_begins = {};
    /// Somewhere in it, instead: every mailbox is looked at.
    std::string user_contains = {};
};

class migration_repository {
  public:
    migration_repository(sql::connection& db, batch_repository& batches) noexcept : db_(db), batches_(batches) {}

    /// Thousands at once, of any batches. One id for each, in the same order; 0: its batch has a mailbox of the same
    /// two places already. State, due and priority are taken as given; each begins its tally, none an event.
    [[nodiscard]] result<std::vector<record_id>> add(const std::vector<migration>& mailboxes);
    [[nodiscard]] result<std::optional<migration>> find(record_id id);
    /// The mailbox of the same batch and the same two places.
    [[nodiscard]] result<std::optional<migration>> find_same(const migration& m);
    /// Queued ones of the batch that are due and that nobody holds, at most `most`, for who does many at once without
    /// leases: until `until` no worker takes them, and if nothing has come of them by then, one does. By id.
    [[nodiscard]] result<std::vector<migration>> claim(record_id batch, unix_ms now, unix_ms until, int most);
    /// By id. Several states, or a server, are asked for one by one and put together, so that an index serves each and
    /// a page costs the same among a million.
    [[nodiscard]] result<slice<migration>> list(const migration_filter& filter, const paging& page);
    struct page_end {
        record_id last = 0; ///< of the page; 0: it is empty
        bool more = false;  ///< there is a page behind it
    };
    /// The same one by one: `each` is told of every mailbox of the page, and keeps nothing of it. No room is made for
    /// rows that are only written down.
    [[nodiscard]] result<page_end> each(const migration_filter& filter, const paging& page,
                                        const std::function<void(const migration&)>& each);
    /// Whether list() and each() ask a single statement (database::read_single).
    [[nodiscard]] static bool asks_once(const migration_filter& filter) noexcept;
    /// The ids alone, for commands that go over all of them in bites.
    [[nodiscard]] result<slice<record_id>> ids(const migration_filter& filter, const paging& page);
    /// What somebody may edit (places, users, servers, account, priority, next pass), if m.version is still the stored
    /// one; else `conflict`. `duplicate`: the batch has a mailbox of these places.
    [[nodiscard]] result<migration> update(const migration& m);
    [[nodiscard]] result<void> set_priority(record_id id, int priority);
    /// When a worker may take it next, and for what; nothing changes for one that has ended.
    [[nodiscard]] result<void> set_due(record_id id, std::optional<unix_ms> due, const std::string& next_pass);
    struct next_turn {
        record_id mailbox = 0;
        std::optional<unix_ms> due = {};
        std::string next_pass = {};
    };
    /// The same for many, each once among them; what is not there is passed over.
    [[nodiscard]] result<void> set_due(const std::vector<next_turn>& all);
    /// How far its mail was searched for aliases: "standard", "extended"; "" when it was not.
    [[nodiscard]] result<std::string> aliases_sought(record_id id);
    [[nodiscard]] result<void> set_aliases_sought(record_id id, const std::string& depth);
    /// Whether some mailbox, of whichever batch, goes to that user; ASCII letters of either case.
    [[nodiscard]] result<bool> has_target_user(const std::string& user);
    [[nodiscard]] result<void> set_ledger_mailbox(record_id id, std::int64_t ledger_mailbox);
    /// How far a pass has come; the tally follows. Neither version nor event: it comes several times a second.
    [[nodiscard]] result<void> set_counts(record_id id, const message_counts& counts);
    /// A pass has ended: one more, with its grade.
    [[nodiscard]] result<void> add_pass(record_id id, const std::string& grade);
    /// After thousands were added at once: a server learns anew how many there are, which its plans go by. It would by
    /// itself, a minute later; until then it sorts all rows of the new batch for every page of it.
    [[nodiscard]] result<void> refresh_statistics();
    /// Takes it out of its batch with its credentials, passes and log lines; events stay. `conflict` while a worker
    /// holds it.
    [[nodiscard]] result<void> remove(record_id id);

    /// Pairs of keys that the ledger knows from runs of the command line, and no batch does; by ascending
    /// transfer::mailbox_id.
    struct stray {
        std::int64_t ledger_mailbox = 0;
        std::string source_key, target_key;
        std::string last_pass, last_ended; ///< of its last report; empty when it left none
    };
    [[nodiscard]] result<slice<stray>> strays(const paging& page);

  private:
    struct search;
    [[nodiscard]] result<search> look_for(const migration_filter& filter);
    [[nodiscard]] result<slice<record_id>> merged_ids(const search& wanted, const paging& page);
    friend class state_changer;
    friend class lease_repository;
    /// Held until the transaction ends.
    [[nodiscard]] result<std::optional<migration>> lock(record_id id);
    /// Those that are there, by id.
    [[nodiscard]] result<std::vector<migration>> lock(std::vector<record_id> ids);

    sql::connection& db_;
    batch_repository& batches_;
};

} // namespace postferry::store

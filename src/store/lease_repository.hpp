#pragma once
// Who works on what: workers, their leases, and what they may together ask of a server. Written so that several
// processes on one PostgreSQL contend safely (docs/adr/0011-control-data-and-leases.md). On a database thread.
#include "sql/connection.hpp"
#include "store/migration_repository.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace postferry::store {

/// The key of all places on this machine, which nobody counts connections to.
inline constexpr std::string_view local_server = "local";

struct take_request {
    std::string worker; ///< its id; must be known
    int want = 1;       ///< at most so many, >= 1
    unix_ms now = 0;
    std::chrono::milliseconds term{60'000};
    int source_connections = 1, target_connections = 1; ///< that each mailbox will use
    /// Of servers that have no limit of their own; none: no limit. Places on this machine have none.
    std::optional<int> connections_per_server = {};
    /// Mailboxes that may be taken of these batches; of others any number.
    std::map<record_id, int> batch_room = {};
};

struct taken {
    migration mailbox; ///< as stored, still in the state that made it due
    lease hold;
};

/// What a worker should know of a mailbox that it holds.
struct held {
    lease hold;
    mailbox_state state = mailbox_state::queued; ///< changed by somebody else: paused, cancelled ...
    row_version version = 0;                     ///< of the migration
    int priority = 0;
    batch_state batch = batch_state::syncing;
    row_version batch_version = 0; ///< rises when its settings change
    std::optional<unix_ms> source_paused_until = {}, target_paused_until = {};
};

/// Connections that the leases on a server take.
struct server_use {
    server limits;
    int mailboxes = 0, connections = 0;
    int workers = 0; ///< processes that have a mailbox of it
};

class lease_repository {
  public:
    explicit lease_repository(sql::connection& db) noexcept : db_(db) {}

    /// What is due, by priority, moment and id, as far as the servers have room; paused servers are passed over. Only
    /// in database::alone(): several processes take one after the other. Holds nobody else's lease, lapsed or not.
    [[nodiscard]] result<std::vector<taken>> take(const take_request& wanted);
    /// Makes all leases of the worker last for `term` from now, and says which they are. What is not there any more has
    /// been taken over: let go of it at once. `missing`: nobody knows the worker (any more); all is lost.
    [[nodiscard]] result<std::vector<held>> renew(const std::string& worker, unix_ms now,
                                                  std::chrono::milliseconds term = std::chrono::seconds(60));
    /// false: it was not held with that token any more.
    [[nodiscard]] result<bool> release(record_id migration, std::int64_t token);
    /// Whether the lease stands. It cannot be taken over before the transaction ends (fencing): who writes in the same
    /// transaction writes under the lease.
    [[nodiscard]] result<bool> holds(record_id migration, std::int64_t token);
    [[nodiscard]] result<std::optional<lease>> find(record_id migration);
    [[nodiscard]] result<std::vector<lease>> of_worker(const std::string& worker);
    /// Mailboxes that are at work, by batch.
    [[nodiscard]] result<std::map<record_id, int>> at_work();
    /// Leases that ended before `now` and those of workers that are gone, at most `limit`; others pass over them until
    /// the transaction ends.
    [[nodiscard]] result<std::vector<lease>> lapsed(unix_ms now, int limit = 100);
    /// Mailboxes in a running state that nobody holds (after a restore, say), at most `limit`.
    [[nodiscard]] result<std::vector<record_id>> orphans(int limit = 100);

    [[nodiscard]] result<void> put(const worker& w); ///< new, or as it is now
    /// Its leases are void at once.
    [[nodiscard]] result<void> set_gone(const std::string& worker);
    /// All but this one: for a file whose lock says that nobody else lives.
    [[nodiscard]] result<void> set_others_gone(const std::string& worker);
    /// Those running or stopping first, then by when they were last seen; at most 1,000.
    [[nodiscard]] result<std::vector<worker>> workers();

    [[nodiscard]] result<std::optional<server>> find_server(const std::string& key);
    /// Every server that has limits or a lease, by key.
    [[nodiscard]] result<std::vector<server_use>> servers();
    /// Limits, if s.version is still the stored one (0: there was none); else `conflict`.
    [[nodiscard]] result<server> put(const server& s);
    /// A server has asked for a pause: holds for all workers. A later moment stands, nullopt ends it.
    [[nodiscard]] result<void> pause_server(const std::string& key, std::optional<unix_ms> until,
                                            const std::string& why);

  private:
    class room;
    [[nodiscard]] result<std::int64_t> grant(const migration& m, const take_request& wanted);
    sql::connection& db_;
};

} // namespace postferry::store

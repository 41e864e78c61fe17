#pragma once
// Which process copies a mailbox of the ledger, where several processes may: on PostgreSQL. (A file is locked as a
// whole.) A hold bears the name under which the server knows the holder's connections, so it ends with them and needs
// no heartbeat: who finds one asks the server whether its holder is still there. On a database thread; transactions are
// the caller's.
#include "sql/connection.hpp"
#include "store/records.hpp"
#include "transfer/ledger.hpp"

#include <optional>
#include <string>

namespace postferry::store {

struct ledger_hold {
    transfer::mailbox_id mailbox = 0;
    std::string holder;                      ///< database::session()
    std::string described;                   ///< "postferry migrate accounts.csv (PID 4711 on mx1)"
    std::optional<record_id> migration = {}; ///< at work for this one of the service, under its lease
};

class hold_repository {
  public:
    explicit hold_repository(sql::connection& db) noexcept : db_(db) {}

    /// Class config, naming the holder, when somebody else who is still connected has it; who works under a lease takes
    /// over from one who had the lease before.
    [[nodiscard]] result<void> take(const ledger_hold& wanted, unix_ms now);
    [[nodiscard]] result<void> release(transfer::mailbox_id mailbox, const std::string& holder);
    /// Whether the mailbox, or that of the folder, is still held; nobody can take it over before the transaction ends.
    [[nodiscard]] result<bool> holds(transfer::mailbox_id mailbox, const std::string& holder);
    [[nodiscard]] result<bool> holds_folder(transfer::folder_id folder, const std::string& holder);

  private:
    sql::connection& db_;
};

} // namespace postferry::store

#pragma once
// What passes have reported. On the ledger's own thread; transactions are the caller's.
#include "sql/connection.hpp"
#include "transfer/ledger.hpp"

#include <vector>

namespace postferry::store {

class report_repository {
  public:
    explicit report_repository(sql::connection& db) noexcept : db_(db) {}

    /// Takes the place of the mailbox's last one of that kind of pass.
    [[nodiscard]] result<void> keep(transfer::mailbox_id mailbox, const transfer::kept_report& report);
    /// By mailbox in the order in which they came into the ledger, then by the time when the pass ended.
    [[nodiscard]] result<std::vector<transfer::kept_report>> all();

  private:
    sql::connection& db_;
};

} // namespace postferry::store

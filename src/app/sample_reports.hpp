#pragma once
// Reports as runs produce them, for tests.
#include "app/check_report.hpp"
#include "app/plan_report.hpp"
#include "transfer/report.hpp"

namespace postferry::app::samples {

[[nodiscard]] transfer::mailbox_report synced();        ///< everything arrived
[[nodiscard]] transfer::mailbox_report with_failures(); ///< one message refused, one waived, keywords dropped
[[nodiscard]] transfer::mailbox_report verified();
[[nodiscard]] transfer::mailbox_report sampled();        ///< a sampled proof, one message repaired
[[nodiscard]] transfer::mailbox_report with_deletions(); ///< and a name that wants to be a script
[[nodiscard]] transfer::mailbox_report wrong_password();
[[nodiscard]] plan_entry planned();
[[nodiscard]] plan_entry planned_deletion();
[[nodiscard]] plan_entry not_planned();
[[nodiscard]] mailbox_check ready();
[[nodiscard]] mailbox_check with_warnings();
[[nodiscard]] mailbox_check not_ready();

} // namespace postferry::app::samples

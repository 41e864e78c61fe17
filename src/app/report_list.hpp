#pragma once
// The reports that a ledger keeps (transfer::ledger::keep_report), chosen and told.
#include "base/error.hpp"
#include "transfer/ledger.hpp"
#include "transfer/report.hpp"

#include <string>
#include <vector>

namespace postferry::app {

/// What of the ledger's reports is asked for: of each mailbox that a filter names (any, case does not matter; none:
/// all) the one that ended last, of the kind of pass that is named (empty: any).
[[nodiscard]] std::vector<transfer::kept_report>
chosen(std::vector<transfer::kept_report> all, const std::vector<std::string>& filters, const std::string& pass);
/// A line a mailbox and one of totals.
[[nodiscard]] result<std::string> text_of(const std::vector<transfer::kept_report>& reports);

/// As the ledger keeps it: at most 1,000 failures are named.
[[nodiscard]] transfer::kept_report kept_report_of(const transfer::mailbox_report& report, std::string ended);

} // namespace postferry::app

#pragma once
// The report as a table: one row a mailbox, columns as docs/report.md names them (RFC 4180).
#include "app/report_json.hpp"

#include <boost/json.hpp>

#include <string>
#include <string_view>

namespace postferry::app {

[[nodiscard]] std::string_view csv_header() noexcept; ///< with its line end
[[nodiscard]] std::string csv_row(const boost::json::object& mailbox);
/// Quoted where need be. A text that a spreadsheet would take for a formula gets an apostrophe before it.
[[nodiscard]] std::string csv_cell(std::string_view text);
[[nodiscard]] result<void> write_csv_report(atomic_file& file, const mailbox_walk& mailboxes);

} // namespace postferry::app

#pragma once
// The JSON report (docs/json.md, docs/schema/report.schema.json).
#include "app/atomic_file.hpp"
#include "app/json.hpp"
#include "transfer/report.hpp"

#include <filesystem>

namespace postferry::app {

/// One element of "mailboxes".
[[nodiscard]] boost::json::object json_of(const transfer::mailbox_report& report);

/// Writes mailboxes as they end, so that memory does not grow with their number. The file appears with finish(), whole;
/// a run that is killed before leaves the old one. Errors: class local.
class report_writer {
  public:
    /// Before the run starts: fails when the file cannot be written.
    [[nodiscard]] static result<report_writer> open(const std::filesystem::path& file, wall_time started);
    [[nodiscard]] result<void> add(const transfer::mailbox_report& report);
    [[nodiscard]] result<void> finish(wall_time ended);

  private:
    explicit report_writer(atomic_file file) noexcept : file_(std::move(file)) {}

    atomic_file file_;
    std::uint64_t mailboxes_ = 0;
    transfer::balance messages_, octets_;
};

/// Writes a whole document (plan, check) in the same safe way.
[[nodiscard]] result<void> write_document(atomic_file file, const boost::json::value& document);

} // namespace postferry::app

#pragma once
// The JSON report (docs/json.md, docs/schema/report.schema.json).
#include "app/atomic_file.hpp"
#include "app/json.hpp"
#include "app/report_spool.hpp"
#include "transfer/report.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace postferry::app {

/// One element of "mailboxes". A ledger keeps no more than so many failures.
[[nodiscard]] boost::json::object json_of(const transfer::mailbox_report& report, std::size_t most_failures = SIZE_MAX);

/// When a run began and ended, RFC 3339 in UTC.
struct report_frame {
    std::string started, ended;
};

/// What mailboxes add up to.
struct report_sums {
    std::uint64_t mailboxes = 0;
    transfer::balance messages, octets;
    /// Adds an element of "mailboxes" and answers it. Errors: class local, it is no JSON object.
    [[nodiscard]] result<boost::json::object> add(std::string_view mailbox);
};
/// Of "messages" or "bytes"; what is missing counts 0.
[[nodiscard]] transfer::balance balance_of(const boost::json::object& counts);
[[nodiscard]] const boost::json::object& object_in(const boost::json::object& from,
                                                   std::string_view name); ///< empty if it is none
[[nodiscard]] const boost::json::array& array_in(const boost::json::object& from,
                                                 std::string_view name);                        ///< empty if it is none
[[nodiscard]] std::string_view text_in(const boost::json::object& from, std::string_view name); ///< empty if it is none
[[nodiscard]] bool is_waived(const boost::json::object& failure);
[[nodiscard]] std::uint64_t number_in(const boost::json::object& from, std::string_view name); ///< 0 if it is none

/// The document in pieces: begin(), mailbox() for each, end().
class json_pages {
  public:
    [[nodiscard]] std::string begin(std::string_view started) const;
    /// An element of "mailboxes", with what stands before it. Errors: class local, it is no JSON object.
    [[nodiscard]] result<std::string> mailbox(std::string_view json);
    [[nodiscard]] std::string end(std::string_view ended) const;

  private:
    report_sums sums_;
};

/// The whole document. The file is still to be committed.
[[nodiscard]] result<void> write_json_report(atomic_file& file, const report_frame& frame,
                                             const mailbox_walk& mailboxes);

/// Writes a whole document (plan, check) in the same safe way.
[[nodiscard]] result<void> write_document(atomic_file file, const boost::json::value& document);

} // namespace postferry::app

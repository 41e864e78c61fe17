#pragma once
// Everything that a run tells, in one place: table or lines or events, report, summary, exit code.
#include "app/events.hpp"
#include "app/exit_code.hpp"
#include "app/options.hpp"
#include "app/progress_view.hpp"
#include "app/report_files.hpp"
#include "app/report_json.hpp"
#include "app/report_spool.hpp"
#include "app/summary.hpp"

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace postferry::app {

/// Called from any thread.
class console {
  public:
    console(const run_options& options, std::uint64_t mailboxes);

    /// Opens the report, before anything starts. Errors: class local.
    [[nodiscard]] result<void> open_report();
    void started();
    void row_skipped(const csv_fault& fault);
    /// Of what ends in a document (plan, check) and tells nothing on its way.
    void begun(std::uint64_t mailbox, const std::string& name);
    void progress(std::uint64_t mailbox, const std::string& name, const transfer::progress& p);
    void failure(std::uint64_t mailbox, const std::string& name, const transfer::failure& f);
    void ended(std::uint64_t mailbox, const transfer::mailbox_report& report);
    void planned(std::uint64_t mailbox, plan_entry plan);
    void checked(std::uint64_t mailbox, mailbox_check check);
    void say(std::string_view line);
    void tick();
    void signalled(int number);
    /// Last words, report, exit code.
    [[nodiscard]] int finish();
    /// What mailboxes have reported, for a ledger that could only be read; null where nothing was kept.
    [[nodiscard]] mailbox_walk kept() const { return spool_ ? spool_->walk() : mailbox_walk{}; }

  private:
    void trouble(const error& why);
    void tell_long_pause(std::uint64_t mailbox, const std::string& name, const transfer::progress& p);
    void write_documents();
    void show_document(std::uint64_t mailbox, bool good, std::string_view text);
    [[nodiscard]] std::string report_names() const; ///< of the files that are there

    const run_options& options_;
    std::mutex mutex_;
    std::uint64_t mailboxes_;
    bool terminal_;
    bool reports_written_ = false;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    wall_time began_ = std::chrono::system_clock::now();
    progress_view view_;
    std::map<std::uint64_t, std::int64_t> told_until_; ///< mailbox -> end of the last pause that was told
    event_stream events_;
    summary summary_;
    exit_tally tally_;
    std::optional<report_files> files_;
    std::optional<report_spool> spool_; ///< what mailboxes have reported, when somebody will want it
    std::vector<plan_entry> plans_;     ///< kept only when a report is to be written
    std::vector<mailbox_check> checks_; ///< the same
    std::optional<atomic_file> document_;
    transfer::balance messages_, octets_;
};

} // namespace postferry::app

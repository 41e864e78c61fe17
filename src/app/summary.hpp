#pragma once
// The last words of a run: what was done, what was not, what to do next.
#include "app/options.hpp"
#include "transfer/report.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace postferry::app {

/// Takes the reports one by one and keeps counts and the first failures only, so it does not grow with the run.
class summary {
  public:
    static constexpr std::size_t shown_failures = 20;

    /// @param mailboxes that were to be done; those that are never reported were not begun
    explicit summary(command what, std::uint64_t mailboxes = 0) noexcept : what_(what), wanted_(mailboxes) {}

    void add(const transfer::mailbox_report& report);
    /// Rows of the CSV that --skip-invalid left out.
    void rows_skipped(std::uint64_t n) noexcept { rows_skipped_ += n; }

    /// Some lines, ending with a newline. `exit_code` decides about the advice; `report_file` and `log_file` (may be
    /// empty) are where the failures that are not shown stand.
    [[nodiscard]] std::string text(int exit_code, const std::string& report_file, const std::string& log_file,
                                   double seconds) const;

  private:
    void add_verify(const transfer::verify_report& v) noexcept;
    void add_grade(const transfer::mailbox_report& report);
    [[nodiscard]] std::string balance_lines() const;
    [[nodiscard]] std::string sample_line() const;
    [[nodiscard]] std::string difference_lines() const;
    [[nodiscard]] std::string failure_lines(const std::string& report_file, const std::string& log_file) const;
    [[nodiscard]] std::string advice(int exit_code) const;

    [[nodiscard]] std::uint64_t all() const noexcept { return std::max(mailboxes_, wanted_); }

    command what_;
    std::uint64_t wanted_;
    std::uint64_t mailboxes_ = 0, complete_ = 0, rows_skipped_ = 0;
    std::string only_source_, only_target_; ///< of the first mailbox
    transfer::balance messages_, octets_;
    std::uint64_t to_do_ = 0; ///< messages of mailboxes that were stopped before they got to them
    std::uint64_t flags_updated_ = 0, vanished_ = 0, waived_ = 0, deleted_ = 0;
    std::vector<std::string> not_deleted_;
    std::map<std::string, std::uint64_t> repairs_;
    std::map<std::string, std::uint64_t> skip_rules_;
    std::set<std::string> keywords_;
    std::vector<std::string> warnings_;
    std::uint64_t warning_count_ = 0;
    std::optional<transfer::verify_report> verify_;
    std::map<transfer::grade, std::uint64_t> grades_; ///< of what was looked at, or nobody asked to stop
    std::uint64_t not_started_ = 0, interrupted_ = 0;
    std::uint64_t failure_count_ = 0;
    std::vector<std::pair<std::string, transfer::failure>> failures_; ///< mailbox, failure
    std::uint64_t stopped_count_ = 0;
    std::vector<std::pair<std::string, error>> stopped_;
};

} // namespace postferry::app

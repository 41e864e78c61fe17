#pragma once
// The exit codes of docs/cli.md as a pure function of what happened.
#include "app/check_report.hpp"
#include "app/plan_report.hpp"
#include "base/error.hpp"
#include "transfer/report.hpp"

#include <cstdint>

namespace postferry::app {

namespace exit_codes {
constexpr int done = 0, incomplete = 1, usage = 2, nothing_started = 3, stopped_by_budget = 4, local_trouble = 5;
constexpr int interrupted = 130, terminated = 143;
} // namespace exit_codes

/// For a failure that keeps the run from starting: class local gives 5 (disk full, permission), cancelled 130, a phase
/// from resolve to login 3, everything else 2 (usage, CSV; a ledger that is damaged, too new or in use is class
/// config).
[[nodiscard]] int exit_code_of(const error& before_the_start) noexcept;

/// Everything that was asked for is on the target, or waived.
[[nodiscard]] bool is_complete(const transfer::mailbox_report& report) noexcept;
/// The mailbox was never logged in to.
[[nodiscard]] bool never_started(const transfer::mailbox_report& report) noexcept;

/// Takes the results one by one. Strongest first: a signal, local trouble, nothing could start at all, something
/// incomplete, something to be gone on with later (--no-wait), done.
class exit_tally {
  public:
    void add(const transfer::mailbox_report& report) noexcept;
    void add(const plan_entry& plan) noexcept;
    void add(const mailbox_check& check) noexcept;
    /// SIGINT (2) or SIGTERM (15) ended the run early.
    void signalled(int number) noexcept { signal_ = number; }
    /// Trouble of this machine outside any mailbox: the report could not be written, the ledger's disk is full.
    void local_trouble() noexcept { local_ = true; }
    [[nodiscard]] int code() const noexcept;

  private:
    void add(bool complete, bool started, bool local) noexcept;

    std::uint64_t all_ = 0, incomplete_ = 0, never_started_ = 0;
    std::uint64_t come_again_ = 0; ///< stopped by a budget, or by a server that asked for a longer pause (--no-wait)
    bool local_ = false;
    int signal_ = 0;
};

} // namespace postferry::app

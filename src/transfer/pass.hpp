#pragma once
#include "mailbox/mailbox.hpp"
#include "transfer/flag_rules.hpp"
#include "transfer/folder_rules.hpp"
#include "transfer/ledger.hpp"
#include "transfer/pipeline.hpp"
#include "transfer/plan.hpp"
#include "transfer/report.hpp"
#include "transfer/sampling.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace postferry::transfer {

struct pass_options {
    pass_kind kind = pass_kind::bulk;
    folder_rules rules;
    std::optional<std::int64_t> since_unix;        ///< skip what is older by INTERNALDATE
    std::optional<std::uint64_t> max_octets;       ///< skip what is larger
    pipeline_limits limits;                        ///< shared by all connections of the pass
    std::size_t connections = 1;                   ///< pairs of source and target at most, where both ends share well
    std::uint64_t messages_per_connection = 1'000; ///< fewer are not worth a further login
    std::uint64_t trial_messages = 10;             ///< of each folder in a trial pass: half the oldest, half the newest
    bool copy_rights = false;                      ///< access rights of folders (RFC 4314)
    bool delete_extra = false;                     ///< remove copies whose source message vanished (docs/adr/0009)
    sample_wish sample;                            ///< of verify; nothing: all messages
    /// Source folder and UID of failures that somebody has accepted.
    std::shared_ptr<const std::set<std::pair<std::string, std::uint32_t>>> waived;
    message::repair_set repairs = message::repair_set::all(); ///< that may be tried after a refusal
    flag_table::limits flag_limits = {};
    unsigned attempts =
        5; ///< in a row without any progress; four times as many while messages are suspected of killing the line
    std::chrono::milliseconds first_patience{
        25'000}; ///< connecting that took so long in all, in vain, has no other attempt
    std::chrono::milliseconds first_pause{1'000}; ///< before the second attempt; doubles up to a minute
    bool no_wait = false; ///< ends in state throttled rather than wait longer than a minute for a server or a budget
};

/// Everything a pass needs from outside. The functions are called on the pass's strand.
struct pass_environment {
    std::function<task<result<std::unique_ptr<mailbox::source>>>()> open_source;
    std::function<task<result<std::unique_ptr<mailbox::target>>>()> open_target;
    /// Waits until one connection to each end may be had; what it answers (not null) is held as long as they are
    /// wanted. None: there is always room.
    std::function<task<result<std::shared_ptr<void>>>()> admit;
    /// An end asked for a pause.
    std::function<void(bool target, const error& why)> on_throttled;
    /// Takes over an end that leaves_by_itself(), when the pass has no more need of it, and calls leave(). None: the
    /// pass waits for that.
    std::function<void(std::unique_ptr<mailbox::source>)> see_off = {};
    transfer::ledger* books = nullptr; ///< outlives the pass
    std::function<void(const progress&)> on_progress;
    std::function<void(const failure&)> on_failure;
    std::function<void(std::string_view)> on_note; ///< for the log: reconnects, pauses, decisions
};

/// Names both ends in reports and in the ledger; without passwords.
struct pass_names {
    std::string source, target;
};

/// One pass over one mailbox (docs/architecture.md, "A pass over a mailbox"): connects, lists, scans what moved,
/// copies, closes the balance sheet; after a lost connection it does so again. Idempotent.
class mailbox_pass {
  public:
    mailbox_pass(pass_names names, pass_options options, pass_environment environment);
    ~mailbox_pass();
    mailbox_pass(const mailbox_pass&) = delete;
    mailbox_pass& operator=(const mailbox_pass&) = delete;

    /// Runs to the end and never throws for what is expected: failures are in the report.
    task<mailbox_report> run();
    /// Changes nothing, neither the target nor the ledger.
    task<result<mailbox_plan>> plan();
    /// Compares the content of both sides (docs/report.md#verify). Changes nothing.
    task<mailbox_report> verify();
    /// Asks for an orderly end: no new message is begun, what is under way is answered and recorded. From the pass's
    /// strand.
    void stop() noexcept;

  private:
    class state;
    std::unique_ptr<state> state_;
};

} // namespace postferry::transfer

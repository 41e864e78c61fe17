#pragma once
// The lines of --json (docs/json.md, docs/schema/event.schema.json): one object a line, for programs that watch a run.
#include "app/accounts.hpp"
#include "app/check_report.hpp"
#include "app/json.hpp"
#include "app/plan_report.hpp"
#include "transfer/report.hpp"

#include <cstdint>
#include <functional>
#include <string_view>
#include <unordered_map>

namespace postferry::app {

struct started_event {
    std::string_view command, pass;
    std::uint64_t mailboxes = 0;
    std::uint32_t jobs = 1;
    std::string_view state; ///< the ledger's file
};

/// Makes the lines and hands each, with its newline, to `out` in one piece. Mailboxes are numbered by the caller,
/// from 1. Not for two threads at once.
class event_stream {
  public:
    explicit event_stream(std::function<void(std::string_view line)> out) : out_(std::move(out)) {}

    void started(wall_time now, const started_event& what);
    void row_skipped(wall_time now, const csv_fault& fault);
    /// A line when the mailbox's state changes, and at most one a second for its progress.
    void progress(wall_time now, std::uint64_t mailbox, std::string_view source, const transfer::progress& p);
    void failure(wall_time now, std::uint64_t mailbox, std::string_view source, const transfer::failure& f);
    /// The mailbox has ended.
    void ended(wall_time now, std::uint64_t mailbox, const transfer::mailbox_report& report);
    void planned(wall_time now, std::uint64_t mailbox, const plan_entry& plan);
    void checked(wall_time now, std::uint64_t mailbox, const mailbox_check& check);
    /// What kept the whole run from going on: the ledger, the disk.
    void trouble(wall_time now, const error& why);
    void finished(wall_time now, int exit_code, std::uint64_t mailboxes, const transfer::balance& messages,
                  const transfer::balance& octets, double seconds);

  private:
    struct seen {
        transfer::mailbox_state state = transfer::mailbox_state::queued;
        wall_time last{};
        std::uint64_t octets = 0;
    };
    void send(wall_time now, std::string_view event, boost::json::object rest);

    std::function<void(std::string_view)> out_;
    std::unordered_map<std::uint64_t, seen> running_;
};

} // namespace postferry::app

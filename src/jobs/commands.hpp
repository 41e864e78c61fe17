#pragma once
// What people ask of batches and mailboxes: start, pause, resume, cancel, retry, finish, sweep. Each is a few bounded
// transactions, so that a batch of a million mailboxes neither stops the others nor is lost half-way: said again, a
// command goes on with what is left.
#include "jobs/batch_settings.hpp"
#include "net/awaitable.hpp"
#include "store/database.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace postferry::jobs {

enum class command : std::uint8_t {
    start,  ///< what is ready is queued, now or at the batch's moment (scheduled); one that was stopped goes on
    pause,  ///< nothing is begun any more, what runs is stopped in good order
    resume, ///< what was paused by hand is queued again
    cancel, ///< for good, unless it is retried by name
    retry,  ///< what failed is queued again, nothing else
    finish, ///< the last pass over every mailbox, then verification; of completed ones too: a sweep
};
[[nodiscard]] std::string_view name_of(command c) noexcept;
[[nodiscard]] std::optional<command> parse_command(std::string_view word) noexcept;

/// What came of a command over many.
struct command_result {
    std::int64_t changed = 0; ///< mailboxes
    std::int64_t left = 0;    ///< that are in a state which does not take this command, and stay as they are
};

class commands {
  public:
    /// Mailboxes changed in one transaction.
    static constexpr int bite = 500;

    /// @param woken called when there may be work: workers look at once
    explicit commands(store::database& db, std::function<void()> woken = {}) : db_(db), woken_(std::move(woken)) {}

    /// Errors: refusal::missing; not_allowed when the batch's state does not take it.
    task<result<command_result>> batch(store::record_id id, command what, std::string actor);
    /// Starts what is scheduled and whose moment has come; how many batches. Every few seconds, by any process.
    task<result<int>> start_due();
    /// As the mailbox is now. Errors as above.
    task<result<store::migration>> mailbox(store::record_id id, command what, std::string actor);
    /// -100..100; higher first.
    task<result<store::migration>> set_priority(store::record_id id, int priority, std::string actor);

  private:
    task<result<store::batch>> change_batch(store::record_id id, command what, std::string actor);

    store::database& db_;
    std::function<void()> woken_;
};

} // namespace postferry::jobs

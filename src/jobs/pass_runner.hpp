#pragma once
// What jobs asks of whoever can make a pass over a mailbox. `app` implements it over mailbox/ and transfer/; tests
// without any mail.
#include "jobs/batch_settings.hpp"
#include "jobs/lease_clock.hpp"
#include "message/recipients.hpp"
#include "net/awaitable.hpp"
#include "store/records.hpp"
#include "transfer/report.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

namespace postferry::jobs {

/// One pass over one mailbox, under a lease.
struct work {
    store::migration mailbox;
    batch_settings settings = {};
    transfer::pass_kind kind = transfer::pass_kind::bulk;
    std::int64_t token = 0;                   ///< of the lease; every write to the ledger bears it
    std::shared_ptr<const lease_clock> lease; ///< nothing may be written to the target when it has run out
    int connections = 1;                      ///< to each end, at most
    /// When the pass is done, its source is searched for other addresses of the owner.
    std::optional<message::recipient_wish> recipients = {};
};

/// Told on the way; called on the runner's strand, never after run() has returned.
struct pass_hooks {
    std::function<void(store::mailbox_state)> on_state; ///< discovering, copying, verifying
    std::function<void(const store::message_counts&)> on_progress;
    std::function<void(store::log_level, std::string_view folder, std::string_view text)> on_line;
    /// A server asks for a pause: nobody should begin a mailbox there before.
    std::function<void(const std::string& server, store::unix_ms until, const std::string& why)> on_throttled;
};

struct pass_end {
    enum class how : std::uint8_t {
        done,      ///< the balance closes; what failed is in the counts
        failed,    ///< `why`
        throttled, ///< a server or a budget wants a pause longer than the lease should be held for: `until`
        stopped,   ///< as asked; everything that was done is recorded
    };
    how what = how::done;
    store::message_counts counts = {};
    std::string grade = {};       ///< name_of(transfer::grade); empty: it did not get that far
    bool proven = false;          ///< of a verify pass: nothing is missing or different that is not waived
    std::uint64_t waived = 0;     ///< of the messages that failed in this pass, those that somebody accepted to lose
    store::json_text report = {}; ///< as in docs/json.md, "mailboxes"
    std::optional<error> why = {};
    std::optional<store::unix_ms> until = {};
    std::string throttled_by = {}; ///< server key, or "budget"
    /// As was wished for; none when the source could not be searched.
    std::optional<message::recipients_found> recipients = {};
};

class pass_runner {
  public:
    virtual ~pass_runner() = default;
    /// On the caller's strand. Ends soon, and in good order, when `stop` is asked for or the lease runs out.
    virtual task<pass_end> run(work what, pass_hooks hooks, std::stop_token stop) = 0;
};

} // namespace postferry::jobs

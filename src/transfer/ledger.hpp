#pragma once
// The ledger as the transfer engine needs it. `store` implements it over SQL; tests over memory.
#include "base/digest.hpp"
#include "base/error.hpp"
#include "net/awaitable.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::transfer {

using mailbox_id = std::int64_t;
using folder_id = std::int64_t;

/// What became of a source message. Only these are kept; a skipped message has no row (rules may change).
enum class item_state : std::uint8_t {
    copied = 1,    ///< appended by us and acknowledged
    present = 2,   ///< was on the target already; matched by fingerprint or content
    failed = 3,    ///< refused for good; each pass tries it again, a repair pass nothing else
    gone = 4,      ///< copied by us; its source message has vanished since. The copy stays on the target
    condemned = 5, ///< gone, and a dry run has shown that --delete-extra would remove the copy
};

/// One source message that is accounted for. About 50 octets on disk.
struct ledger_row {
    std::uint32_t source_uid = 0;
    std::uint32_t target_uid = 0; ///< 0 = not known (no UIDPLUS) or failed
    std::uint64_t octets = 0;     ///< of BODY.PEEK[] as read from the source; 0 if not read
    std::uint32_t flags = 0;      ///< index into the folder's flag-set table (ledger_folder::flag_sets)
    item_state state = item_state::copied;
    std::optional<sha256_digest> digest; ///< of the source's octets; absent when matched by fingerprint alone
    std::uint8_t repairs = 0;            ///< message::repair_set::bits(): how it was changed for the target to take it
};

/// A row as it is kept in memory during a pass (16 octets): digest and size stay on disk.
struct ledger_brief {
    std::uint32_t source_uid = 0;
    std::uint32_t target_uid = 0;
    std::uint32_t flags = 0;
    item_state state = item_state::copied;
};

/// A source folder and what it became. A change of either UIDVALIDITY begins a new generation: its rows are void.
struct ledger_folder {
    folder_id id = 0;
    std::string source_name; ///< decoded, "/" between levels
    std::string target_name;
    std::uint32_t source_uid_validity = 0;
    std::uint32_t target_uid_validity = 0;
    /// The source as the last complete pass saw it; all 0 before the first.
    std::uint32_t source_uid_next = 0;
    std::uint32_t source_messages = 0;
    std::uint64_t source_modseq = 0;
    /// Everything on the target at or above this UID that no row names may be ours, from a pass that was cut off.
    /// 0 = never looked: everything may be.
    std::uint32_t target_mark = 0;
    bool complete = false; ///< the last pass closed this folder's balance sheet with nothing failed or pending
    bool subscribed = false;
    std::vector<std::string>
        flag_sets; ///< index -> canonical text, flags sorted, space between: "\Answered \Seen $Label1"
    /// Totals over the rows, so that a folder that did not move needs no row.
    struct totals {
        std::uint64_t copied = 0, present = 0, failed = 0;
        std::uint64_t copied_octets = 0, present_octets = 0, failed_octets = 0;
    } rows;
};

struct failed_item {
    std::uint32_t source_uid = 0;
    std::uint64_t octets = 0;
    std::string message_id;
    retry_class cls = retry_class::permanent;
    std::string reason;
};

/// The report of a pass that has ended, as an element of the JSON report's "mailboxes" (docs/json.md).
struct kept_report {
    std::string source_key, target_key;
    std::string pass;  ///< name_of(pass_kind)
    std::string ended; ///< RFC 3339, UTC
    std::string body;
};

/// Repository of one ledger file. Every call is queued to the ledger's own thread and comes back on the caller's
/// executor; calls of one mailbox are carried out in the order made. Failures: class local (disk full, damaged) with
/// what to do. Cancelling waits for the running statement.
class ledger {
  public:
    virtual ~ledger() = default;

    /// Finds or makes the mailbox. The keys name both ends without password ("imaps://alice@old.example.org").
    /// One that is open already fails with class config: it is listed twice.
    virtual task<result<mailbox_id>> open_mailbox(std::string source_key, std::string target_key) = 0;
    /// Its pass has ended; it may be opened again. Every mailbox that was opened must be closed.
    virtual void close_mailbox(mailbox_id mailbox) noexcept = 0;
    virtual task<result<std::vector<ledger_folder>>> folders(mailbox_id mailbox) = 0;
    /// Rows by ascending source UID.
    virtual task<result<std::vector<ledger_brief>>> rows(folder_id folder) = 0;
    /// Full rows (with size and digest) of source UIDs in [first, last], ascending; for verify.
    virtual task<result<std::vector<ledger_row>>> full_rows(folder_id folder, std::uint32_t first_uid,
                                                            std::uint32_t last_uid) = 0;
    virtual task<result<std::vector<failed_item>>> failures(folder_id folder) = 0;
    /// The rows that are on the target in a repaired form: source UID and ledger_row::repairs, ascending.
    virtual task<result<std::vector<std::pair<std::uint32_t, std::uint8_t>>>> repaired(folder_id) {
        co_return std::vector<std::pair<std::uint32_t, std::uint8_t>>{};
    }

    /// Durable before it returns (fsync): opens a folder for copying, or a new generation of it when either UIDVALIDITY
    /// differs from what is stored (its rows and failures then go in the same transaction). Answers the folder as
    /// stored.
    virtual task<result<ledger_folder>> begin_folder(mailbox_id mailbox, std::string source_name,
                                                     std::string target_name, std::uint32_t source_uid_validity,
                                                     std::uint32_t target_uid_validity, std::uint32_t target_mark) = 0;
    /// The index of a flag set in the folder's table, added if new. Durable with the next record().
    virtual task<result<std::uint32_t>> flag_set(folder_id folder, std::string canonical) = 0;
    /// One transaction: inserts or replaces rows (a failed one may become copied), and failures with their reasons.
    virtual task<result<void>> record(folder_id folder, std::vector<ledger_row> rows,
                                      std::vector<failed_item> failures) = 0;
    /// One transaction: new flags of rows that exist.
    virtual task<result<void>> update_flags(folder_id folder,
                                            std::vector<std::pair<std::uint32_t, std::uint32_t>> uid_and_flag_set) = 0;
    /// Forgets rows (source UIDs) whose message must be decided anew.
    virtual task<result<void>> forget(folder_id folder, std::vector<std::uint32_t> source_uids) = 0;
    /// One transaction: another state for rows that exist; the totals follow (gone and condemned count in none).
    virtual task<result<void>> set_state(folder_id folder, std::vector<std::uint32_t> source_uids,
                                         item_state state) = 0;
    /// Keeps what a pass has reported; the mailbox's last one of that kind is replaced.
    virtual task<result<void>> keep_report(kept_report) { co_return result<void>{}; }
    /// Closes the folder's pass: stores uid_next, messages, modseq, mark, complete and subscribed of `state`.
    virtual task<result<void>> finish_folder(ledger_folder state) = 0;
};

} // namespace postferry::transfer

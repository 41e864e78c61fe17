#pragma once
// What a pass over a mailbox did, as numbers that add up. The JSON report, the progress display and the exit code are
// made from it.
#include "base/error.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace postferry::transfer {

/// Every source message is in exactly one of the last five; `residual` is what is left over and must be 0.
struct balance {
    std::uint64_t source = 0, copied = 0, present = 0, skipped = 0, failed = 0;
    [[nodiscard]] std::int64_t residual() const noexcept {
        return static_cast<std::int64_t>(source) - static_cast<std::int64_t>(copied + present + skipped + failed);
    }
    balance& operator+=(const balance& o) noexcept {
        source += o.source;
        copied += o.copied;
        present += o.present;
        skipped += o.skipped;
        failed += o.failed;
        return *this;
    }
};

struct failure {
    std::string folder; ///< source name, decoded
    std::uint32_t source_uid = 0;
    std::uint64_t octets = 0;
    std::string message_id;
    retry_class cls = retry_class::permanent;
    std::string reason; ///< "server said: ..." or ours
    bool waived = false;
};

struct folder_report {
    std::string source, target;
    balance messages, octets; ///< octets.source counts what was read; a message already present without a ledger size
                              ///< counts its RFC822.SIZE
    std::string state = "pending";  ///< pending, copying, synced, skipped, failed
    std::vector<std::string> notes; ///< "keyword Project/X not allowed by the target", "mapped to \Sent of the target"
    std::uint64_t deleted = 0;      ///< removed from the target (--delete-extra); no part of the balance
};

struct verify_report {
    std::uint64_t identical = 0, missing = 0, different = 0, extra = 0, altered_by_server = 0, changed_since = 0;
    double sampled = 1.0;                ///< share of the messages whose content was compared
    std::uint64_t altered_by_repair = 0; ///< other octets because we repaired the message (mailbox_report::repairs)
    std::uint64_t kept = 0;              ///< copies whose source message has vanished since; they stay by default
    std::uint64_t compared = 0;          ///< messages whose content was compared
    std::optional<std::uint64_t> seed{}; ///< of a sampled proof: the same seed draws the same messages
    double at_most = 0; ///< with 95 % confidence no larger share of all messages differs (sampling.hpp)
};

enum class mailbox_state : std::uint8_t {
    queued,
    connecting,
    scanning,
    copying,
    throttled,
    synced,
    completed,
    failed,
    interrupted
};
enum class grade : std::uint8_t { perfect, good, investigate, poor };
enum class pass_kind : std::uint8_t { trial, bulk, delta, final, sweep, repair, verify };

/// Pauses that a server asked for, or a budget.
struct throttle_report {
    std::uint64_t times = 0; ///< that were waited out
    double seconds = 0;      ///< in all
    std::string by;          ///< the last one's: who asked
    std::string reason;      ///< in its words
    std::int64_t until_unix = 0;
};

struct mailbox_report {
    std::string source, target; ///< URLs without passwords
    mailbox_state state = mailbox_state::queued;
    pass_kind pass = pass_kind::bulk;
    grade mark = grade::perfect;
    balance messages, octets;
    std::uint64_t flags_updated = 0, vanished = 0;
    std::vector<std::string> keywords_dropped;       ///< each once
    std::map<std::string, std::uint64_t> skip_rules; ///< rule -> messages
    std::map<std::string, std::uint64_t> repairs;    ///< name of the repair -> messages (docs/report.md#repairs)
    std::vector<std::string>
        warnings; ///< named, harmless differences: dates the target stored differently, folders not copied
    std::optional<verify_report> verify;
    std::vector<folder_report> folders;
    std::vector<failure> failures;
    std::optional<error> stopped_by;      ///< why the pass did not end by itself
    throttle_report throttled;            ///< `by` is empty when nobody asked for a pause
    std::uint64_t deleted = 0;            ///< removed from the target (--delete-extra)
    std::vector<std::string> not_deleted; ///< why --delete-extra left something that vanished from the source
    double seconds = 0;
};

/// Grades as published in docs/report.md. `reports` with `stopped_by` are poor.
[[nodiscard]] grade grade_of(const mailbox_report& report) noexcept;
[[nodiscard]] std::string_view name_of(mailbox_state s) noexcept;
[[nodiscard]] std::string_view name_of(grade g) noexcept;
[[nodiscard]] std::string_view name_of(pass_kind p) noexcept;

/// A snapshot for progress displays; cheap to copy.
struct progress {
    mailbox_state state = mailbox_state::queued;
    std::string folder;
    std::uint64_t messages_done = 0, messages_total = 0; ///< total is 0 until the scan is done
    std::uint64_t octets_done = 0;
    std::string note;            ///< "throttled by imap.old.example.org until 14:03:05 UTC"
    std::string throttled_by;    ///< a host, while it is so
    std::int64_t until_unix = 0; ///< when it will be over
};

} // namespace postferry::transfer

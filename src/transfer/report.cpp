#include "transfer/report.hpp"

#include <algorithm>

namespace postferry::transfer {

namespace {

constexpr std::uint64_t most_failed = 10;
constexpr std::uint64_t failed_share = 1000; // one in so many

/// Messages that are not on the target as they should be and that nobody waived.
std::uint64_t bad_messages(const mailbox_report& report) noexcept {
    std::uint64_t bad = report.messages.failed;
    // A message that failed is missing, too: it counts once.
    if (report.verify) bad = std::max(bad, report.verify->missing + report.verify->different);
    const auto waived = static_cast<std::uint64_t>(std::ranges::count(report.failures, true, &failure::waived));
    return bad - std::min(bad, waived);
}

/// A folder that could not even be counted.
bool lost_a_folder(const mailbox_report& report) noexcept {
    return std::ranges::any_of(report.folders, [](const folder_report& f) {
        return f.state == "failed" && (f.messages.source == 0 || f.messages.residual() != 0);
    });
}

bool has_named_differences(const mailbox_report& report) noexcept {
    // A rule that left nothing out made no difference.
    const bool skipped = std::ranges::any_of(report.skip_rules, [](const auto& rule) { return rule.second > 0; });
    return report.messages.skipped > 0 || report.messages.failed > 0 || skipped || !report.keywords_dropped.empty() ||
           !report.warnings.empty() || !report.not_deleted.empty() ||
           (report.verify &&
            report.verify->missing + report.verify->different + report.verify->extra + report.verify->kept > 0);
}

} // namespace

grade grade_of(const mailbox_report& report) noexcept {
    if (report.stopped_by || report.state == mailbox_state::interrupted) return grade::poor;
    if (report.messages.residual() != 0 || lost_a_folder(report)) return grade::poor;
    const std::uint64_t bad = bad_messages(report);
    if (bad > most_failed || bad * failed_share > report.messages.source) return grade::poor;
    const bool altered = !report.repairs.empty() ||
                         (report.verify && report.verify->altered_by_server + report.verify->altered_by_repair > 0);
    if (bad > 0 || altered) return grade::investigate;
    return has_named_differences(report) ? grade::good : grade::perfect;
}

std::string_view name_of(mailbox_state s) noexcept {
    switch (s) {
    case mailbox_state::queued: return "queued";
    case mailbox_state::connecting: return "connecting";
    case mailbox_state::scanning: return "scanning";
    case mailbox_state::copying: return "copying";
    case mailbox_state::throttled: return "throttled";
    case mailbox_state::synced: return "synced";
    case mailbox_state::completed: return "completed";
    case mailbox_state::failed: return "failed";
    case mailbox_state::interrupted: return "interrupted";
    }
    return "unknown";
}

std::string_view name_of(grade g) noexcept {
    switch (g) {
    case grade::perfect: return "perfect";
    case grade::good: return "good";
    case grade::investigate: return "investigate";
    case grade::poor: return "poor";
    }
    return "unknown";
}

std::string_view name_of(pass_kind p) noexcept {
    switch (p) {
    case pass_kind::trial: return "trial";
    case pass_kind::bulk: return "bulk";
    case pass_kind::delta: return "delta";
    case pass_kind::final: return "final";
    case pass_kind::sweep: return "sweep";
    case pass_kind::repair: return "repair";
    case pass_kind::verify: return "verify";
    }
    return "unknown";
}

} // namespace postferry::transfer

#include "app/summary.hpp"

#include "app/exit_code.hpp"
#include "app/words.hpp"
#include "base/text.hpp"
#include "transfer/sampling.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace postferry::app {

void summary::add_verify(const transfer::verify_report& v) noexcept {
    if (!verify_) verify_ = transfer::verify_report{};
    verify_->identical += v.identical;
    verify_->missing += v.missing;
    verify_->different += v.different;
    verify_->extra += v.extra;
    verify_->altered_by_server += v.altered_by_server;
    verify_->altered_by_repair += v.altered_by_repair;
    verify_->changed_since += v.changed_since;
    verify_->kept += v.kept;
    verify_->compared += v.compared;
    if (v.seed) verify_->seed = v.seed;
    verify_->sampled = std::min(verify_->sampled, v.sampled);
}

// A mailbox that nobody could log in to, or that was told to stop, is no poor copy.
void summary::add_grade(const transfer::mailbox_report& r) {
    if (never_started(r))
        ++not_started_;
    else if (r.stopped_by && r.stopped_by->cls == retry_class::cancelled)
        ++interrupted_;
    else
        ++grades_[r.mark];
}

void summary::add(const transfer::mailbox_report& r) {
    if (mailboxes_++ == 0) {
        only_source_ = r.source;
        only_target_ = r.target;
    }
    if (is_complete(r)) ++complete_;
    messages_ += r.messages;
    if (r.stopped_by && r.messages.residual() > 0) to_do_ += static_cast<std::uint64_t>(r.messages.residual());
    octets_ += r.octets;
    flags_updated_ += r.flags_updated;
    vanished_ += r.vanished;
    for (const auto& [rule, n] : r.skip_rules) skip_rules_[rule] += n;
    for (const auto& [name, n] : r.repairs) repairs_[name] += n;
    for (const std::string& k : r.keywords_dropped)
        if (keywords_.size() < shown_failures) keywords_.insert(k);
    deleted_ += r.deleted;
    for (const std::string& why : r.not_deleted)
        if (not_deleted_.size() < shown_failures) not_deleted_.push_back(why);
    warning_count_ += r.warnings.size();
    for (const std::string& w : r.warnings)
        if (warnings_.size() < shown_failures) warnings_.push_back(w);
    if (r.verify) add_verify(*r.verify);
    add_grade(r);
    for (const transfer::failure& f : r.failures) {
        if (f.waived) {
            ++waived_;
            continue;
        }
        ++failure_count_;
        if (failures_.size() < shown_failures) failures_.emplace_back(r.source, f);
    }
    // Of those that were told to stop there is nothing to tell but their number, and they would hide the others.
    if (!r.stopped_by || r.stopped_by->cls == retry_class::cancelled) return;
    ++stopped_count_;
    if (stopped_.size() < shown_failures) stopped_.emplace_back(r.source, *r.stopped_by);
}

std::string summary::balance_lines() const {
    if (messages_.source == 0 && stopped_count_ + interrupted_ > 0) return {};
    std::string out =
        fmt::format("  {} on the source = {} copied ({}) + {} present already + {} skipped by rule + {} failed",
                    counted(messages_.source, "message"), grouped(messages_.copied), format_size(octets_.copied),
                    grouped(messages_.present), grouped(messages_.skipped), grouped(messages_.failed));
    if (to_do_ > 0) out += fmt::format(" + {} still to do", grouped(to_do_));
    const std::int64_t lost = messages_.residual() - static_cast<std::int64_t>(to_do_);
    if (lost == 0)
        out += to_do_ > 0 ? "\n" : "; nothing is unaccounted for\n";
    else
        out += fmt::format("; {} NOT ACCOUNTED FOR\n", lost);
    if (verify_) {
        out += fmt::format("  content compared: {} identical, {} missing, {} different, {} altered by the server, {} "
                           "only on the target",
                           grouped(verify_->identical), grouped(verify_->missing), grouped(verify_->different),
                           grouped(verify_->altered_by_server), grouped(verify_->extra));
        if (verify_->altered_by_repair > 0) out += fmt::format(", {} repaired", grouped(verify_->altered_by_repair));
        if (verify_->changed_since > 0)
            out += fmt::format(", {} changed by their owners since", grouped(verify_->changed_since));
        if (verify_->kept > 0) out += fmt::format(", {} kept that vanished from the source", grouped(verify_->kept));
        out += "\n" + sample_line();
    }
    return out;
}

// A sample of 600 of 120,000 without a difference: with 95 % confidence fewer than 0.5 % differ.
std::string summary::sample_line() const {
    if (!verify_->seed) return {};
    const std::uint64_t odd = verify_->different + verify_->altered_by_server;
    return fmt::format("  a sample of {} of {}, {}: with 95 % confidence no more than {:.2g} % of all differ{}\n",
                       grouped(verify_->compared), counted(messages_.source, "message"),
                       odd == 0 ? "without a difference" : fmt::format("{} of which differ", grouped(odd)),
                       transfer::differs_at_most(verify_->compared, odd) * 100,
                       mailboxes_ == 1 ? fmt::format(" (--seed {} draws it again)", *verify_->seed) : "");
}

std::string summary::difference_lines() const {
    std::string out;
    if (flags_updated_ > 0)
        out += fmt::format("  flags brought up to date on {}\n", counted(flags_updated_, "message"));
    for (const auto& [rule, n] : skip_rules_) out += fmt::format("  skipped: {} by {}\n", counted(n, "message"), rule);
    for (const auto& [name, n] : repairs_) out += fmt::format("  repaired: {} by {}\n", counted(n, "message"), name);
    if (vanished_ > 0)
        out += fmt::format("  {} vanished from the source before they were read\n", counted(vanished_, "message"));
    if (!keywords_.empty())
        out += fmt::format("  keywords that the target does not keep: {}\n", fmt::join(keywords_, ", "));
    if (waived_ > 0) out += fmt::format("  {} waived\n", counted(waived_, "failure"));
    if (deleted_ > 0)
        out += fmt::format("  {} deleted from the target, vanished from the source before\n",
                           counted(deleted_, "message"));
    for (const std::string& why : not_deleted_) out += fmt::format("  not deleted: {}\n", why);
    for (const std::string& w : warnings_) out += fmt::format("  note: {}\n", w);
    if (warning_count_ > warnings_.size())
        out += fmt::format("  and {}\n", counted(warning_count_ - warnings_.size(), "more note"));
    if (rows_skipped_ > 0) out += fmt::format("  {} left out (--skip-invalid)\n", counted(rows_skipped_, "faulty row"));
    return out;
}

std::string summary::failure_lines(const std::string& report_file, const std::string& log_file) const {
    std::string out;
    const std::string where = !report_file.empty() ? fmt::format("all of them are in {}", report_file)
                              : !log_file.empty()  ? fmt::format("all of them are in {}", log_file)
                                                   : "run again with --report FILE.json to see all of them";
    const auto more = [&](std::uint64_t all, std::size_t shown) {
        if (all > shown) out += fmt::format("  and {} more; {}\n", grouped(all - shown), where);
    };
    if (stopped_count_ > 0)
        out += mailboxes_ == 1 ? "Stopped:\n"
                               : fmt::format("{} stopped early:\n", counted(stopped_count_, "mailbox", "mailboxes"));
    for (const auto& [mailbox, e] : stopped_) out += fmt::format("  {}: {}\n", mailbox, e.message());
    more(stopped_count_, stopped_.size());
    if (failure_count_ > 0) out += fmt::format("{} failed:\n", counted(failure_count_, "message"));
    for (const auto& [mailbox, f] : failures_) {
        out += fmt::format("  {}{}, UID {}, {}", mailboxes_ > 1 ? mailbox + ": " : "", f.folder, f.source_uid,
                           format_size(f.octets));
        if (!f.message_id.empty()) out += fmt::format(", {}", f.message_id);
        out += fmt::format(": {}\n", f.reason);
    }
    more(failure_count_, failures_.size());
    return out;
}

std::string summary::advice(int exit_code) const {
    switch (exit_code) {
    case exit_codes::done:
        if (verify_ && verify_->seed)
            return "Counted: every message is on the target; the content of a sample was compared.\n";
        if (what_ == command::verify || verify_) return "Proven: everything on the source is on the target.\n";
        return "Run it again at any time for what is new; postferry verify proves that the copy is identical.\n";
    case exit_codes::incomplete:
        if (verify_)
            return "Not proven. Run copy or migrate again for what is missing, then verify again; what is accepted can "
                   "be "
                   "named with --waive.\n";
        if (failure_count_ == 0 && stopped_count_ == 0 && !not_deleted_.empty() && messages_.residual() == 0)
            return "Everything arrived; what was to be deleted from the target stays, for the reasons above.\n";
        return "Run it again: it copies only what is missing. What the target refuses stays named above.\n";
    case exit_codes::nothing_started: return "Nothing was changed. postferry check shows step by step what is wrong.\n";
    case exit_codes::stopped_by_budget:
        return "A server or a budget wants a pause, and --no-wait was given. Run the same command again later.\n";
    case exit_codes::local_trouble: return "The state is safe. Put right what is said above and run it again.\n";
    case exit_codes::interrupted:
    case exit_codes::terminated:
        return "Stopped on request. The state is safe; run it again and it goes on from here.\n";
    default: return {};
    }
}

std::string summary::text(int exit_code, const std::string& report_file, const std::string& log_file,
                          double seconds) const {
    std::string out;
    if (all() == 1 && mailboxes_ == 1) {
        out = fmt::format("{} -> {}: {} in {}\n", only_source_, only_target_, complete_ == 1 ? "done" : "not complete",
                          duration_text(seconds));
    } else {
        out = fmt::format("{} of {} done in {}\n", grouped(complete_), counted(all(), "mailbox", "mailboxes"),
                          duration_text(seconds));
    }
    out += balance_lines();
    out += difference_lines();
    std::vector<std::string> marks;
    for (const auto& [mark, n] : grades_)
        marks.push_back(all() == 1 ? std::string(name_of(mark)) : fmt::format("{} {}", grouped(n), name_of(mark)));
    if (all() > 1 && not_started_ > 0) marks.push_back(fmt::format("{} not started", grouped(not_started_)));
    if (all() > 1 && interrupted_ > 0) marks.push_back(fmt::format("{} interrupted", grouped(interrupted_)));
    if (all() > mailboxes_) marks.push_back(fmt::format("{} not begun", grouped(all() - mailboxes_)));
    if (!marks.empty()) out += fmt::format("  grade: {}\n", fmt::join(marks, ", "));
    out += failure_lines(report_file, log_file);
    if (!report_file.empty()) out += fmt::format("Report: {}\n", report_file);
    return out + advice(exit_code);
}

} // namespace postferry::app

#include "app/exit_code.hpp"

#include <algorithm>

namespace postferry::app {

namespace {

bool before_login(phase p) noexcept { return p >= phase::resolve && p <= phase::login; }

} // namespace

int exit_code_of(const error& e) noexcept {
    if (e.cls == retry_class::local) return exit_codes::local_trouble;
    if (e.cls == retry_class::cancelled) return exit_codes::interrupted;
    return before_login(e.where) ? exit_codes::nothing_started : exit_codes::usage;
}

bool is_complete(const transfer::mailbox_report& r) noexcept {
    using state = transfer::mailbox_state;
    if (r.stopped_by || r.messages.residual() != 0 || (r.state != state::synced && r.state != state::completed))
        return false;
    if (!r.not_deleted.empty()) return false; // --delete-extra was asked for and not done
    if (std::ranges::any_of(r.folders, [](const transfer::folder_report& f) { return f.state == "failed"; }))
        return false;
    // The failures that are listed may be fewer than those that are counted; only listed ones can be waived.
    const auto waived = std::ranges::count_if(r.failures, &transfer::failure::waived);
    const std::uint64_t bad =
        std::max(r.messages.failed, r.verify ? r.verify->missing + r.verify->different : std::uint64_t{0});
    return waived == std::ssize(r.failures) && bad <= static_cast<std::uint64_t>(waived);
}

bool never_started(const transfer::mailbox_report& r) noexcept {
    return r.stopped_by && before_login(r.stopped_by->where) && r.folders.empty() && r.messages.source == 0;
}

void exit_tally::add(bool complete, bool started, bool local) noexcept {
    ++all_;
    if (!complete) ++incomplete_;
    if (!started) ++never_started_;
    local_ = local_ || local;
}

void exit_tally::add(const transfer::mailbox_report& r) noexcept {
    if (r.state == transfer::mailbox_state::throttled && r.stopped_by) {
        ++all_;
        ++come_again_;
        return;
    }
    add(is_complete(r), !never_started(r), r.stopped_by && r.stopped_by->cls == retry_class::local);
}

void exit_tally::add(const plan_entry& plan) noexcept {
    add(!plan.failed, !plan.failed || !before_login(plan.failed->where),
        plan.failed && plan.failed->cls == retry_class::local);
}

void exit_tally::add(const mailbox_check& check) noexcept {
    add(verdict_of(check) != check_verdict::not_ready, !could_not_start(check), false);
}

int exit_tally::code() const noexcept {
    if (signal_ != 0) return 128 + signal_;
    if (local_) return exit_codes::local_trouble;
    if (all_ > 0 && never_started_ == all_) return exit_codes::nothing_started;
    if (incomplete_ > 0) return exit_codes::incomplete;
    return come_again_ > 0 ? exit_codes::stopped_by_budget : exit_codes::done;
}

} // namespace postferry::app

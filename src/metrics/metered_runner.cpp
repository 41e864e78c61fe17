#include "metrics/metered_runner.hpp"

#include <algorithm>

namespace postferry::metrics {

using jobs::pass_end;
using store::message_counts;

namespace {

std::string_view name_of(pass_end::how what) noexcept {
    switch (what) {
    case pass_end::how::done: return "done";
    case pass_end::how::failed: return "failed";
    case pass_end::how::throttled: return "throttled";
    case pass_end::how::stopped: return "stopped";
    }
    return "failed";
}

std::uint64_t more(std::uint64_t now, std::uint64_t before) noexcept { return now > before ? now - before : 0; }

/// Octets are told while they move. Messages only at the end: before that the runner does not know which of those that
/// are settled were copied.
struct tally {
    meters& counts;
    std::uint64_t octets = 0; ///< told so far, with those of earlier passes

    void move_to(const message_counts& now) {
        counts.copied_octets(more(now.octets_copied, octets));
        octets = std::max(octets, now.octets_copied);
    }
};

/// However it ends, also by an exception.
class running {
  public:
    running(meters& counts, std::string_view kind) : counts_(counts), kind_(kind) { counts_.pass_began(kind_); }
    ~running() {
        counts_.pass_ended(
            kind_, outcome,
            std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began_));
    }
    running(const running&) = delete;
    running& operator=(const running&) = delete;

    std::string_view outcome = "failed";

  private:
    meters& counts_;
    std::string_view kind_;
    std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

} // namespace

task<pass_end> metered_runner::run(jobs::work what, jobs::pass_hooks hooks, std::stop_token stop) {
    const message_counts before = what.mailbox.counts;
    const auto moved = std::make_shared<tally>(tally{.counts = counts_, .octets = before.octets_copied});
    hooks.on_progress = [moved, tell = std::move(hooks.on_progress)](const message_counts& now) {
        moved->move_to(now);
        if (tell) tell(now);
    };
    hooks.on_throttled = [&counts = counts_, tell = std::move(hooks.on_throttled)](
                             const std::string& server, store::unix_ms until, const std::string& why) {
        counts.throttled(server);
        if (tell) tell(server, until, why);
    };
    running pass(counts_, transfer::name_of(what.kind));
    pass_end end = co_await makes_.run(std::move(what), std::move(hooks), stop);
    pass.outcome = name_of(end.what);
    moved->move_to(end.counts);
    counts_.settled_messages(more(end.counts.messages_copied, before.messages_copied),
                             more(end.counts.messages_failed, before.messages_failed));
    if (end.what == pass_end::how::failed) counts_.pass_failed(end.why ? end.why->cls : retry_class::local);
    if (end.what == pass_end::how::throttled) counts_.throttled(end.throttled_by);
    co_return end;
}

} // namespace postferry::metrics

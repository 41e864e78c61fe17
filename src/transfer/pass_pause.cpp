// Being a good guest: entering where there is room, and the pause that a server asked for. No error; needs no hand.
#include "transfer/detail/pass_state.hpp"

#include <fmt/format.h>

namespace postferry::transfer {

namespace {

// A place at a server is kept over shorter waits only.
constexpr std::chrono::milliseconds brief{1'000};

std::int64_t unix_now() {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

} // namespace

task<result<void>> mailbox_pass::state::enter() {
    if (!env_.admit || admission_) co_return result<void>{};
    auto in = co_await env_.admit();
    if (!in) co_return std::unexpected(in.error());
    admission_ = std::move(*in);
    co_return result<void>{};
}

// Whose words they are. What the target says before anything is fetched is known by its phase, the rest by who spoke.
const std::string& mailbox_pass::state::blamed(const error& why) const noexcept {
    switch (why.where) {
    case phase::append:
    case phase::create:
    case phase::store_flags:
    case phase::subscribe: return names_.target;
    case phase::scan: return names_.source;
    default: break;
    }
    if (why.what.starts_with("target: ")) return names_.target;
    if (why.what.starts_with("source: ")) return names_.source;
    return target_spoke_ ? names_.target : names_.source;
}

task<bool> mailbox_pass::state::wait_out(error& why, bool progress) {
    const auto time = patience_.next(why, progress);
    throttle_report& t = report_.throttled;
    t.by = host_of(blamed(why));
    t.reason = why.server_said.empty() ? why.what : why.server_said;
    t.until_unix = unix_now() + std::chrono::ceil<std::chrono::seconds>(time).count();
    if (env_.on_throttled) env_.on_throttled(&blamed(why) == &names_.target, why);
    const bool too_long = options_.no_wait && patience_.waited() > longest_short_wait;
    if (too_long || patience_.exhausted()) {
        why.advice = fmt::format("Run the same command again after {}; it goes on from here",
                                 moment_text(t.until_unix, unix_now()));
        co_return false;
    }
    note(throttled_text(t, unix_now()));
    progress_.throttled_by = t.by;
    progress_.until_unix = t.until_unix;
    progress_now(mailbox_state::throttled, {}, throttled_text(t, unix_now()));
    if (time > brief) {
        // Others may have the place, and the memory, meanwhile.
        admission_.reset();
        folders_.clear();
    }
    const auto began = std::chrono::steady_clock::now();
    (void)co_await wait(time);
    ++t.times;
    t.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    progress_.throttled_by.clear();
    progress_.until_unix = 0;
    co_return true;
}

} // namespace postferry::transfer

#include "jobs/decide.hpp"

#include "base/words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postferry::jobs {

using store::mailbox_change;
using store::mailbox_state;
using transfer::pass_kind;

namespace {

constexpr std::array all_passes{pass_kind::trial, pass_kind::bulk,   pass_kind::delta, pass_kind::final,
                                pass_kind::sweep, pass_kind::repair, pass_kind::verify};

/// From when on it may run again: now, or when a window opens.
unix_ms when_open(const situation& s, unix_ms from) {
    if (is_open(s.settings.windows, from)) return from;
    return next_change(s.settings.windows, from).value_or(from);
}

mailbox_change to(mailbox_state state) { return {.to = state, .actor = {}}; }

decision queued_again(const situation& s, unix_ms due, std::string reason, std::string cls = {}) {
    mailbox_change c = to(mailbox_state::queued);
    c.reason = std::move(reason);
    c.reason_class = std::move(cls);
    c.due = when_open(s, due);
    c.next_pass = std::string(transfer::name_of(s.kind));
    return {.change = std::move(c)};
}

decision stopped(const situation& s) {
    if (!store::running_states.has(s.mailbox.state)) {
        mailbox_change c = to(s.mailbox.state);
        c.reason = s.mailbox.reason;
        c.until = s.mailbox.until;
        c.due = s.mailbox.due;
        return {.change = std::move(c)};
    }
    if (is_open(s.settings.windows, s.now)) return queued_again(s, s.now, "the worker was stopped");
    mailbox_change c = to(mailbox_state::paused);
    c.reason = std::string(store::name_of(store::pause_reason::window));
    c.until = c.due = when_open(s, s.now);
    c.next_pass = std::string(transfer::name_of(s.kind));
    return {.change = std::move(c)};
}

decision failed(const situation& s, const error& why) {
    const std::string cls(name_of(why.cls));
    if (why.cls == retry_class::auth) {
        mailbox_change c = to(mailbox_state::needs_credentials);
        c.reason = why.message();
        c.reason_class = cls;
        return {.change = std::move(c)};
    }
    const bool passing = why.cls == retry_class::transient || why.cls == retry_class::throttled;
    if (passing && s.failures_in_a_row <= s.settings.retries)
        return queued_again(s, s.now + pause_before(s.failures_in_a_row, s.mailbox.id), why.message(), cls);
    mailbox_change c = to(mailbox_state::failed);
    c.reason = why.message();
    c.reason_class = cls;
    c.next_pass = std::string(transfer::name_of(s.kind));
    return {.change = std::move(c)};
}

decision verified(const pass_end& end, mailbox_state becomes) {
    mailbox_change c = to(becomes);
    if (becomes == mailbox_state::completed) {
        if (end.waived > 0)
            c.reason = fmt::format("{} left behind and waived; the report names them", counted(end.waived, "message"));
        return {.change = std::move(c)};
    }
    if (end.why)
        c.reason = end.why->message();
    else
        c.reason = end.proven ? "some messages could not be copied; the report names them"
                              : "verification found differences; the report names them";
    return {.change = std::move(c)};
}

decision copied(const situation& s) {
    if (s.kind == pass_kind::final || s.kind == pass_kind::sweep) {
        mailbox_change c = to(mailbox_state::verifying);
        c.next_pass = std::string(transfer::name_of(pass_kind::verify));
        return {.change = std::move(c), .go_on = pass_kind::verify};
    }
    // It began before the cutover, and may have looked into a folder before the last mail came: once more.
    if (s.batch == store::batch_state::cutting_over) {
        mailbox_change c = to(mailbox_state::queued);
        c.due = when_open(s, s.now);
        c.next_pass = std::string(transfer::name_of(pass_kind::final));
        return {.change = std::move(c)};
    }
    mailbox_change c = to(mailbox_state::synced);
    c.next_pass = std::string(transfer::name_of(pass_kind::delta));
    if (s.settings.delta_every_minutes.value_or(0) > 0) {
        c.due = when_open(s, s.now + *s.settings.delta_every_minutes * std::int64_t{60'000});
        c.until = c.due;
    }
    return {.change = std::move(c)};
}

} // namespace

std::optional<mailbox_state> outcome_of_verify(const pass_end& end) noexcept {
    if (end.what != pass_end::how::done) return std::nullopt;
    const bool clean = end.proven && end.counts.messages_failed <= end.waived;
    return clean ? mailbox_state::completed : mailbox_state::completed_with_exceptions;
}

unix_ms pause_before(int attempt, store::record_id mailbox) noexcept {
    constexpr unix_ms first = 30'000, longest = 3'600'000;
    const unix_ms pause = std::min(longest, first << std::clamp(attempt - 1, 0, 10));
    return pause + pause / 4 * (mailbox % 64) / 64;
}

pass_kind next_pass_of(const store::migration& m) noexcept {
    for (const pass_kind k : all_passes)
        if (transfer::name_of(k) == m.next_pass) return k;
    return pass_kind::bulk;
}

decision after_pass(const situation& s, const pass_end& end) {
    // Somebody has paused or cancelled it meanwhile: whatever came of the pass, that stands.
    if (!store::running_states.has(s.mailbox.state)) return stopped(s);
    switch (end.what) {
    case pass_end::how::stopped: return stopped(s);
    case pass_end::how::failed:
        return failed(
            s, end.why.value_or(
                   error{.what = "it failed without a reason", .server_said = {}, .advice = {}, .response_code = {}}));
    case pass_end::how::throttled: {
        mailbox_change c = to(mailbox_state::throttled);
        c.reason = end.why ? end.why->message() : "";
        c.until = c.due = when_open(s, std::max(end.until.value_or(s.now), s.now + 1'000));
        c.throttled_by = end.throttled_by;
        c.next_pass = std::string(transfer::name_of(s.kind));
        return {.change = std::move(c)};
    }
    case pass_end::how::done: break;
    }
    const auto becomes = s.kind == pass_kind::verify ? outcome_of_verify(end) : std::nullopt;
    return becomes ? verified(end, *becomes) : copied(s);
}

} // namespace postferry::jobs

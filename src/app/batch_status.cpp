#include "app/batch_status.hpp"

#include "app/remote_values.hpp"
#include "app/words.hpp"
#include "base/text.hpp"
#include "store/states.hpp"

#include <fmt/format.h>

namespace postferry::app {

namespace json = boost::json;

namespace {

using store::mailbox_state;

std::uint64_t in_state(const json::object& batch, mailbox_state s) {
    return count_at(object_at(batch, "mailbox_states"), store::name_of(s));
}

std::uint64_t in_states(const json::object& batch, store::mailbox_states which) {
    std::uint64_t n = 0;
    which.each([&](mailbox_state s) { n += in_state(batch, s); });
    return n;
}

std::string mailboxes(std::uint64_t n) { return counted(n, "mailbox", "mailboxes"); }

/// "source = copied + ...", whatever of it is not zero.
std::string messages_text(const json::object& messages) {
    const auto n = [&](std::string_view name) { return count_at(messages, name); };
    std::string out = fmt::format("{} = {} copied", grouped(n("source")), grouped(n("copied")));
    if (n("present") > 0) out += fmt::format(" + {} there already", grouped(n("present")));
    if (n("skipped") > 0) out += fmt::format(" + {} skipped by rule", grouped(n("skipped")));
    if (n("failed") > 0) out += fmt::format(" + {} failed", grouped(n("failed")));
    const auto left = number_at(messages, "residual").value_or(0);
    if (left > 0) out += fmt::format(" + {} still to do", grouped(static_cast<std::uint64_t>(left)));
    if (left < 0) out += fmt::format(" - {} that are gone from the source", grouped(static_cast<std::uint64_t>(-left)));
    return out;
}

void advise(std::string& out, std::string_view sentence, const std::string& command) {
    out += fmt::format("  {}\n      {}\n", sentence, command);
}

} // namespace

batch_standing standing_of(const json::object& batch) {
    using enum mailbox_state;
    batch_standing s;
    s.all = count_at(batch, "mailboxes");
    s.done = in_states(batch, {synced, completed});
    s.excepted = in_state(batch, completed_with_exceptions);
    s.moving = in_states(batch, {validating, queued, provisioning, discovering, copying, throttled, verifying});
    s.paused = in_state(batch, paused);
    s.to_start = in_states(batch, {draft, ready});
    s.needy = in_states(batch, {failed, invalid, needs_credentials});
    s.ended = in_states(batch, {cancelled, rolled_back});
    const std::string state = text_at(batch, "state");
    s.at_rest = s.moving == 0 && state != "scheduled" && (s.paused == 0 || state == "stopped");
    s.complete = s.all > 0 && s.done + s.ended == s.all;
    return s;
}

std::string batch_word(const json::object& batch) {
    const std::string name = text_at(batch, "name");
    const bool plain = !name.empty() && name.find_first_not_of("0123456789") != std::string::npos && is_utf8(name) &&
                       name.find_first_of("\\'\"$`!\n") == std::string::npos && !name.starts_with('-');
    if (!plain) return text_at(batch, "id");
    return name.find_first_of(" \t&|;<>()*?[]#~{}") == std::string::npos ? name : fmt::format("'{}'", name);
}

std::string batch_headline(const json::object& batch) {
    return fmt::format("{} (batch {}): {}", text_at(batch, "name"), text_at(batch, "id"), text_at(batch, "state"));
}

std::string states_text(const json::object& batch) {
    std::string out;
    for (const std::string_view word : store::words_of<mailbox_state>) {
        const std::uint64_t n = count_at(object_at(batch, "mailbox_states"), word);
        if (n > 0) out += fmt::format("{}{} {}", out.empty() ? "" : " + ", grouped(n), word);
    }
    return out;
}

std::string batch_status_text(const json::object& batch) {
    std::string out = batch_headline(batch);
    if (const std::string grade = text_at(batch, "grade"); !grade.empty()) out += fmt::format(", {}", grade);
    out += fmt::format("\n  mode       {}, made {} by {}\n", text_at(batch, "mode"), moment_at(batch, "created"),
                       text_at(batch, "created_by"));
    if (const std::string at = moment_at(batch, "start_at"); !at.empty()) out += fmt::format("  starts     {}\n", at);
    const std::string states = states_text(batch);
    out += fmt::format("  mailboxes  {}{}{}\n", grouped(count_at(batch, "mailboxes")), states.empty() ? "" : " = ",
                       states);
    const json::object &messages = object_at(batch, "messages"), &octets = object_at(batch, "bytes");
    if (count_at(messages, "source") > 0) {
        out += fmt::format("  messages   {}\n", messages_text(messages));
        out += fmt::format("  data       {} of {} copied\n", format_size(count_at(octets, "copied")),
                           format_size(count_at(octets, "source")));
    }
    const json::object& eta = object_at(batch, "eta");
    if (!eta.empty())
        out += fmt::format("  estimate   copied between {} and {}\n", moment_at(eta, "earliest"),
                           moment_at(eta, "latest"));
    return out;
}

std::string batch_advice_text(const json::object& batch) {
    using enum mailbox_state;
    const std::string name = batch_word(batch), state = text_at(batch, "state");
    const batch_standing s = standing_of(batch);
    std::string out;
    const auto few = [&](mailbox_state which, std::string_view what, std::string_view command) {
        const std::uint64_t n = in_state(batch, which);
        if (n > 0) advise(out, fmt::format("{} {}", mailboxes(n), what), fmt::format(fmt::runtime(command), name));
    };
    if (state == "archived") return out;
    if (s.all == 0)
        advise(out, "It has no mailboxes yet:",
               fmt::format("postferry batch import {} accounts.csv --source URL --target URL", name));
    few(needs_credentials,
        "without a password that is taken:", "postferry batch mailboxes {} --state needs_credentials");
    if (in_state(batch, needs_credentials) > 0) out += "      postferry mailbox credentials MAILBOX\n";
    few(invalid, "with something to mend:", "postferry batch mailboxes {} --state invalid");
    few(failed, "failed; see why, and try again:", "postferry batch mailboxes {} --state failed");
    if (in_state(batch, failed) > 0) out += fmt::format("      postferry batch retry {}\n", name);
    few(completed_with_exceptions,
        "done, but for messages that failed:", "postferry batch mailboxes {} --state completed_with_exceptions");
    if (in_state(batch, completed_with_exceptions) > 0)
        out += "      postferry mailbox failures MAILBOX, then mailbox waive or retry\n";
    if (s.paused > 0 && state == "stopped")
        advise(out, fmt::format("{} paused:", mailboxes(s.paused)), fmt::format("postferry batch resume {}", name));
    if (in_state(batch, ready) > 0 && state != "scheduled")
        advise(out, fmt::format("{} ready:", mailboxes(in_state(batch, ready))),
               fmt::format("postferry batch start {}", name));
    if (s.moving > 0) advise(out, "It is under way:", fmt::format("postferry batch watch {}", name));
    if (s.at_rest && s.needy == 0 && in_state(batch, synced) > 0)
        advise(out, "All is copied. When nobody writes to the old server any more:",
               fmt::format("postferry batch finish {}", name));
    if (s.at_rest && s.complete && in_state(batch, synced) == 0) {
        advise(out,
               "Everything is done and proven:", fmt::format("postferry batch report {} --report report.html", name));
        out += fmt::format("      postferry batch archive {}\n", name);
    }
    return out.empty() ? out : "\nNext:\n" + out;
}

} // namespace postferry::app

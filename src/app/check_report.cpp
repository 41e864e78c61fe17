#include "app/check_report.hpp"

#include "app/words.hpp"
#include "base/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace postferry::app {

namespace json = boost::json;

namespace {

json::object json_of(const check_step& s) {
    json::object out{
        {"name", s.name}, {"state", name_of(s.state)}, {"text", json_text(s.text)}, {"seconds", s.seconds}};
    if (!s.advice.empty()) out["advice"] = json_text(s.advice);
    return out;
}

json::object json_of(const endpoint_check& e) {
    json::array steps;
    for (const check_step& s : e.steps) steps.push_back(json_of(s));
    json::array quotas;
    for (const quota_state& q : e.quotas)
        quotas.push_back(json::object{{"root", json_text(q.root)}, {"used", q.used_octets}, {"limit", q.limit_octets}});
    json::array quirks;
    for (const quirk_note& q : e.quirks)
        quirks.push_back(json::object{{"name", q.name}, {"why", json_text(q.why)}, {"about", q.about}});
    json::object out{
        {"name", json_text(e.name)},     {"steps", std::move(steps)},   {"capabilities", json_texts(e.capabilities)},
        {"tls", json_text(e.tls)},       {"login", json_text(e.login)}, {"delimiter", json_text(e.delimiter)},
        {"prefix", json_text(e.prefix)}, {"quotas", std::move(quotas)}, {"notes", json_texts(e.notes)}};
    out["quirks"] = std::move(quirks);
    if (!e.preset.empty())
        out["limits"] =
            json::object{{"preset", e.preset}, {"why", json_text(e.preset_why)}, {"limits", json_texts(e.limits)}};
    out["append_limit"] = e.append_limit ? json::value(*e.append_limit) : json::value(nullptr);
    return out;
}

json::value number_or_null(const std::optional<std::uint64_t>& n) { return n ? json::value(*n) : json::value(nullptr); }

bool any_step(const mailbox_check& c, step_state state) {
    const auto has = [&](const endpoint_check& e) {
        return std::ranges::any_of(e.steps, [&](const check_step& s) { return s.state == state; });
    };
    return has(c.source) || has(c.target);
}

/// The room that is left on the target, when it tells.
std::optional<std::uint64_t> room_on_target(const mailbox_check& c) {
    std::optional<std::uint64_t> room;
    for (const quota_state& q : c.target.quotas) {
        const std::uint64_t left = q.limit_octets > q.used_octets ? q.limit_octets - q.used_octets : 0;
        room = room ? std::min(*room, left) : left;
    }
    return room;
}

bool too_little_room(const mailbox_check& c) {
    const auto room = room_on_target(c);
    return room && c.octets && *c.octets > *room;
}

std::string text_of(const endpoint_check& e, std::string_view side) {
    std::string out = fmt::format("  {} {}\n", side, e.name);
    for (const check_step& s : e.steps) {
        const std::string_view mark = s.state == step_state::ok        ? "ok"
                                      : s.state == step_state::warning ? "look"
                                      : s.state == step_state::failed  ? "FAIL"
                                                                       : "-";
        out += fmt::format("    {:<4} {:<12} {}{}{}\n", mark, s.name, s.text, s.advice.empty() ? "" : ". ", s.advice);
    }
    for (const quota_state& q : e.quotas)
        out += fmt::format("    quota {}: {} of {} used\n", q.root.empty() ? "of the mailbox" : q.root,
                           format_size(q.used_octets), format_size(q.limit_octets));
    if (e.append_limit) out += fmt::format("    takes messages up to {}\n", format_size(*e.append_limit));
    for (const quirk_note& q : e.quirks) out += fmt::format("    quirk {} ({}): {}\n", q.name, q.why, q.about);
    if (!e.preset.empty())
        out += fmt::format("    limits: preset {} ({}){}{}\n", e.preset, e.preset_why, e.limits.empty() ? "" : ": ",
                           fmt::join(e.limits, ", "));
    for (const std::string& note : e.notes) out += fmt::format("    note: {}\n", note);
    return out;
}

} // namespace

std::string_view name_of(step_state s) noexcept {
    switch (s) {
    case step_state::ok: return "ok";
    case step_state::warning: return "warning";
    case step_state::failed: return "failed";
    case step_state::not_tried: return "not_tried";
    }
    return "unknown";
}

std::string_view name_of(check_verdict v) noexcept {
    switch (v) {
    case check_verdict::ready: return "ready";
    case check_verdict::warnings: return "warnings";
    case check_verdict::not_ready: return "not_ready";
    }
    return "unknown";
}

check_verdict verdict_of(const mailbox_check& check) {
    if (any_step(check, step_state::failed)) return check_verdict::not_ready;
    const bool fatal = std::ranges::any_of(check.collisions, [](const transfer::collision& c) { return c.fatal; });
    const bool oversize = check.oversize && check.oversize->count > 0;
    if (fatal || oversize || any_step(check, step_state::warning) || too_little_room(check))
        return check_verdict::warnings;
    return check_verdict::ready;
}

bool could_not_start(const mailbox_check& check) noexcept {
    for (const endpoint_check* e : {&check.source, &check.target})
        for (const check_step& s : e->steps)
            if (s.state == step_state::failed && s.where && *s.where >= phase::resolve && *s.where <= phase::login)
                return true;
    return false;
}

json::object json_of(const mailbox_check& check) {
    json::object out{{"verdict", name_of(verdict_of(check))},
                     {"source", json_of(check.source)},
                     {"target", json_of(check.target)},
                     {"folders", number_or_null(check.folders)},
                     {"messages", number_or_null(check.messages)},
                     {"bytes", number_or_null(check.octets)},
                     {"collisions", json_of(check.collisions)},
                     {"notes", json_texts(check.notes)}};
    if (check.oversize)
        out["oversize"] = json::object{
            {"count", check.oversize->count}, {"largest", check.oversize->largest}, {"limit", check.oversize->limit}};
    return out;
}

json::object check_document(std::span<const mailbox_check> checks, wall_time made) {
    json::array mailboxes;
    for (const mailbox_check& c : checks) mailboxes.push_back(json_of(c));
    return {{"version", 1}, {"kind", "check"}, {"made", rfc3339(made)}, {"mailboxes", std::move(mailboxes)}};
}

std::string text_of(const mailbox_check& check) {
    std::string out = fmt::format("{} -> {}\n", check.source.name, check.target.name);
    out += text_of(check.source, "source");
    out += text_of(check.target, "target");
    if (check.messages)
        out += fmt::format("  {} in {}{}\n", counted(*check.messages, "message"),
                           counted(check.folders.value_or(0), "folder"),
                           check.octets ? ", " + format_size(*check.octets) : "");
    if (check.oversize && check.oversize->count > 0)
        out += fmt::format("  {} larger than {} (the largest has {}) will not be taken by the target\n",
                           counted(check.oversize->count, "message"), format_size(check.oversize->limit),
                           format_size(check.oversize->largest));
    if (too_little_room(check))
        out += fmt::format("  the quota of the target leaves {}, the source holds {}\n",
                           format_size(*room_on_target(check)), format_size(*check.octets));
    for (const transfer::collision& c : check.collisions)
        out += fmt::format("  {}: {} and {}: {}\n", c.fatal ? "collision" : "note", fmt::join(c.sources, ", "),
                           c.target, c.how);
    for (const std::string& note : check.notes) out += fmt::format("  note: {}\n", note);
    const auto verdict = verdict_of(check);
    out += verdict == check_verdict::ready      ? "  ready\n"
           : verdict == check_verdict::warnings ? "  ready, with warnings: see above\n"
                                                : "  not ready: what failed above must be put right first\n";
    return out;
}

} // namespace postferry::app

#include "app/plan_report.hpp"

#include "app/words.hpp"
#include "base/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace postferry::app {

namespace json = boost::json;
using verdict = transfer::mapped_folder::verdict;

namespace {

constexpr double unknown_message_octets = 60'000;

struct totals {
    std::uint64_t folders = 0, messages = 0, known = 0, to_copy = 0, to_delete = 0;
    double octets_to_copy = 0;
    std::uint64_t octets = 0;
    bool all_octets_known = true;
};

totals totals_of(const transfer::mailbox_plan& plan) {
    totals t;
    for (const transfer::planned_folder& f : plan.folders) {
        if (f.folder.what != verdict::copy) continue;
        ++t.folders;
        t.messages += f.messages;
        t.known += f.known;
        t.to_copy += f.to_copy;
        t.to_delete += f.to_delete;
        t.octets += f.octets.value_or(0);
        t.all_octets_known = t.all_octets_known && (f.octets || f.messages == 0);
        const double average = f.octets && f.messages > 0
                                   ? static_cast<double>(*f.octets) / static_cast<double>(f.messages)
                                   : unknown_message_octets;
        t.octets_to_copy += average * static_cast<double>(f.to_copy);
    }
    return t;
}

json::object json_of(const transfer::planned_folder& f) {
    json::object out{{"source", json_text(f.folder.source)},
                     {"target", json_text(f.folder.target)},
                     {"verdict", name_of(f.folder.what)},
                     {"why", json_text(f.folder.why)},
                     {"special_use", name_of(f.folder.use)},
                     {"subscribed", f.folder.subscribed},
                     {"messages", f.messages},
                     {"in_ledger", f.known},
                     {"to_copy", f.to_copy},
                     {"exists_on_target", f.exists_on_target},
                     {"target_messages", f.target_messages}};
    out["bytes"] = f.octets ? json::value(*f.octets) : json::value(nullptr);
    if (f.to_delete > 0) {
        out["to_delete"] = f.to_delete;
        out["delete_target_uids"] = f.delete_uids.to_string();
    }
    return out;
}

json::object json_of(const totals& t) {
    json::object out{{"folders", t.folders}, {"messages", t.messages}, {"in_ledger", t.known}, {"to_copy", t.to_copy}};
    out["bytes"] = t.all_octets_known ? json::value(t.octets) : json::value(nullptr);
    return out;
}

std::string line_of(const transfer::planned_folder& f, std::size_t width) {
    const std::string source = fitted(f.folder.source, width);
    if (f.folder.what != verdict::copy)
        return fmt::format("  {}    {}{}{}\n", source, name_of(f.folder.what), f.folder.why.empty() ? "" : ": ",
                           f.folder.why);
    std::string line = fmt::format("  {} -> {}  {:>9} {:>8}", source, fitted(f.folder.target, width),
                                   grouped(f.messages), f.octets ? format_size(*f.octets) : "?");
    if (f.known > 0) line += fmt::format(", {} in the ledger", grouped(f.known));
    if (f.target_messages > 0) line += fmt::format(", {} on the target", grouped(f.target_messages));
    if (!f.exists_on_target) line += ", new folder";
    if (!f.folder.why.empty()) line += fmt::format(" ({})", f.folder.why);
    if (f.to_delete > 0)
        line += fmt::format("\n    would delete {} from the target: UIDs {}", counted(f.to_delete, "message"),
                            fitted(f.delete_uids.to_string(), 200, false));
    return line + "\n";
}

} // namespace

time_band estimated_time(const transfer::mailbox_plan& plan) {
    const totals t = totals_of(plan);
    const auto messages = static_cast<double>(t.to_copy);
    return {.low_seconds = std::max(t.octets_to_copy / 100e6, messages / 4000),
            .high_seconds = std::max(t.octets_to_copy / 2e6, messages / 50)};
}

json::object json_of(const plan_entry& entry) {
    const time_band time = estimated_time(entry.plan);
    json::array folders;
    for (const transfer::planned_folder& f : entry.plan.folders) folders.push_back(json_of(f));
    json::object out{{"source", json_text(entry.plan.source)},
                     {"target", json_text(entry.plan.target)},
                     {"totals", json_of(totals_of(entry.plan))},
                     {"estimated_seconds", json::object{{"low", time.low_seconds}, {"high", time.high_seconds}}},
                     {"folders", std::move(folders)},
                     {"collisions", json_of(entry.plan.collisions)},
                     {"notes", json_texts(entry.plan.notes)},
                     {"seconds", entry.seconds}};
    if (entry.plan.deletes) {
        out["to_delete"] = totals_of(entry.plan).to_delete;
        out["not_deleted"] = json_texts(entry.plan.not_deleted);
    }
    if (entry.failed) out["stopped_by"] = json_of(*entry.failed);
    return out;
}

json::object plan_document(std::span<const plan_entry> entries, wall_time made) {
    json::array mailboxes;
    for (const plan_entry& e : entries) mailboxes.push_back(json_of(e));
    return {{"version", 1}, {"kind", "plan"}, {"made", rfc3339(made)}, {"mailboxes", std::move(mailboxes)}};
}

std::string text_of(const plan_entry& entry) {
    std::string out = fmt::format("{} -> {}\n", entry.plan.source, entry.plan.target);
    if (entry.failed && entry.failed->cls == retry_class::cancelled) return out + "  interrupted\n";
    if (entry.failed) return out + fmt::format("  cannot be planned: {}\n", entry.failed->message());
    std::size_t width = 5;
    for (const transfer::planned_folder& f : entry.plan.folders)
        width = std::max({width, display_width(f.folder.source), display_width(f.folder.target)});
    for (const transfer::planned_folder& f : entry.plan.folders) out += line_of(f, width);
    for (const transfer::collision& c : entry.plan.collisions)
        out += fmt::format("  {}: {} and {}: {}\n", c.fatal ? "collision" : "note", fmt::join(c.sources, ", "),
                           c.target, c.how);
    for (const std::string& note : entry.plan.notes) out += fmt::format("  note: {}\n", note);
    for (const std::string& why : entry.plan.not_deleted) out += fmt::format("  not deleted: {}\n", why);
    const totals t = totals_of(entry.plan);
    const time_band time = estimated_time(entry.plan);
    if (entry.plan.deletes)
        out += t.to_delete == 0
                   ? "  nothing would be deleted\n"
                   : fmt::format("  {} would be deleted from the target; the same command without --dry-run "
                                 "deletes them, and nothing else\n",
                                 counted(t.to_delete, "message"));
    out += fmt::format("  {}, {}, {}; {} to copy or to match{}\n", counted(t.folders, "folder"),
                       counted(t.messages, "message"),
                       t.all_octets_known ? format_size(t.octets) : "size not told by the server", grouped(t.to_copy),
                       t.to_copy == 0 ? ""
                                      : fmt::format(", between {} and {}", duration_text(time.low_seconds),
                                                    duration_text(time.high_seconds)));
    return out;
}

} // namespace postferry::app

#include "app/report_json.hpp"

#include <fmt/format.h>

namespace postferry::app {

namespace json = boost::json;

namespace {

json::object counts(const std::map<std::string, std::uint64_t>& numbers) {
    json::object out;
    for (const auto& [name, n] : numbers) out.emplace(json_text(name), n);
    return out;
}

json::object json_of(const transfer::verify_report& v) {
    json::object out{{"identical", v.identical},
                     {"missing", v.missing},
                     {"different", v.different},
                     {"extra", v.extra},
                     {"altered_by_server", v.altered_by_server},
                     {"changed_since", v.changed_since},
                     {"altered_by_repair", v.altered_by_repair},
                     {"kept", v.kept},
                     {"compared", v.compared},
                     {"sampled", v.sampled}};
    if (!v.seed) return out;
    out["seed"] = *v.seed;
    out["confidence"] = 0.95;
    out["at_most"] = v.at_most;
    return out;
}

json::array json_of(const std::vector<transfer::folder_report>& folders) {
    json::array out;
    out.reserve(folders.size());
    for (const transfer::folder_report& f : folders) {
        json::object folder{{"source", json_text(f.source)},
                            {"target", json_text(f.target)},
                            {"messages", json_of_messages(f.messages)},
                            {"bytes", json_of_octets(f.octets)},
                            {"state", f.state}};
        if (f.deleted > 0) folder["deleted"] = f.deleted;
        if (!f.notes.empty()) folder["notes"] = json_texts(f.notes);
        out.push_back(std::move(folder));
    }
    return out;
}

} // namespace

json::object json_of(const transfer::mailbox_report& r, std::size_t most_failures) {
    json::object out{{"source", json_text(r.source)},
                     {"target", json_text(r.target)},
                     {"state", name_of(r.state)},
                     {"pass", name_of(r.pass)},
                     {"grade", name_of(r.mark)},
                     {"messages", json_of_messages(r.messages)},
                     {"bytes", json_of_octets(r.octets)},
                     {"flags_updated", r.flags_updated},
                     {"keywords_dropped", json_texts(r.keywords_dropped)},
                     {"repairs", counts(r.repairs)},
                     {"skip_rules", counts(r.skip_rules)},
                     {"vanished", r.vanished},
                     {"seconds", r.seconds}};
    if (r.verify) out["verify"] = json_of(*r.verify);
    out["folders"] = json_of(r.folders);
    json::array failures;
    for (const transfer::failure& f : r.failures) {
        if (failures.size() == most_failures) break;
        failures.push_back(app::json_of(f));
    }
    out["failures"] = std::move(failures);
    if (r.deleted > 0 || !r.not_deleted.empty()) out["deleted"] = r.deleted;
    if (!r.not_deleted.empty()) out["not_deleted"] = json_texts(r.not_deleted);
    if (!r.warnings.empty()) out["warnings"] = json_texts(r.warnings);
    if (!r.throttled.by.empty())
        out["throttled"] = json::object{{"times", r.throttled.times},
                                        {"seconds", r.throttled.seconds},
                                        {"by", json_text(r.throttled.by)},
                                        {"reason", json_text(r.throttled.reason)},
                                        {"until", rfc3339(wall_time(std::chrono::seconds(r.throttled.until_unix)))}};
    if (r.stopped_by) out["stopped_by"] = app::json_of(*r.stopped_by);
    return out;
}

std::string json_pages::begin(std::string_view started) const {
    return fmt::format("{{\"version\":1,\"started\":\"{}\",\"mailboxes\":[", started);
}

result<std::string> json_pages::mailbox(std::string_view json) {
    const std::string_view comma = sums_.mailboxes == 0 ? "\n" : ",\n";
    if (auto ok = sums_.add(json); !ok) return std::unexpected(ok.error());
    return std::string(comma) + std::string(json);
}

std::string json_pages::end(std::string_view ended) const {
    const json::object totals{{"mailboxes", sums_.mailboxes},
                              {"messages", json_of_messages(sums_.messages)},
                              {"bytes", json_of_octets(sums_.octets)}};
    return fmt::format("],\n\"ended\":\"{}\",\"totals\":{}}}\n", ended, json::serialize(totals));
}

result<void> write_json_report(atomic_file& file, const report_frame& frame, const mailbox_walk& mailboxes) {
    json_pages pages;
    if (auto ok = file.write(pages.begin(frame.started)); !ok) return ok;
    auto walked = mailboxes([&](std::string_view text) -> result<void> {
        const auto piece = pages.mailbox(text);
        if (!piece) return std::unexpected(piece.error());
        return file.write(*piece);
    });
    return walked ? file.write(pages.end(frame.ended)) : walked;
}

transfer::balance balance_of(const json::object& counts) {
    const auto number = [&](std::string_view name) { return number_in(counts, name); };
    return {.source = number("source"),
            .copied = number("copied"),
            .present = number("present"),
            .skipped = number("skipped"),
            .failed = number("failed")};
}

const json::object& object_in(const json::object& from, std::string_view name) {
    static const json::object none;
    const json::value* value = from.if_contains(name);
    return value != nullptr && value->is_object() ? value->get_object() : none;
}

const json::array& array_in(const json::object& from, std::string_view name) {
    static const json::array none;
    const json::value* value = from.if_contains(name);
    return value != nullptr && value->is_array() ? value->get_array() : none;
}

std::string_view text_in(const json::object& from, std::string_view name) {
    const json::value* value = from.if_contains(name);
    return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view{};
}

bool is_waived(const json::object& failure) {
    const json::value* waived = failure.if_contains("waived");
    return waived != nullptr && waived->is_bool() && waived->get_bool();
}

std::uint64_t number_in(const json::object& from, std::string_view name) {
    const json::value* value = from.if_contains(name);
    if (value == nullptr || !value->is_number()) return 0;
    boost::system::error_code not_whole;
    const auto n = value->to_number<std::uint64_t>(not_whole);
    return not_whole ? 0 : n;
}

result<json::object> report_sums::add(std::string_view mailbox) {
    boost::system::error_code wrong;
    const json::value parsed = json::parse(mailbox, wrong);
    if (wrong || !parsed.is_object())
        return fail(retry_class::local, phase::ledger, "What was kept of a report is no JSON object",
                    "Run the pass again: it is reported anew");
    const json::object& one = parsed.get_object();
    ++mailboxes;
    if (const auto* m = one.if_contains("messages"); m != nullptr && m->is_object())
        messages += balance_of(m->get_object());
    if (const auto* b = one.if_contains("bytes"); b != nullptr && b->is_object()) octets += balance_of(b->get_object());
    return one;
}

result<void> write_document(atomic_file file, const json::value& document) {
    if (auto ok = file.write(json::serialize(document) + "\n"); !ok) return ok;
    return file.commit();
}

} // namespace postferry::app

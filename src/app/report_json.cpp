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
    return {{"identical", v.identical},
            {"missing", v.missing},
            {"different", v.different},
            {"extra", v.extra},
            {"altered_by_server", v.altered_by_server},
            {"changed_since", v.changed_since},
            {"sampled", v.sampled}};
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
        if (!f.notes.empty()) folder["notes"] = json_texts(f.notes);
        out.push_back(std::move(folder));
    }
    return out;
}

} // namespace

json::object json_of(const transfer::mailbox_report& r) {
    json::object out{{"source", json_text(r.source)},
                     {"target", json_text(r.target)},
                     {"state", name_of(r.state)},
                     {"pass", name_of(r.pass)},
                     {"grade", name_of(r.mark)},
                     {"messages", json_of_messages(r.messages)},
                     {"bytes", json_of_octets(r.octets)},
                     {"flags_updated", r.flags_updated},
                     {"keywords_dropped", json_texts(r.keywords_dropped)},
                     {"repairs", json::object{}}, // this version repairs nothing
                     {"skip_rules", counts(r.skip_rules)},
                     {"vanished", r.vanished},
                     {"seconds", r.seconds}};
    if (r.verify) out["verify"] = json_of(*r.verify);
    out["folders"] = json_of(r.folders);
    json::array failures;
    for (const transfer::failure& f : r.failures) failures.push_back(app::json_of(f));
    out["failures"] = std::move(failures);
    if (!r.warnings.empty()) out["warnings"] = json_texts(r.warnings);
    if (r.stopped_by) out["stopped_by"] = app::json_of(*r.stopped_by);
    return out;
}

result<report_writer> report_writer::open(const std::filesystem::path& file, wall_time started) {
    auto created = atomic_file::create(file);
    if (!created) return std::unexpected(created.error());
    report_writer writer(std::move(*created));
    if (auto ok =
            writer.file_.write(fmt::format("{{\"version\":1,\"started\":\"{}\",\"mailboxes\":[", rfc3339(started)));
        !ok)
        return std::unexpected(ok.error());
    return writer;
}

result<void> report_writer::add(const transfer::mailbox_report& report) {
    messages_ += report.messages;
    octets_ += report.octets;
    const std::string_view comma = mailboxes_++ == 0 ? "\n" : ",\n";
    if (auto ok = file_.write(comma); !ok) return ok;
    return file_.write(json::serialize(json_of(report)));
}

result<void> report_writer::finish(wall_time ended) {
    const json::object totals{
        {"mailboxes", mailboxes_}, {"messages", json_of_messages(messages_)}, {"bytes", json_of_octets(octets_)}};
    if (auto ok =
            file_.write(fmt::format("],\n\"ended\":\"{}\",\"totals\":{}}}\n", rfc3339(ended), json::serialize(totals)));
        !ok)
        return ok;
    return file_.commit();
}

result<void> write_document(atomic_file file, const json::value& document) {
    if (auto ok = file.write(json::serialize(document) + "\n"); !ok) return ok;
    return file.commit();
}

} // namespace postferry::app

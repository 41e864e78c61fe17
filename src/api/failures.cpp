#include "api/failures.hpp"

#include "api/batch_view.hpp"

#include <map>

namespace postferry::api {

namespace json = boost::json;

namespace {

struct last_report {
    json::value pass; ///< its id, or null
    json::object body;
};

result<last_report> report_of(store::tables& t, store::record_id mailbox) {
    if (auto row = existing_mailbox(t, mailbox); !row) return std::unexpected(std::move(row.error()));
    auto pass = t.passes.last_report(mailbox);
    if (!pass) return std::unexpected(std::move(pass.error()));
    last_report out;
    if (!*pass) return out;
    out.pass = (*pass)->id;
    json::value body = parsed((*pass)->report);
    if (body.is_object()) out.body = std::move(body.get_object());
    return out;
}

json::array items_of(json::object& body, std::string_view name) {
    json::value* all = body.if_contains(name);
    return all != nullptr && all->is_array() ? std::move(all->get_array()) : json::array();
}

using place = std::pair<std::string, std::uint64_t>;

/// Folder and UID of an element of "failures".
place place_of(const json::object& failure) {
    place p;
    if (const json::value* folder = failure.if_contains("folder"); folder != nullptr && folder->is_string())
        p.first = std::string(folder->get_string());
    if (const json::value* uid = failure.if_contains("source_uid"); uid != nullptr && uid->is_number())
        p.second = uid->to_number<std::uint64_t>();
    return p;
}

} // namespace

result<json::object> failures_of(store::tables& t, store::record_id mailbox) {
    auto report = report_of(t, mailbox);
    if (!report) return std::unexpected(std::move(report.error()));
    auto waived = t.waivers.of(mailbox);
    if (!waived) return std::unexpected(std::move(waived.error()));
    std::map<place, const store::waiver*> known;
    for (const store::waiver& w : *waived) known[{w.folder, w.source_uid}] = &w;
    json::array items = items_of(report->body, "failures");
    for (json::value& item : items) {
        if (!item.is_object()) continue;
        json::object& failure = item.get_object();
        const auto at = known.find(place_of(failure));
        if (at == known.end())
            failure["waived"] = nullptr;
        else
            failure["waived"] = json::object{
                {"by", at->second->by}, {"at", input::rfc3339_of(at->second->at)}, {"reason", at->second->why}};
    }
    return json::object{{"pass", std::move(report->pass)}, {"items", std::move(items)}};
}

result<json::object> folders_of(store::tables& t, store::record_id mailbox) {
    auto report = report_of(t, mailbox);
    if (!report) return std::unexpected(std::move(report.error()));
    return json::object{{"pass", std::move(report->pass)}, {"items", items_of(report->body, "folders")}};
}

} // namespace postferry::api

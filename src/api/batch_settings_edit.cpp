#include "api/batch_settings_edit.hpp"

#include "api/views.hpp"

#include <fmt/format.h>

namespace postferry::api {

namespace json = boost::json;

namespace {

/// RFC 7396, section 2.
void merge(json::object& onto, const json::object& patch) {
    for (const auto& member : patch) {
        if (member.value().is_null()) {
            onto.erase(member.key());
        } else if (const json::object* inner = member.value().if_object()) {
            json::value& there = onto[member.key()];
            if (!there.is_object()) there = json::object();
            merge(there.get_object(), *inner);
        } else {
            onto[member.key()] = member.value();
        }
    }
}

json::object object_of(const store::json_text& text) {
    json::value v = parsed(text);
    return v.is_object() ? std::move(v.get_object()) : json::object();
}

} // namespace

std::string setting_scope(std::optional<store::record_id> project) {
    return project ? fmt::format("project/{}", *project) : "company";
}

outcome<store::json_text> merged_settings(const store::json_text& onto, const json::object& patch) {
    json::object all = object_of(onto);
    merge(all, patch);
    std::vector<field_fault> faults;
    const auto settings = jobs::read_settings(input::fields(all, faults, "/settings"));
    if (!faults.empty()) return invalid(std::move(faults));
    return json::serialize(jobs::json_of(settings));
}

result<outcome<store::json_text>> settings_for_new(store::tables& t, store::record_id project,
                                                   const json::object& patch) {
    json::object all;
    for (const std::string& scope : {setting_scope({}), setting_scope(project)}) {
        auto set = t.settings.find(scope, std::string(batch_setting));
        if (!set) return std::unexpected(std::move(set.error()));
        if (*set) merge(all, object_of((*set)->value));
    }
    return merged_settings(json::serialize(all), patch);
}

json::object audited(const store::batch& b) {
    return {{"name", b.name},
            {"state", store::name_of(b.state)},
            {"mode", store::name_of(b.mode)},
            {"settings", parsed(b.settings)},
            {"start_at", moment_or_null(b.start_at)}};
}

} // namespace postferry::api

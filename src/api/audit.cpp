#include "api/audit.hpp"

namespace postferry::api {

namespace {

std::string text_of(const boost::json::value& v) { return v.is_null() ? std::string() : boost::json::serialize(v); }

} // namespace

result<void> audit(store::tables& t, const std::string& actor, const audit_entry& entry) {
    auto now = t.now();
    if (!now) return std::unexpected(std::move(now.error()));
    auto added = t.events.add({.at = *now,
                               .actor = actor,
                               .kind = "audit." + entry.what,
                               .project = entry.project,
                               .batch = entry.batch,
                               .migration = entry.migration,
                               .before = text_of(entry.before),
                               .after = text_of(entry.after),
                               .detail = boost::json::serialize(entry.detail)});
    if (!added) return std::unexpected(std::move(added.error()));
    return {};
}

} // namespace postferry::api

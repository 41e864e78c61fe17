#include "jobs/domain_settings.hpp"

#include <fmt/format.h>

#include <limits>

namespace postferry::jobs {

namespace json = boost::json;
using directory::domain_settings;
using input::fields;

namespace {

constexpr std::int64_t most_octets = std::int64_t{1} << 62U;
constexpr std::int64_t most_names = std::numeric_limits<std::uint32_t>::max();

std::optional<std::uint64_t> octets(fields& f, std::string_view name) {
    const auto n = f.integer(name, 0, most_octets);
    return n ? std::optional(static_cast<std::uint64_t>(*n)) : std::nullopt;
}

std::optional<std::uint32_t> names(fields& f, std::string_view name) {
    const auto n = f.integer(name, 0, most_names);
    return n ? std::optional(static_cast<std::uint32_t>(*n)) : std::nullopt;
}

void read_services(fields& f, domain_settings& s) {
    const json::value* all = f.any("services");
    if (all == nullptr) return;
    const json::object* object = all->if_object();
    if (object == nullptr) return f.fault("services", "must be an object of services and their states");
    for (const auto& [name, value] : *object) {
        const json::string* word = value.if_string();
        const auto state = word == nullptr ? std::nullopt : directory::parse_service_state(*word);
        if (!state) {
            f.fault("services", "must say enabled, disabled or suspended for each service");
        } else {
            s.services.insert_or_assign(std::string(name), *state);
        }
    }
}

} // namespace

domain_settings read_domain_settings(fields f) {
    domain_settings s;
    s.brand = f.text("brand", {.least = 1, .most = 64});
    s.account_quota = octets(f, "account_quota");
    s.max_account_quota = octets(f, "max_account_quota");
    s.total_quota = octets(f, "total_quota");
    s.user_limit = names(f, "user_limit");
    s.alias_limit = names(f, "alias_limit");
    s.language = f.text("language", {.least = 1, .most = 35});
    s.time_zone = f.text("time_zone", {.least = 1, .most = 64});
    if (const auto how = f.word("alias_discovery", directory::words_of_alias_discovery))
        s.alias_discovery = static_cast<directory::alias_discovery>(*how);
    read_services(f, s);
    // Each by itself, so that the fault bears its field.
    const auto check = [&f](std::string_view name, const domain_settings& one) {
        if (auto ok = directory::validate(one); !ok) f.fault(name, ok.error().what);
    };
    check("brand", {.brand = s.brand});
    check("language", {.language = s.language});
    check("time_zone", {.time_zone = s.time_zone});
    check("services", {.services = s.services});
    f.done();
    return s;
}

result<domain_settings> parse_domain_settings(const store::json_text& text) {
    auto body = input::parse_object(text);
    std::vector<input::field_fault> faults;
    domain_settings s;
    if (body) s = read_domain_settings(fields(*body, faults));
    if (body && faults.empty()) return s;
    return fail(retry_class::local, phase::ledger,
                fmt::format("The settings of a domain in the store cannot be read: {}",
                            body ? faults.front().field + " " + faults.front().reason : body.error().what),
                "They were written by a newer version, or by hand; set them again");
}

json::object json_of(const domain_settings& s) {
    json::object out;
    const auto put = [&out](std::string_view name, const auto& value) {
        if (value) out[name] = *value;
    };
    put("brand", s.brand);
    put("account_quota", s.account_quota);
    put("max_account_quota", s.max_account_quota);
    put("total_quota", s.total_quota);
    put("user_limit", s.user_limit);
    put("alias_limit", s.alias_limit);
    put("language", s.language);
    put("time_zone", s.time_zone);
    if (s.alias_discovery) out["alias_discovery"] = directory::name_of(*s.alias_discovery);
    json::object services;
    for (const auto& [name, state] : s.services) services[name] = directory::name_of(state);
    if (!services.empty()) out["services"] = std::move(services);
    return out;
}

result<domain_settings> company_settings(store::tables& t) {
    auto kept = t.settings.find(std::string(company_scope), std::string(company_defaults));
    if (!kept) return std::unexpected(std::move(kept.error()));
    if (!*kept) return domain_settings{};
    return parse_domain_settings((*kept)->value);
}

result<domain_settings> effective_settings(store::tables& t, const store::domain& d) {
    auto company = company_settings(t);
    if (!company) return company;
    auto own = parse_domain_settings(d.overrides);
    if (!own) return own;
    return directory::merge(*company, *own);
}

} // namespace postferry::jobs

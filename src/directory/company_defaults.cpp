#include "directory/company_defaults.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::directory {

namespace {

constexpr std::size_t max_services = 32;
constexpr std::uint64_t max_octets = std::uint64_t{1} << 62U; // what every database's signed number holds

std::unexpected<error> bad(std::string_view name, std::string_view value, std::string_view rule) {
    return fail(retry_class::config, phase::usage,
                fmt::format("{} \"{}\" {}", name, quote_server_text(value, 80), rule));
}

bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_letter(char c) noexcept { return is_lower(c) || (c >= 'A' && c <= 'Z'); }

bool is_name(std::string_view text, std::size_t most, std::string_view extra) {
    return !text.empty() && text.size() <= most &&
           std::ranges::all_of(text, [&](char c) { return is_lower(c) || is_digit(c) || extra.contains(c); });
}

// langtag (RFC 5646, 2.1), its outline: subtags of 1 to 8 letters and digits, the first of 2 to 8 letters.
bool is_language(std::string_view text) {
    if (text.size() > 35) return false;
    bool first = true;
    while (true) {
        const std::size_t end = std::min(text.find('-'), text.size());
        const std::string_view tag = text.substr(0, end);
        if (tag.size() < (first ? 2U : 1U) || tag.size() > 8) return false;
        if (!std::ranges::all_of(tag, [&](char c) { return is_letter(c) || (!first && is_digit(c)); })) return false;
        if (end == text.size()) return true;
        text.remove_prefix(end + 1);
        first = false;
    }
}

// Names of the tz database: parts of letters, digits, "_", "+", "-", with "/" between. No part begins with "-" or ".".
bool is_time_zone(std::string_view text) {
    if (text.empty() || text.size() > 64) return false;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find('/', begin), text.size());
        const std::string_view part = text.substr(begin, end - begin);
        if (part.empty() || part.front() == '-') return false;
        if (!std::ranges::all_of(
                part, [](char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '+' || c == '-'; }))
            return false;
        begin = end + 1;
    }
    return true;
}

template <class T> void take(std::optional<T>& into, const std::optional<T>& from) {
    if (from) into = from;
}

} // namespace

std::string_view name_of(service_state s) noexcept {
    switch (s) {
    case service_state::enabled: return "enabled";
    case service_state::disabled: return "disabled";
    case service_state::suspended: return "suspended";
    }
    return "unknown";
}

std::optional<service_state> parse_service_state(std::string_view text) noexcept {
    for (const auto s : {service_state::enabled, service_state::disabled, service_state::suspended})
        if (text == name_of(s)) return s;
    return std::nullopt;
}

result<void> validate(const domain_settings& settings) {
    if (settings.brand && !is_name(*settings.brand, 64, "-_"))
        return bad("brand", *settings.brand, "is not 1 to 64 of a-z, 0-9, \"-\" and \"_\"");
    if (settings.language && !is_language(*settings.language))
        return bad("language", *settings.language, "is no language tag such as \"de\" or \"pt-BR\"");
    if (settings.time_zone && !is_time_zone(*settings.time_zone))
        return bad("time zone", *settings.time_zone, "is no name such as \"Europe/Vienna\"");
    for (const auto& [name, octets] : {std::pair("account quota", settings.account_quota),
                                       std::pair("largest account quota", settings.max_account_quota),
                                       std::pair("total quota", settings.total_quota)})
        if (octets && *octets > max_octets) return bad(name, std::to_string(*octets), "is beyond 2^62 octets");
    if (settings.services.size() > max_services)
        return bad("services", std::to_string(settings.services.size()), "are more than 32");
    for (const auto& [name, state] : settings.services)
        if (!is_name(name, 32, "-")) return bad("service", name, "is not 1 to 32 of a-z, 0-9 and \"-\"");
    return {};
}

domain_settings merge(const domain_settings& company, const domain_settings& domain) {
    domain_settings out = company;
    take(out.brand, domain.brand);
    take(out.account_quota, domain.account_quota);
    take(out.max_account_quota, domain.max_account_quota);
    take(out.total_quota, domain.total_quota);
    take(out.user_limit, domain.user_limit);
    take(out.alias_limit, domain.alias_limit);
    take(out.language, domain.language);
    take(out.time_zone, domain.time_zone);
    take(out.alias_discovery, domain.alias_discovery);
    for (const auto& [name, state] : domain.services) out.services.insert_or_assign(name, state);
    return out;
}

domain_spec to_spec(domain_name name, const domain_settings& effective) {
    const auto mail = effective.services.find("mail");
    return {.name = std::move(name),
            .max_accounts = effective.user_limit,
            .max_aliases = effective.alias_limit,
            .max_account_quota = effective.max_account_quota,
            .total_quota = effective.total_quota,
            .language = effective.language.value_or(""),
            .time_zone = effective.time_zone.value_or(""),
            .brand = effective.brand.value_or(""),
            .active = mail == effective.services.end() || mail->second == service_state::enabled};
}

void complete(account_spec& account, const domain_settings& effective) {
    if (!account.quota) account.quota = effective.account_quota;
    if (account.language.empty()) account.language = effective.language.value_or("");
    if (account.time_zone.empty()) account.time_zone = effective.time_zone.value_or("");
}

} // namespace postferry::directory

#include "app/directory_words.hpp"

#include "app/remote_settings.hpp"
#include "app/words.hpp"
#include "base/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

namespace postferry::app {

namespace json = boost::json;

namespace {

result<std::int64_t> size_of(const noun_words& words, std::string_view option) {
    const std::string text = words.text(option);
    if (text == "0") return 0;
    const auto octets = parse_size(text);
    if (!octets || *octets > static_cast<std::uint64_t>(INT64_MAX / 2))
        return misused(fmt::format("{} takes a size such as 500MB or 5GB, or 0", option));
    return static_cast<std::int64_t>(*octets);
}

json::string_view key(std::string_view name) { return {name.data(), name.size()}; }

} // namespace

result<void> put_services(const noun_words& words, json::object& services) {
    for (const std::string& one : words.list("--service")) {
        const std::size_t at = one.find('=');
        if (at == std::string::npos || at == 0)
            return misused(fmt::format("--service takes NAME=enabled, disabled or suspended, not {}",
                                       quote_server_text(one, 100)));
        services[one.substr(0, at)] = one.substr(at + 1);
    }
    return {};
}

result<void> put_domain_settings(const noun_words& words, json::object& settings) {
    for (const std::string& name : words.list("--unset")) settings.erase(name);
    constexpr std::array<std::pair<std::string_view, std::string_view>, 4> texts{
        {{"--brand", "brand"},
         {"--language", "language"},
         {"--time-zone", "time_zone"},
         {"--alias-discovery", "alias_discovery"}}};
    for (const auto& [option, name] : texts)
        if (words.has(option)) settings[key(name)] = words.text(option);
    constexpr std::array<std::pair<std::string_view, std::string_view>, 3> sizes{
        {{"--account-quota", "account_quota"},
         {"--max-account-quota", "max_account_quota"},
         {"--total-quota", "total_quota"}}};
    for (const auto& [option, name] : sizes) {
        if (!words.has(option)) continue;
        auto octets = size_of(words, option);
        if (!octets) return std::unexpected(std::move(octets.error()));
        settings[key(name)] = *octets;
    }
    constexpr std::array<std::pair<std::string_view, std::string_view>, 2> numbers{
        {{"--user-limit", "user_limit"}, {"--alias-limit", "alias_limit"}}};
    for (const auto& [option, name] : numbers) {
        if (!words.has(option)) continue;
        auto n = parse_number(words.text(option), option, 0, UINT32_MAX);
        if (!n) return std::unexpected(std::move(n.error()));
        settings[key(name)] = *n;
    }
    if (!words.has("--service")) return {};
    json::object services = object_at(settings, "services");
    if (auto ok = put_services(words, services); !ok) return ok;
    settings["services"] = std::move(services);
    return {};
}

result<void> put_account_values(const noun_words& words, json::object& body) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 3> texts{
        {{"--name", "name"}, {"--language", "language"}, {"--time-zone", "time_zone"}}};
    for (const auto& [option, name] : texts)
        if (words.has(option)) body[key(name)] = words.text(option);
    if (!words.has("--quota")) return {};
    if (words.text("--quota") == "default") {
        body["quota"] = nullptr;
        return {};
    }
    auto octets = size_of(words, "--quota");
    if (!octets) return std::unexpected(std::move(octets.error()));
    body["quota"] = *octets;
    return {};
}

std::string settings_text(const json::object& settings) {
    std::string out;
    for (const auto& member : settings) {
        const std::string_view name(member.key().data(), member.key().size());
        std::string value = member.value().is_string() ? text_at(settings, name) : json::serialize(member.value());
        if (name.ends_with("quota"))
            value = count_at(settings, name) == 0 ? "no limit" : format_size(count_at(settings, name));
        out += fmt::format("  {:<18} {}\n", quote_server_text(name, 100), value);
    }
    return out;
}

result<std::string> driver_of(const noun_context& c, std::string_view option) {
    if (c.words.has(option)) return c.words.text(option);
    auto list = c.api.get("/provisioning");
    if (!list) return std::unexpected(std::move(list.error()));
    std::vector<std::string> names;
    if (list->json.is_object())
        for (const json::value& one : array_at(list->json.get_object(), "items"))
            if (one.is_string() && one.get_string() != "none") names.emplace_back(one.get_string());
    if (names.size() == 1) return names.front();
    if (names.empty())
        return misused("the service's configuration has no [provisioning.NAME]: it makes no accounts",
                       "docs/provisioning.md tells how");
    return misused(fmt::format("which of {}?", fmt::join(names, ", ")), fmt::format("Give {} NAME", option));
}

} // namespace postferry::app

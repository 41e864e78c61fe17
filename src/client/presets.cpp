#include "client/presets.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postferry::client {

namespace {

constexpr std::uint64_t megabyte = 1'000'000;

// Gmail's figures are Google's own ("Gmail bandwidth limits", "Too many simultaneous connections"). Exchange lets a
// user have 20 connections (ImapMaxConcurrency) and, throttled, about 4 messages a second. Yahoo and iCloud publish
// nothing: few connections were never met with a refusal.
constexpr std::array<guest_limits, 6> presets{{
    {.name = "gmail",
     .connections_per_account = 15,
     .octets_down_per_day = 2'500 * megabyte,
     .octets_up_per_day = 500 * megabyte},
    {.name = "office365", .connections_per_account = 10, .logins_per_second = 10, .messages_when_throttled = 4},
    {.name = "exchange", .connections_per_account = 10, .messages_when_throttled = 4},
    {.name = "yahoo", .connections_per_account = 5, .logins_per_second = 2},
    {.name = "icloud", .connections_per_account = 5, .logins_per_second = 2},
    {.name = "generic"},
}};

struct host_rule {
    std::string_view suffix; ///< a host, or with a leading dot every host below it
    std::string_view preset;
};

constexpr std::array<host_rule, 20> by_host{{{"imap.gmail.com", "gmail"},
                                             {"pop.gmail.com", "gmail"},
                                             {"imap.googlemail.com", "gmail"},
                                             {"pop.googlemail.com", "gmail"},
                                             {"gmail.com", "gmail"},
                                             {".office365.com", "office365"},
                                             {"imap-mail.outlook.com", "office365"},
                                             {".office.com", "office365"},
                                             {".outlook.com", "office365"},
                                             {".outlook.office365.us", "office365"},
                                             {"imap.mail.yahoo.com", "yahoo"},
                                             {".mail.yahoo.com", "yahoo"},
                                             {".mail.yahoo.co.jp", "yahoo"},
                                             {".yahoo.com", "yahoo"},
                                             {"imap.aol.com", "yahoo"},
                                             {".aol.com", "yahoo"},
                                             {"imap.mail.me.com", "icloud"},
                                             {".mail.me.com", "icloud"},
                                             {".icloud.com", "icloud"},
                                             {".mac.com", "icloud"}}};

bool matches(std::string_view host, std::string_view rule) {
    return rule.starts_with('.') ? host.ends_with(rule) : host == rule;
}

} // namespace

std::span<const guest_limits> all_presets() noexcept { return presets; }

const guest_limits* find_preset(std::string_view name) noexcept {
    const auto at = std::ranges::find(presets, name, &guest_limits::name);
    return at == presets.end() ? nullptr : &*at;
}

std::string preset_names() {
    std::string out;
    for (const guest_limits& p : presets) out += fmt::format("{}{}", out.empty() ? "" : ", ", p.name);
    return out;
}

chosen_preset choose_preset(std::string_view host, std::span<const std::string> capabilities,
                            std::string_view greeting) {
    const std::string lower = ascii_lower(host);
    for (const host_rule& rule : by_host)
        if (matches(lower, rule.suffix)) return {find_preset(rule.preset), fmt::format("host {}", lower)};
    const auto can = [&](std::string_view name) { return std::ranges::find(capabilities, name) != capabilities.end(); };
    if (can("X-GM-EXT-1")) return {find_preset("gmail"), "capability X-GM-EXT-1"};
    if (can("XYMHIGHESTMODSEQ")) return {find_preset("yahoo"), "capability XYMHIGHESTMODSEQ"};
    if (can("X-APPLE-REMOTE-LINKS")) return {find_preset("icloud"), "capability X-APPLE-REMOTE-LINKS"};
    if (greeting.contains("Microsoft Exchange")) return {find_preset("exchange"), "greeting of Microsoft Exchange"};
    return {find_preset("generic"), "nothing known about it"};
}

} // namespace postferry::client

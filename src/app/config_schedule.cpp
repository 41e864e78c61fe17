// "mon-fri 20:00-06:00"
#include "app/config_keys.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <array>

namespace postferry::app {

namespace {

constexpr std::array<std::string_view, 7> day_names{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

std::optional<std::size_t> day_of(std::string_view text) {
    const auto* found = std::ranges::find_if(day_names, [&](std::string_view name) { return iequals(name, text); });
    if (found == day_names.end()) return std::nullopt;
    return static_cast<std::size_t>(found - day_names.begin());
}

/// "mon-fri,sun"; a range may run over the week's end.
std::optional<std::uint8_t> parse_days(std::string_view text) {
    unsigned days = 0;
    while (true) {
        const std::size_t comma = text.find(',');
        const std::string_view part = text.substr(0, comma);
        const std::size_t dash = part.find('-');
        const auto first = day_of(part.substr(0, dash));
        const auto last = dash == std::string_view::npos ? first : day_of(part.substr(dash + 1));
        if (!first || !last) return std::nullopt;
        for (std::size_t day = *first;; day = (day + 1) % 7) {
            days |= 1U << day;
            if (day == *last) break;
        }
        if (comma == std::string_view::npos) return static_cast<std::uint8_t>(days);
        text.remove_prefix(comma + 1);
    }
}

/// "06:30"; to 24:00.
std::optional<std::chrono::minutes> parse_time(std::string_view text) {
    if (text.size() != 5 || text[2] != ':') return std::nullopt;
    const auto hours = parse_u32(text.substr(0, 2)), minutes = parse_u32(text.substr(3));
    if (!hours || !minutes || *minutes > 59 || *hours * 60 + *minutes > 24 * 60) return std::nullopt;
    return std::chrono::minutes(*hours * 60 + *minutes);
}

} // namespace

std::optional<config_window> parse_window(std::string_view text) {
    config_window out{.days = 0x7f, .from = std::chrono::minutes(0), .to = std::chrono::hours(24)};
    const std::size_t blank = text.find(' ');
    const std::string_view first = text.substr(0, blank);
    const bool days = first.find(':') == std::string_view::npos;
    if (days) {
        const auto read = parse_days(first);
        if (!read) return std::nullopt;
        out.days = *read;
        if (blank == std::string_view::npos) return out;
        text.remove_prefix(blank + 1);
    }
    if (text.size() != 11 || text[5] != '-') return std::nullopt;
    const auto from = parse_time(text.substr(0, 5)), to = parse_time(text.substr(6));
    if (!from || !to || *from == std::chrono::hours(24)) return std::nullopt;
    out.from = *from;
    out.to = *to;
    return out;
}

} // namespace postferry::app

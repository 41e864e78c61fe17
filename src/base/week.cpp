#include "base/week.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>

namespace postferry {

namespace {

constexpr std::array<std::string_view, 7> day_names{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

std::optional<unsigned> day_of(std::string_view text) noexcept {
    const auto at = std::ranges::find(day_names, text);
    if (at == day_names.end()) return std::nullopt;
    return static_cast<unsigned>(at - day_names.begin());
}

} // namespace

std::optional<std::uint8_t> parse_weekdays(std::string_view text) noexcept {
    unsigned days = 0;
    while (true) {
        const std::size_t comma = text.find(',');
        const std::string_view part = text.substr(0, comma);
        const std::size_t dash = part.find('-');
        const auto first = day_of(part.substr(0, dash));
        const auto last = dash == std::string_view::npos ? first : day_of(part.substr(dash + 1));
        if (!first || !last) return std::nullopt;
        for (unsigned day = *first;; day = (day + 1) % 7) {
            days |= 1U << day;
            if (day == *last) break;
        }
        if (comma == std::string_view::npos) return static_cast<std::uint8_t>(days);
        text.remove_prefix(comma + 1);
    }
}

std::optional<int> parse_time_of_day(std::string_view text) noexcept {
    constexpr std::uint32_t day = 24 * 60;
    if (text.size() != 5 || text[2] != ':') return std::nullopt;
    const auto hours = parse_u32(text.substr(0, 2)), minutes = parse_u32(text.substr(3));
    if (!hours || !minutes || *minutes > 59 || *hours * 60 + *minutes > day) return std::nullopt;
    return static_cast<int>(*hours * 60 + *minutes);
}

std::optional<std::chrono::sys_days> parse_day(std::string_view text) noexcept {
    if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
    const auto year = parse_u32(text.substr(0, 4));
    const auto month = parse_u32(text.substr(5, 2));
    const auto day = parse_u32(text.substr(8, 2));
    if (!year || !month || !day || *year < 1970) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)), std::chrono::month(*month),
                                           std::chrono::day(*day)};
    if (!date.ok()) return std::nullopt;
    return std::chrono::sys_days(date);
}

} // namespace postferry

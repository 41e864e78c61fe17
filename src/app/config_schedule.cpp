// "mon-fri 20:00-06:00"
#include "app/config_keys.hpp"
#include "base/text.hpp"
#include "base/week.hpp"

namespace postferry::app {

std::optional<config_window> parse_window(std::string_view text) {
    config_window out{.days = 0x7f, .from = std::chrono::minutes(0), .to = std::chrono::hours(24)};
    const std::size_t blank = text.find(' ');
    const std::string_view first = text.substr(0, blank);
    const bool days = first.find(':') == std::string_view::npos;
    if (days) {
        const auto read = parse_weekdays(ascii_lower(first));
        if (!read) return std::nullopt;
        out.days = *read;
        if (blank == std::string_view::npos) return out;
        text.remove_prefix(blank + 1);
    }
    if (text.size() != 11 || text[5] != '-') return std::nullopt;
    const auto from = parse_time_of_day(text.substr(0, 5)), to = parse_time_of_day(text.substr(6));
    if (!from || !to || *from == 24 * 60) return std::nullopt;
    out.from = std::chrono::minutes(*from);
    out.to = std::chrono::minutes(*to);
    return out;
}

} // namespace postferry::app

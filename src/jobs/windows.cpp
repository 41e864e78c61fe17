#include "jobs/windows.hpp"

#include <algorithm>
#include <chrono>
#include <date/tz.h>

namespace postferry::jobs {

namespace {

using namespace std::chrono;
using local_minutes = date::local_time<minutes>;

constexpr int day_minutes = 24 * 60;

unix_ms utc_of(const date::time_zone& zone, local_minutes local) {
    // An hour that does not exist, or exists twice, is where the clocks change: the earlier moment.
    return duration_cast<milliseconds>(zone.to_sys(local, date::choose::earliest).time_since_epoch()).count();
}

struct span {
    unix_ms from = 0, to = 0;
};

/// The windows' openings from the day before `now` to eight days after it.
void add_spans(const window& w, unix_ms now, std::vector<span>& out) {
    const date::time_zone& zone = *date::locate_zone(w.time_zone);
    const auto today = date::floor<date::days>(zone.to_local(date::sys_time<milliseconds>(milliseconds(now))));
    for (int offset = -1; offset <= 8; ++offset) {
        const auto day = today + date::days(offset);
        const unsigned weekday = date::weekday(day).iso_encoding() - 1;
        if ((w.days >> weekday & 1U) == 0) continue;
        const int length =
            w.to_minute > w.from_minute ? w.to_minute - w.from_minute : w.to_minute + day_minutes - w.from_minute;
        const local_minutes begin = day + minutes(w.from_minute);
        out.push_back({.from = utc_of(zone, begin), .to = utc_of(zone, begin + minutes(length))});
    }
}

/// All of them, those that touch made one, in order.
std::vector<span> spans_of(const std::vector<window>& all, unix_ms now) {
    std::vector<span> each;
    for (const window& w : all) add_spans(w, now, each);
    std::ranges::sort(each, {}, [](const span& s) { return std::pair(s.from, s.to); });
    std::vector<span> joined;
    for (const span& s : each) {
        if (!joined.empty() && s.from <= joined.back().to)
            joined.back().to = std::max(joined.back().to, s.to);
        else
            joined.push_back(s);
    }
    return joined;
}

} // namespace

std::optional<std::uint8_t> parse_days(std::string_view text) noexcept {
    if (text == "daily") return std::uint8_t{0x7F};
    return parse_weekdays(text);
}

std::string local_time_zone() {
    try {
        return date::current_zone()->name();
    } catch (const std::exception&) { // the library's way to say that /etc/localtime names none
        return "UTC";
    }
}

bool is_time_zone(std::string_view name) {
    try {
        (void)date::locate_zone(std::string(name));
        return true;
    } catch (const std::exception&) {
        return false;
    }
}

bool is_open(const std::vector<window>& all, unix_ms now) {
    if (all.empty()) return true;
    return std::ranges::any_of(spans_of(all, now), [now](const span& s) { return s.from <= now && now < s.to; });
}

std::optional<unix_ms> next_change(const std::vector<window>& all, unix_ms now) {
    const std::vector<span> spans = spans_of(all, now);
    for (const span& s : spans) {
        if (s.from > now) return s.from;
        // The last one may go on behind the days that were looked at.
        if (now < s.to)
            return &s == &spans.back() && s.to - now > 7 * 86'400'000LL ? std::nullopt : std::optional(s.to);
    }
    return std::nullopt;
}

} // namespace postferry::jobs

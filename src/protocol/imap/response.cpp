#include "protocol/imap/response.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

namespace postferry::imap {

bool list_data::has(std::string_view attribute) const noexcept {
    return std::ranges::any_of(attributes, [&](const std::string& a) { return iequals(a, attribute); });
}

namespace {

constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// Takes `least` to `most` digits off the front of `text`.
std::optional<int> digits(std::string_view& text, std::size_t least, std::size_t most) noexcept {
    int value = 0;
    std::size_t n = 0;
    while (n < most && n < text.size() && text[n] >= '0' && text[n] <= '9') value = value * 10 + (text[n++] - '0');
    if (n < least) return std::nullopt;
    text.remove_prefix(n);
    return value;
}

bool take(std::string_view& text, char c) noexcept {
    if (!text.starts_with(c)) return false;
    text.remove_prefix(1);
    return true;
}

void take_spaces(std::string_view& text) noexcept {
    while (take(text, ' ')) {
    }
}

// date-day "-" date-month "-" date-year
std::optional<std::chrono::sys_days> date(std::string_view& text) noexcept {
    const auto day = digits(text, 1, 2);
    if (!day || !take(text, '-')) return std::nullopt;
    const auto month = std::ranges::find_if(months, [&](std::string_view m) { return istarts_with(text, m); });
    if (month == months.end()) return std::nullopt;
    text.remove_prefix(3);
    if (!take(text, '-')) return std::nullopt;
    const auto year = digits(text, 4, 4);
    if (!year || *year == 0) return std::nullopt;
    const std::chrono::year_month_day ymd(std::chrono::year(*year),
                                          std::chrono::month(static_cast<unsigned>(month - months.begin()) + 1),
                                          std::chrono::day(static_cast<unsigned>(*day)));
    if (!ymd.ok()) return std::nullopt;
    return std::chrono::sys_days(ymd);
}

// time = 2DIGIT ":" 2DIGIT ":" 2DIGIT, in seconds
std::optional<int> time_of_day(std::string_view& text) noexcept {
    const auto hours = digits(text, 1, 2);
    if (!hours || *hours > 23 || !take(text, ':')) return std::nullopt;
    const auto minutes = digits(text, 2, 2);
    if (!minutes || *minutes > 59 || !take(text, ':')) return std::nullopt;
    const auto seconds = digits(text, 2, 2);
    if (!seconds || *seconds > 60) return std::nullopt; // 60 is a leap second
    return *hours * 3600 + *minutes * 60 + *seconds;
}

// zone = ("+" / "-") 4DIGIT, in minutes
std::optional<int> zone(std::string_view& text) noexcept {
    const bool west = text.starts_with('-');
    if (!take(text, '+') && !take(text, '-')) return std::nullopt;
    const auto value = digits(text, 4, 4);
    if (!value || *value / 100 > 23 || *value % 100 > 59) return std::nullopt;
    const int minutes = *value / 100 * 60 + *value % 100;
    return west ? -minutes : minutes;
}

} // namespace

std::optional<std::string> internal_date::to_string() const {
    // Far enough from the ends of the clock's range that the sums below cannot overflow.
    constexpr std::int64_t beyond_9999 = 253'402'300'800 + 86'400;
    if (unix_seconds < -beyond_9999 || unix_seconds > beyond_9999) return std::nullopt;
    if (zone_minutes < -1439 || zone_minutes > 1439) return std::nullopt;
    const std::chrono::sys_seconds local{std::chrono::seconds(unix_seconds + std::int64_t{zone_minutes} * 60)};
    const auto day = std::chrono::floor<std::chrono::days>(local);
    const std::chrono::year_month_day ymd(day);
    const int year = static_cast<int>(ymd.year());
    if (year < 1 || year > 9999) return std::nullopt;
    const auto second = (local - day).count();
    const int minutes = std::abs(int{zone_minutes});
    return fmt::format("{:2}-{}-{:04} {:02}:{:02}:{:02} {}{:02}{:02}", static_cast<unsigned>(ymd.day()),
                       months[static_cast<unsigned>(ymd.month()) - 1], year, second / 3600, second / 60 % 60,
                       second % 60, zone_minutes < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

std::optional<internal_date> internal_date::parse(std::string_view text) {
    take_spaces(text);
    const auto day = date(text);
    if (!day || !take(text, ' ')) return std::nullopt;
    take_spaces(text);
    const auto seconds = time_of_day(text);
    if (!seconds) return std::nullopt;
    take_spaces(text);
    const auto minutes_east = text.empty() ? std::optional(0) : zone(text);
    take_spaces(text);
    if (!minutes_east || !text.empty()) return std::nullopt;
    const std::int64_t midnight = std::chrono::sys_seconds(*day).time_since_epoch().count();
    return internal_date{midnight + *seconds - std::int64_t{*minutes_east} * 60,
                         static_cast<std::int16_t>(*minutes_east)};
}

} // namespace postferry::imap

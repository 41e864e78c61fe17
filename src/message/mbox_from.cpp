#include "message/mbox_from.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <span>

namespace postferry::message {

namespace {

constexpr std::array<std::string_view, 7> weekdays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::string_view word_verbatim = "verbatim", word_no_line_end = "no-eol";
constexpr std::size_t most_words = 40;

struct words {
    std::array<std::string_view, most_words> text;
    std::size_t count = 0;
};

words split(std::string_view line) noexcept {
    words out;
    while (!line.empty() && out.count < most_words) {
        const std::size_t begin = std::min(line.find_first_not_of(" \t\r"), line.size());
        line.remove_prefix(begin);
        const std::size_t end = std::min(line.find_first_of(" \t\r"), line.size());
        if (end > 0) out.text[out.count++] = line.substr(0, end);
        line.remove_prefix(end);
    }
    return out;
}

bool is_digits(std::string_view word) noexcept {
    return !word.empty() && std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; });
}

bool is_letters(std::string_view word) noexcept {
    return !word.empty() &&
           std::ranges::all_of(word, [](char c) { return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z'; });
}

template <std::size_t N>
std::optional<unsigned> index_of(const std::array<std::string_view, N>& names, std::string_view word) noexcept {
    if (word.ends_with(',')) word.remove_suffix(1);
    if (word.size() < 3 || word.size() > 9 || !is_letters(word)) return std::nullopt;
    for (unsigned i = 0; i < N; ++i)
        if (istarts_with(word, names[i])) return i;
    return std::nullopt;
}

/// hh:mm[:ss] as seconds of the day.
std::optional<int> time_of(std::string_view word) noexcept {
    std::array<int, 3> parts{};
    std::size_t n = 0;
    while (n < 3) {
        const std::size_t end = std::min(word.find(':'), word.size());
        const auto value = end >= 1 && end <= 2 ? parse_u32(word.substr(0, end)) : std::nullopt;
        if (!value) return std::nullopt;
        parts[n++] = static_cast<int>(*value);
        if (end == word.size()) break;
        word.remove_prefix(end + 1);
        if (n == 3) return std::nullopt;
    }
    if (n < 2 || parts[0] > 23 || parts[1] > 59 || parts[2] > 60) return std::nullopt;
    return parts[0] * 3600 + parts[1] * 60 + parts[2];
}

/// ("+" / "-") 4DIGIT
std::optional<int> zone_of(std::string_view word) noexcept {
    if (word.size() != 5 || (word[0] != '+' && word[0] != '-') || !is_digits(word.substr(1))) return std::nullopt;
    const int hours = static_cast<int>(*parse_u32(word.substr(1, 2)));
    const int minutes = static_cast<int>(*parse_u32(word.substr(3)));
    if (hours > 23 || minutes > 59) return std::nullopt;
    return (word[0] == '-' ? -1 : 1) * (hours * 60 + minutes);
}

/// Collects a date from words in any order; each kind once.
struct date_words {
    std::optional<unsigned> month;
    std::optional<int> day, time, year, zone;
    bool zone_told = false;

    [[nodiscard]] bool whole() const noexcept { return month && day && time && year; }

    /// False: the word is no part of a date.
    bool take(std::string_view word) noexcept {
        if (word.ends_with(',')) word.remove_suffix(1);
        if (!month && put(month, index_of(months, word))) return true;
        if (!time && put(time, time_of(word))) return true;
        if (is_digits(word) && word.size() <= 4) return take_number(word);
        if (!zone && put(zone, zone_of(word))) return zone_told = true;
        const bool named = is_letters(word) && word.size() <= 5 && time && !zone_told;
        if (named && (iequals(word, "GMT") || iequals(word, "UTC"))) {
            zone = 0;
            zone_told = true;
        }
        return named; // "MET", "EST": not worth a guess
    }

    bool take_number(std::string_view digits) noexcept {
        const int value = static_cast<int>(parse_u32(digits).value_or(0));
        const bool four = digits.size() == 4;
        if (!four && !day) {
            day = value;
            return value >= 1 && value <= 31;
        }
        // Two digits are a year only behind the time, where asctime has it.
        if (year || digits.size() == 3 || (!four && !time)) return false;
        year = four ? value : value + (value < 70 ? 2000 : 1900);
        return *year >= 1900;
    }

    template <class T> static bool put(std::optional<T>& to, std::optional<T> value) noexcept {
        if (value) to = value;
        return value.has_value();
    }

    [[nodiscard]] std::optional<message_date> assemble() const noexcept {
        using namespace std::chrono;
        if (!whole()) return std::nullopt;
        const year_month_day date{std::chrono::year(*year), std::chrono::month(*month + 1),
                                  std::chrono::day(static_cast<unsigned>(*day))};
        if (!date.ok()) return std::nullopt;
        const std::int64_t local = std::int64_t{sys_days(date).time_since_epoch().count()} * 86'400 + *time;
        return message_date{local - std::int64_t{zone.value_or(0)} * 60, zone.value_or(0)};
    }
};

/// A date that begins at the first of `rest`; `used` is what it took.
std::optional<date_words> read_date(std::span<const std::string_view> rest, std::size_t& used) noexcept {
    date_words date;
    used = 0;
    while (used < rest.size() && !date.whole() && date.take(rest[used])) ++used;
    if (!date.whole()) return std::nullopt;
    if (used < rest.size() && !date.zone_told)
        if (date_words::put(date.zone, zone_of(rest[used]))) {
            date.zone_told = true;
            ++used;
        }
    return date;
}

} // namespace

std::optional<mbox_from_line> parse_mbox_from(std::string_view line) noexcept {
    if (!line.starts_with("From ") || line.size() > mbox_from_octets) return std::nullopt;
    const words w = split(line.substr(5));
    const std::span<const std::string_view> all(w.text.data(), w.count);
    for (std::size_t i = 0; i < all.size(); ++i) {
        const bool weekday = index_of(weekdays, all[i]).has_value();
        if (!weekday && i != 1) continue;
        const auto rest = all.subspan(i + (weekday ? 1 : 0));
        std::size_t used = 0;
        const auto date = read_date(rest, used);
        const auto when = date ? date->assemble() : std::nullopt;
        if (!when) continue;
        mbox_from_line out{.date = *when, .zone_told = date->zone_told, .ours = i == 1 && all[0] == mbox_sender};
        if (!out.ours) return out;
        for (const std::string_view word : rest.subspan(used)) {
            out.verbatim = out.verbatim || word == word_verbatim;
            out.no_line_end = out.no_line_end || word == word_no_line_end;
        }
        return out;
    }
    return std::nullopt;
}

std::string make_mbox_from(const std::optional<message_date>& date, bool verbatim, bool no_line_end) {
    using namespace std::chrono;
    // What no From_ line can say (years that asctime has no room for) is told as the nearest that it can.
    constexpr std::int64_t first = -2'208'902'400, last = 253'402'214'400; // 1900-01-02, 9999-12-30
    const message_date when = date.value_or(message_date{});
    const sys_seconds local{seconds(std::clamp(when.unix_seconds, first, last) + std::int64_t{when.zone_minutes} * 60)};
    const sys_days day = floor<days>(local);
    const year_month_day ymd(day);
    const hh_mm_ss time(local - day);
    const int zone = when.zone_minutes < 0 ? -when.zone_minutes : when.zone_minutes;
    return fmt::format("From {} {} {} {:2} {:02}:{:02}:{:02} {:04} {}{:02}{:02}{}{}{}{}\n", mbox_sender,
                       weekdays[weekday(day).c_encoding()], months[static_cast<unsigned>(ymd.month()) - 1],
                       static_cast<unsigned>(ymd.day()), time.hours().count(), time.minutes().count(),
                       time.seconds().count(), static_cast<int>(ymd.year()), when.zone_minutes < 0 ? '-' : '+',
                       zone / 60, zone % 60, verbatim ? " " : "", verbatim ? word_verbatim : "", no_line_end ? " " : "",
                       no_line_end ? word_no_line_end : "");
}

} // namespace postferry::message

#include "message/received_date.hpp"

#include "base/text.hpp"
#include "message/header_fields.hpp"

#include <algorithm>
#include <array>
#include <chrono>

namespace postferry::message {

namespace {

constexpr std::size_t date_octets = 512;

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_alpha(char c) noexcept { return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z'; }

/// Reads tokens, passing over comments, white space, folds, commas and stray control characters.
class cursor {
  public:
    explicit cursor(std::string_view text) noexcept : text_(text) { skip(); }

    [[nodiscard]] char peek() const noexcept { return text_.empty() ? '\0' : text_.front(); }

    std::string_view word() noexcept { return take(is_alpha); }
    std::string_view digits() noexcept { return take(is_digit); }

    bool accept(char c) noexcept {
        if (peek() != c || text_.empty()) return false;
        text_.remove_prefix(1);
        skip();
        return true;
    }

  private:
    template <class P> std::string_view take(P of_kind) noexcept {
        std::size_t n = 0;
        while (n < text_.size() && of_kind(text_[n])) ++n;
        const std::string_view token = text_.substr(0, n);
        text_.remove_prefix(n);
        skip();
        return token;
    }

    void skip() noexcept {
        int depth = 0; // of comments; a ")" too many is passed over as well
        while (!text_.empty()) {
            const char c = text_.front();
            if (c == '(') {
                ++depth;
            } else if (c == ')') {
                depth = std::max(0, depth - 1);
            } else if (depth > 0) {
                if (c == '\\' && text_.size() > 1) text_.remove_prefix(1);
            } else if (static_cast<unsigned char>(c) > ' ' && c != ',' && c != 0x7f) {
                return;
            }
            text_.remove_prefix(1);
        }
    }

    std::string_view text_;
};

/// `token` as a number of `least` to `most` digits.
std::optional<int> number(std::string_view token, std::size_t least, std::size_t most) noexcept {
    if (token.size() < least || token.size() > most) return std::nullopt;
    int value = 0;
    for (const char c : token) value = value * 10 + (c - '0');
    return value;
}

/// 1 .. 12. "Sept" and full names are seen.
std::optional<unsigned> month_of(std::string_view word) noexcept {
    static constexpr std::array<std::string_view, 12> names{"january",   "february", "march",    "april",
                                                            "may",       "june",     "july",     "august",
                                                            "september", "october",  "november", "december"};
    if (word.size() < 3) return std::nullopt;
    for (std::size_t i = 0; i < names.size(); ++i)
        if (istarts_with(names[i], word)) return static_cast<unsigned>(i + 1);
    return std::nullopt;
}

/// RFC 5322, 4.3: 00 .. 49 are of this century, two more digits and all three-digit years count from 1900.
std::optional<int> year_of(std::string_view digits) noexcept {
    const auto value = number(digits, 2, 4);
    if (!value) return std::nullopt;
    const int year = digits.size() == 4 ? *value : *value + (digits.size() == 2 && *value < 50 ? 2000 : 1900);
    if (year < 1900) return std::nullopt;
    return year;
}

/// hour ":" minute [":" second]; seconds of the day. "10.00.00" is seen.
std::optional<int> time_of_day(cursor& in) noexcept {
    const auto hour = number(in.digits(), 1, 2);
    if (!hour || (!in.accept(':') && !in.accept('.'))) return std::nullopt;
    const auto minute = number(in.digits(), 1, 2);
    if (!minute) return std::nullopt;
    int second = 0;
    if (in.accept(':') || in.accept('.')) {
        const auto value = number(in.digits(), 1, 2);
        if (!value) return std::nullopt;
        second = *value;
        if (in.accept('.')) in.digits(); // fractions
    }
    if (*hour > 23 || *minute > 59 || second > 60) return std::nullopt;
    return *hour * 3600 + *minute * 60 + second;
}

/// ("+" / "-") 4DIGIT, with "+2:00" and "+02" as they are seen; 0 when it makes no sense.
int numeric_zone(cursor& in) noexcept {
    const bool west = in.peek() == '-';
    if (!in.accept('+') && !in.accept('-')) return 0;
    const std::string_view digits = in.digits();
    int hours = 0;
    int minutes = 0;
    if (digits.size() <= 2) {
        hours = number(digits, 1, 2).value_or(0);
        if (in.accept(':')) minutes = number(in.digits(), 2, 2).value_or(0);
    } else if (digits.size() == 4) {
        hours = number(digits.substr(0, 2), 2, 2).value_or(0);
        minutes = number(digits.substr(2), 2, 2).value_or(0);
    }
    if (hours > 23 || minutes > 59) return 0;
    return (west ? -1 : 1) * (hours * 60 + minutes);
}

/// Minutes east of UTC. Military letters and unknown names count as -0000 (RFC 5322, 4.3).
int zone(cursor& in) noexcept {
    struct named {
        std::string_view name;
        int hours;
    };
    static constexpr std::array<named, 8> names{
        {{"est", -5}, {"edt", -4}, {"cst", -6}, {"cdt", -5}, {"mst", -7}, {"mdt", -6}, {"pst", -8}, {"pdt", -7}}};
    const std::string_view word = in.word();
    if (word.empty() || iequals(word, "gmt") || iequals(word, "utc") || iequals(word, "ut")) return numeric_zone(in);
    const auto* const found = std::ranges::find_if(names, [&](const named& n) { return iequals(n.name, word); });
    return found == names.end() ? 0 : found->hours * 60;
}

struct date_parts {
    int day = 0;
    unsigned month = 0;
    int year = 0;
    int second_of_day = 0;
    int zone_minutes = 0;
};

std::optional<message_date> assemble(const date_parts& p) noexcept {
    using namespace std::chrono;
    const year_month_day date{year(p.year), month(p.month), day(static_cast<unsigned>(p.day))};
    if (!date.ok()) return std::nullopt;
    const std::int64_t local = std::int64_t{sys_days(date).time_since_epoch().count()} * 86400 + p.second_of_day;
    return message_date{local - std::int64_t{p.zone_minutes} * 60, p.zone_minutes};
}

/// day month year time [zone]
bool read_date(cursor& in, date_parts& out) noexcept {
    const auto day = number(in.digits(), 1, 2);
    in.accept('-');
    const auto month = month_of(in.word());
    in.accept('.'); // "Sept."
    in.accept('-');
    const auto year = year_of(in.digits());
    const auto time = time_of_day(in);
    if (!day || !month || !year || !time) return false;
    out = {*day, *month, *year, *time, zone(in)};
    return true;
}

/// asctime: (month already read) day time [zone] year
bool read_asctime(cursor& in, unsigned month, date_parts& out) noexcept {
    const auto day = number(in.digits(), 1, 2);
    const auto time = time_of_day(in);
    if (!day || !time) return false;
    const int zone_minutes = is_digit(in.peek()) ? 0 : zone(in);
    const auto year = year_of(in.digits());
    if (!year) return false;
    out = {*day, month, *year, *time, zone_minutes};
    return true;
}

/// The date of a Received field stands after its last ";". One inside a trailing comment would hide it, so the one
/// before is tried as well.
std::optional<message_date> date_of_received(std::string_view body) noexcept {
    for (int attempt = 0; attempt < 3; ++attempt) {
        const std::size_t semicolon = body.rfind(';');
        if (semicolon == std::string_view::npos) return std::nullopt;
        if (const auto date = parse_date_time(body.substr(semicolon + 1))) return date;
        body = body.substr(0, semicolon);
    }
    return std::nullopt;
}

} // namespace

std::optional<message_date> parse_date_time(std::string_view text) noexcept {
    cursor in(text.substr(0, date_octets));
    date_parts parts;
    if (is_digit(in.peek())) return read_date(in, parts) ? assemble(parts) : std::nullopt;
    std::string_view word = in.word(); // a weekday, or in asctime's order without one, a month
    in.accept('.');                    // "Mon., 1 Jan"
    if (is_alpha(in.peek())) word = in.word();
    if (const auto month = month_of(word)) return read_asctime(in, *month, parts) ? assemble(parts) : std::nullopt;
    return !word.empty() && read_date(in, parts) ? assemble(parts) : std::nullopt;
}

std::optional<message_date> received_date(std::string_view header) noexcept {
    std::optional<message_date> sent;
    header_fields fields(header);
    while (const auto field = fields.next()) {
        if (iequals(field->name, "received")) {
            if (const auto date = date_of_received(field->body)) return date;
        } else if (!sent && iequals(field->name, "date")) {
            sent = parse_date_time(field->body);
        }
    }
    return sent;
}

} // namespace postferry::message

#include "input/fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace postferry::input {

namespace json = boost::json;

namespace {

std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) noexcept {
    if (at + count > text.size()) return std::nullopt;
    int value = 0;
    for (const char c : text.substr(at, count)) {
        if (c < '0' || c > '9') return std::nullopt;
        value = value * 10 + (c - '0');
    }
    return value;
}

/// Minutes east of Greenwich; nothing: no zone.
std::optional<int> zone_of(std::string_view text) noexcept {
    if (text == "Z" || text == "z") return 0;
    if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
    const auto hours = digits(text, 1, 2), minutes = digits(text, 4, 2);
    if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
    return (text[0] == '-' ? -1 : 1) * (*hours * 60 + *minutes);
}

bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

} // namespace

std::optional<std::int64_t> parse_rfc3339(std::string_view text) noexcept {
    using namespace std::chrono;
    const auto y = digits(text, 0, 4), mo = digits(text, 5, 2), d = digits(text, 8, 2), h = digits(text, 11, 2),
               mi = digits(text, 14, 2), s = digits(text, 17, 2);
    if (!y || !mo || !d || !h || !mi || !s || text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':' ||
        (text[10] != 'T' && text[10] != 't' && text[10] != ' '))
        return std::nullopt;
    text.remove_prefix(19);
    std::int64_t ms = 0;
    if (text.starts_with('.')) {
        std::size_t n = 1;
        for (std::int64_t place = 100; n < text.size() && text[n] >= '0' && text[n] <= '9'; ++n, place /= 10)
            ms += (text[n] - '0') * place;
        if (n == 1 || n > 10) return std::nullopt;
        text.remove_prefix(n);
    }
    const auto zone = zone_of(text);
    const year_month_day date{year(*y), month(static_cast<unsigned>(*mo)), day(static_cast<unsigned>(*d))};
    if (!zone || !date.ok() || *y < 1970 || *h > 23 || *mi > 59 || *s > 60) return std::nullopt;
    const auto moment = sys_days(date) + hours(*h) + minutes(*mi - *zone) + seconds(std::min(*s, 59));
    return duration_cast<milliseconds>(moment.time_since_epoch()).count() + ms;
}

std::string rfc3339_of(std::int64_t ms) {
    using namespace std::chrono;
    const sys_time<milliseconds> moment{milliseconds(ms)};
    const auto date = floor<days>(moment);
    const year_month_day ymd(date);
    const hh_mm_ss time(moment - date);
    // By hand: a page of the API has hundreds of them, and a format string costs ten times as much.
    std::string out = "0000-00-00T00:00:00.000Z";
    const auto put = [&out](std::size_t end, auto number) {
        for (auto n = static_cast<unsigned>(number); n > 0; n /= 10) out[--end] = static_cast<char>('0' + n % 10);
    };
    put(4, std::clamp(static_cast<int>(ymd.year()), 0, 9999));
    put(7, static_cast<unsigned>(ymd.month()));
    put(10, static_cast<unsigned>(ymd.day()));
    put(13, time.hours().count());
    put(16, time.minutes().count());
    put(19, time.seconds().count());
    put(23, time.subseconds().count());
    if (time.subseconds().count() == 0) out.erase(19, 4);
    return out;
}

std::string fields::pointer(std::string_view name) const {
    std::string out = at_ + "/";
    for (const char c : name) { // RFC 6901, section 3
        if (c == '~')
            out += "~0";
        else if (c == '/')
            out += "~1";
        else
            out += c;
    }
    return out;
}

void fields::fault(std::string_view name, std::string reason) {
    fault_at(name.empty() ? at_ : pointer(name), std::move(reason));
}

void fields::fault_at(std::string place, std::string reason) {
    constexpr std::size_t most = 100;
    if (faults_->size() < most) faults_->push_back({.field = std::move(place), .reason = std::move(reason)});
}

const json::value* fields::take(std::string_view name) {
    read_.emplace(name);
    const json::value* v = from_->if_contains(name);
    return v == nullptr || v->is_null() ? nullptr : v;
}

const json::value* fields::any(std::string_view name) { return take(name); }

fields& fields::required(std::string_view name) {
    const json::value* v = from_->if_contains(name);
    if (v == nullptr || v->is_null()) fault(name, "is missing");
    return *this;
}

std::optional<std::string> fields::text(std::string_view name, text_rule rule) {
    const json::value* v = take(name);
    if (v == nullptr) return std::nullopt;
    const json::string* s = v->if_string();
    if (s == nullptr) return fault(name, "must be a text"), std::nullopt;
    if (s->size() < rule.least || s->size() > rule.most)
        return fault(name, fmt::format("must have {} to {} octets", rule.least, rule.most)), std::nullopt;
    const auto wrong = [&](char c) { return is_control(c) && !(rule.lines && (c == '\n' || c == '\r' || c == '\t')); };
    if (std::ranges::any_of(*s, wrong)) return fault(name, "must not have control characters"), std::nullopt;
    return std::string(*s);
}

std::optional<secret> fields::password(std::string_view name, std::size_t most) {
    const json::value* v = take(name);
    if (v == nullptr) return std::nullopt;
    const json::string* s = v->if_string();
    if (s == nullptr) return fault(name, "must be a text"), std::nullopt;
    if (s->empty() || s->size() > most || s->find('\0') != json::string::npos)
        return fault(name, fmt::format("must have 1 to {} octets, and no NUL", most)), std::nullopt;
    return secret(std::string(*s));
}

std::optional<std::int64_t> fields::integer(std::string_view name, std::int64_t least, std::int64_t most) {
    const json::value* v = take(name);
    if (v == nullptr) return std::nullopt;
    std::optional<std::int64_t> n;
    if (v->is_int64())
        n = v->get_int64();
    else if (v->is_uint64() && v->get_uint64() <= static_cast<std::uint64_t>(INT64_MAX))
        n = static_cast<std::int64_t>(v->get_uint64());
    if (n && *n >= least && *n <= most) return n;
    fault(name, fmt::format("must be a whole number from {} to {}", least, most));
    return std::nullopt;
}

std::optional<bool> fields::flag(std::string_view name) {
    const json::value* v = take(name);
    if (v == nullptr) return std::nullopt;
    if (v->is_bool()) return v->get_bool();
    fault(name, "must be true or false");
    return std::nullopt;
}

std::optional<std::int64_t> fields::moment(std::string_view name) {
    const auto words = text(name, {.least = 1, .most = 40});
    if (!words) return std::nullopt;
    const auto ms = parse_rfc3339(*words);
    if (!ms) fault(name, "must be a time like 2026-11-22T18:00:00Z (RFC 3339)");
    return ms;
}

std::optional<std::size_t> fields::word(std::string_view name, std::span<const std::string_view> words) {
    const json::value* v = take(name);
    if (v == nullptr) return std::nullopt;
    const json::string* s = v->if_string();
    const auto at = s == nullptr ? words.end() : std::ranges::find(words, std::string_view(s->data(), s->size()));
    if (at != words.end()) return static_cast<std::size_t>(at - words.begin());
    fault(name, fmt::format("must be one of: {}", fmt::join(words, ", ")));
    return std::nullopt;
}

std::optional<std::vector<std::string>> fields::texts(std::string_view name, std::size_t most, text_rule each) {
    const json::value* v = take(name);
    if (v == nullptr) return std::nullopt;
    const json::array* all = v->if_array();
    if (all == nullptr || all->size() > most)
        return fault(name, fmt::format("must be a list of at most {} texts", most)), std::nullopt;
    std::vector<std::string> out;
    for (const json::value& one : *all) {
        const json::string* s = one.if_string();
        if (s == nullptr || s->size() < each.least || s->size() > each.most || std::ranges::any_of(*s, is_control))
            return fault_at(fmt::format("{}/{}", pointer(name), out.size()),
                            fmt::format("must be a text of {} to {} octets without control characters", each.least,
                                        each.most)),
                   std::nullopt;
        out.emplace_back(*s);
    }
    return out;
}

std::optional<fields> fields::object(std::string_view name) {
    const json::value* v = take(name);
    if (v == nullptr) return std::nullopt;
    if (!v->is_object()) return fault(name, "must be an object"), std::nullopt;
    return fields(v->get_object(), *faults_, pointer(name));
}

std::optional<std::vector<fields>> fields::objects(std::string_view name, std::size_t most) {
    const json::value* v = take(name);
    if (v == nullptr) return std::nullopt;
    const json::array* all = v->if_array();
    if (all == nullptr || all->size() > most || !std::ranges::all_of(*all, &json::value::is_object))
        return fault(name, fmt::format("must be a list of at most {} objects", most)), std::nullopt;
    std::vector<fields> out;
    for (const json::value& one : *all)
        out.emplace_back(one.get_object(), *faults_, fmt::format("{}/{}", pointer(name), out.size()));
    return out;
}

void fields::done() {
    for (const auto& member : *from_)
        if (!read_.contains(std::string_view(member.key()))) fault(member.key(), "is not a field of this request");
}

result<json::object> parse_object(std::string_view body) {
    boost::system::error_code ec;
    json::parse_options how;
    how.max_depth = 32;
    json::value v = json::parse(json::string_view(body.data(), body.size()), ec, {}, how);
    if (ec) {
        auto bad = fail(retry_class::config, phase::usage, fmt::format("This is not JSON: {}", ec.message()));
        bad.error().response_code = "JSON";
        return bad;
    }
    if (!v.is_object()) return fail(retry_class::config, phase::usage, "This must be a JSON object");
    return std::move(v.get_object());
}

} // namespace postferry::input

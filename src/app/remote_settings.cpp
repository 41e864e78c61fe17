#include "app/remote_settings.hpp"

#include "base/text.hpp"
#include "input/fields.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <ctime>
#include <fstream>
#include <iterator>

namespace postferry::app {

namespace json = boost::json;

namespace {

constexpr std::size_t longest_file = 1U << 20U;

std::unexpected<error> wrong(std::string what) { return fail(retry_class::config, phase::usage, std::move(what)); }

json::array texts(const std::vector<std::string>& from) {
    json::array out;
    for (const std::string& one : from) out.emplace_back(one);
    return out;
}

/// "copy.since": a member of an object within.
void put(json::object& into, std::string_view path, json::value value) {
    const std::size_t dot = path.find('.');
    const std::string_view name = path.substr(0, dot);
    json::value& member = into[json::string_view(name.data(), name.size())];
    if (dot == std::string_view::npos) {
        member = std::move(value);
        return;
    }
    if (!member.is_object()) member = json::object();
    put(member.get_object(), path.substr(dot + 1), std::move(value));
}

result<json::object> read_file(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    std::string text(longest_file + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    if (in.bad() || text.empty()) return wrong(fmt::format("--settings: {} cannot be read", file));
    if (text.size() > longest_file) return wrong(fmt::format("--settings: {} is larger than 1 MiB", file));
    auto parsed = input::parse_object(text);
    if (!parsed) return wrong(fmt::format("--settings: {}: {}", file, parsed.error().what));
    return std::move(*parsed);
}

result<json::value> delta_minutes(std::string_view text) {
    if (text == "none" || text == "off") return json::value(0);
    auto span = parse_span(text, "--delta-every");
    if (!span) return std::unexpected(std::move(span.error()));
    const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(*span).count();
    if (minutes < 5 || minutes > 7 * 24 * 60) return wrong("--delta-every takes 5m to 7d, or none");
    return json::value(minutes);
}

result<void> put_numbers(const noun_words& words, json::object& into) {
    struct row {
        std::string_view option, path;
        std::int64_t least, most;
    };
    constexpr std::array<row, 3> rows{{{"--jobs", "mailboxes_at_a_time", 0, 10'000},
                                       {"--priority", "priority", -100, 100},
                                       {"--retries", "retries", 0, 100}}};
    for (const row& r : rows) {
        if (!words.has(r.option)) continue;
        auto n = parse_number(words.text(r.option), r.option, r.least, r.most);
        if (!n) return std::unexpected(std::move(n.error()));
        put(into, r.path, *n);
    }
    if (words.has("--max-size")) {
        const auto octets = parse_size(words.text("--max-size"));
        if (!octets || *octets == 0) return wrong("--max-size takes a size such as 25MB or 25MiB");
        put(into, "copy.max_size", *octets);
    }
    if (words.has("--sample")) {
        std::string text = words.text("--sample");
        if (text.ends_with('%')) text.pop_back();
        auto n = parse_number(text, "--sample", 1, 100);
        if (!n) return std::unexpected(std::move(n.error()));
        put(into, "copy.sample_percent", *n);
    }
    if (words.has("--hook-patience")) {
        auto span = parse_span(words.text("--hook-patience"), "--hook-patience");
        if (!span) return std::unexpected(std::move(span.error()));
        put(into, "hook.patience_seconds", span->count());
    }
    return {};
}

result<void> put_times(const noun_words& words, json::object& into) {
    if (words.has("--window")) {
        json::array windows;
        for (const std::string& text : words.list("--window")) {
            auto window = parse_window_words(text);
            if (!window) return std::unexpected(std::move(window.error()));
            windows.push_back(std::move(*window));
        }
        put(into, "windows", std::move(windows));
    }
    if (words.has("--delta-every")) {
        auto minutes = delta_minutes(words.text("--delta-every"));
        if (!minutes) return std::unexpected(std::move(minutes.error()));
        put(into, "delta_every_minutes", std::move(*minutes));
    }
    return {};
}

void put_texts(const noun_words& words, json::object& into) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 5> one{
        {{"--provisioning", "provisioning"},
         {"--existing", "existing"},
         {"--alias-discovery", "alias_discovery"},
         {"--since", "copy.since"},
         {"--repair", "copy.repair"}}};
    for (const auto& [option, path] : one)
        if (words.has(option)) put(into, path, json::value(words.text(option)));
    constexpr std::array<std::pair<std::string_view, std::string_view>, 4> many{{{"--include", "copy.include"},
                                                                                 {"--exclude", "copy.exclude"},
                                                                                 {"--map", "copy.map"},
                                                                                 {"--hook", "hook.command"}}};
    for (const auto& [option, path] : many)
        if (words.has(option)) put(into, path, texts(words.list(option)));
    if (words.has("--acl")) put(into, "copy.acl", true);
    if (words.has("--hook-password")) put(into, "hook.with_password", true);
}

bool is_clock(std::string_view text) {
    return text.size() == 5 && text[2] == ':' && text.find_first_not_of("0123456789:") == std::string_view::npos &&
           (text.substr(0, 2) < "24" || text == "24:00") && text.substr(3) < "60";
}

std::vector<std::string_view> split(std::string_view text) {
    std::vector<std::string_view> out;
    while (!text.empty()) {
        const std::string_view word = text.substr(0, text.find(' '));
        text.remove_prefix(std::min(text.size(), word.size() + 1));
        if (!word.empty()) out.push_back(word);
    }
    return out;
}

/// Digits and separators as in `shape`, where 0 stands for a digit.
bool looks_like(std::string_view text, std::string_view shape) {
    if (text.size() != shape.size()) return false;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (shape[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != shape[i]) return false;
    return true;
}

int digits(std::string_view text, std::size_t at, std::size_t n) {
    int out = 0;
    std::from_chars(text.data() + at, text.data() + at + n, out);
    return out;
}

/// A day and perhaps a time, here.
std::optional<std::time_t> local_time(std::string_view text) {
    const bool day = looks_like(text, "0000-00-00"), minute = looks_like(text, "0000-00-00 00:00"),
               second = looks_like(text, "0000-00-00 00:00:00");
    if (!day && !minute && !second) return std::nullopt;
    std::tm t{};
    t.tm_year = digits(text, 0, 4) - 1900;
    t.tm_mon = digits(text, 5, 2) - 1;
    t.tm_mday = digits(text, 8, 2);
    if (!day) t.tm_hour = digits(text, 11, 2), t.tm_min = digits(text, 14, 2);
    if (second) t.tm_sec = digits(text, 17, 2);
    t.tm_isdst = -1;
    const std::tm asked = t;
    const std::time_t when = std::mktime(&t);
    // mktime takes 2026-02-30 for a day of March.
    if (when < 0 || t.tm_mday != asked.tm_mday || t.tm_mon != asked.tm_mon) return std::nullopt;
    return when;
}

} // namespace

result<json::object> settings_patch(const noun_words& words) {
    json::object out;
    if (words.has("--settings")) {
        auto file = read_file(words.text("--settings"));
        if (!file) return file;
        out = std::move(*file);
    }
    for (const std::string& path : words.list("--unset")) put(out, path, nullptr);
    if (auto ok = put_numbers(words, out); !ok) return std::unexpected(std::move(ok.error()));
    if (auto ok = put_times(words, out); !ok) return std::unexpected(std::move(ok.error()));
    put_texts(words, out);
    return out;
}

result<json::object> parse_window_words(std::string_view text) {
    auto parts = split(text);
    json::object out;
    const auto is_hours = [](std::string_view w) { return w.size() == 11 && w[5] == '-' && is_clock(w.substr(0, 5)); };
    if (!parts.empty() && !is_hours(parts.front())) {
        out["days"] = json::string_view(parts.front().data(), parts.front().size());
        parts.erase(parts.begin());
    }
    if (parts.empty() || parts.size() > 2 || !is_hours(parts.front()) || !is_clock(parts.front().substr(6)))
        return wrong(fmt::format("--window '{}' is none; write [DAYS] HH:MM-HH:MM [ZONE], as 'mon-fri 20:00-06:00 "
                                 "Europe/Berlin'",
                                 quote_server_text(text, 100)));
    out["from"] = json::string_view(parts.front().data(), 5);
    out["to"] = json::string_view(parts.front().data() + 6, 5);
    if (parts.size() == 2) out["time_zone"] = json::string_view(parts[1].data(), parts[1].size());
    return out;
}

result<std::chrono::seconds> parse_span(std::string_view text, std::string_view option) {
    std::int64_t n = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
    const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
    const std::int64_t each = unit == "s"   ? 1
                              : unit == "m" ? 60
                              : unit == "h" ? 3'600
                              : unit == "d" ? 86'400
                              : unit == "w" ? 604'800
                                            : 0;
    constexpr std::int64_t longest = 3'650LL * 86'400;
    if (ec != std::errc() || each == 0 || n < 1 || n > longest / each)
        return wrong(
            fmt::format("{} takes a time such as 90s, 30m, 4h or 2d, not {}", option, quote_server_text(text, 100)));
    return std::chrono::seconds(n * each);
}

result<std::string> parse_moment(std::string_view text, std::string_view option) {
    if (text == "now") return moment_after(std::chrono::seconds(0));
    if (const auto ms = input::parse_rfc3339(text)) return input::rfc3339_of(*ms);
    if (const auto when = local_time(text)) return input::rfc3339_of(static_cast<std::int64_t>(*when) * 1'000);
    return wrong(fmt::format("{} takes a moment such as '2026-11-27 22:00' (here) or 2026-11-27T21:00:00Z, not {}",
                             option, quote_server_text(text, 100)));
}

std::string moment_after(std::chrono::seconds span) {
    return input::rfc3339_of((static_cast<std::int64_t>(std::time(nullptr)) + span.count()) * 1'000);
}

result<std::int64_t> parse_number(std::string_view text, std::string_view option, std::int64_t least,
                                  std::int64_t most) {
    std::int64_t n = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (ec != std::errc() || end != text.data() + text.size() || n < least || n > most)
        return wrong(
            fmt::format("{} takes a number from {} to {}, not {}", option, least, most, quote_server_text(text, 100)));
    return n;
}

} // namespace postferry::app

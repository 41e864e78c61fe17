// One value: its type, its range, and what people read about both.
#include "app/config_keys.hpp"
#include "app/config_put.hpp"
#include "app/option_checks.hpp"
#include "base/week.hpp"
#include "client/presets.hpp"
#include "mailbox/endpoint.hpp"
#include "net/http_post.hpp"

#include <boost/asio/ip/address.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

namespace postferry::app {

namespace {

constexpr std::size_t longest_text = 8192;

std::vector<std::string_view> words_of(std::string_view words) {
    std::vector<std::string_view> out;
    while (true) {
        const std::size_t bar = words.find('|');
        out.push_back(words.substr(0, bar));
        if (bar == std::string_view::npos) return out;
        words.remove_prefix(bar + 1);
    }
}

/// "3600" as "1h", for ranges.
std::string in_units(std::int64_t seconds) {
    constexpr std::array<std::pair<std::int64_t, char>, 3> units{{{86'400, 'd'}, {3600, 'h'}, {60, 'm'}}};
    for (const auto& [unit, letter] : units)
        if (seconds >= unit && seconds % unit == 0) return fmt::format("{}{}", seconds / unit, letter);
    return fmt::format("{}s", seconds);
}

std::string_view type_of(const config_value& value) noexcept {
    constexpr std::array<std::string_view, 5> names{"true or false", "a number", "a number with a fraction", "a text",
                                                    "a list"};
    return names[value.index()];
}

std::string trouble_of_text(const config_key& key, std::string_view text) {
    if (text.size() > longest_text) return fmt::format("is longer than {} octets", longest_text);
    if (text.find('\0') != std::string_view::npos) return "holds a NUL";
    return key.check != nullptr ? key.check(text) : std::string{};
}

/// "takes WHAT", and why this is none.
std::string takes(const config_key& key, std::string_view why = {}) {
    return fmt::format("takes {}{}{}", allowed_of(key), why.empty() ? "" : ": ", why);
}

std::string is_wrong_type(const config_key& key, const config_value& value) {
    return fmt::format("is {}, and takes {}", type_of(value), allowed_of(key));
}

std::string trouble_of_number(const config_key& key, const config_value& value) {
    const auto* n = std::get_if<std::int64_t>(&value);
    if (n == nullptr) return is_wrong_type(key, value);
    return *n < key.least || *n > key.most ? fmt::format("is {}, and takes {}", *n, allowed_of(key)) : std::string{};
}

std::string trouble_of_list(const config_key& key, const config_value& value) {
    const auto* list = std::get_if<std::vector<std::string>>(&value);
    if (list == nullptr) return is_wrong_type(key, value);
    for (std::size_t i = 0; i < list->size(); ++i)
        if (const std::string why = trouble_of_text(key, (*list)[i]); !why.empty())
            return takes(key, list->size() == 1 ? why : fmt::format("number {} {}", i + 1, why));
    return {};
}

std::string trouble_of_amount(const config_key& key, const config_value& value) {
    const bool fits = !std::holds_alternative<bool>(value) && value.index() != 4 &&
                      (key.kind == key_kind::rate || !std::holds_alternative<double>(value));
    if (!fits) return is_wrong_type(key, value);
    const std::string text = text_of(value);
    if (key.kind == key_kind::rate) return parse_rate(text) ? std::string{} : takes(key);
    if (parse_size(text).value_or(0) == 0) return takes(key);
    const auto meant = check_unit(text, key.name);
    return meant ? std::string{} : takes(key, meant.error().what);
}

std::string trouble_of_string(const config_key& key, const std::string& text) {
    switch (key.kind) {
    case key_kind::choice: return choice_of(key.allowed, text) ? std::string{} : takes(key);
    case key_kind::duration: {
        const auto time = parse_duration(text);
        return !time || time->count() < key.least || time->count() > key.most ? takes(key) : std::string{};
    }
    case key_kind::path: break; // "": none
    default:
        if (text.empty()) return takes(key, "it is empty");
    }
    const std::string why = trouble_of_text(key, text);
    return why.empty() ? why : takes(key, why);
}

template <class T> std::string message_of(const result<T>& answer) {
    return answer ? std::string{} : answer.error().message();
}

} // namespace

std::string text_of(const config_value& value) {
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
    if (const auto* n = std::get_if<std::int64_t>(&value)) return fmt::format("{}", *n);
    if (const auto* n = std::get_if<double>(&value)) return fmt::format("{:.9f}", *n);
    return {};
}

std::optional<std::size_t> choice_of(std::string_view words, std::string_view word) {
    const auto known = words_of(words);
    const auto found = std::ranges::find(known, word);
    if (found == known.end()) return std::nullopt;
    return static_cast<std::size_t>(found - known.begin());
}

std::string allowed_of(const config_key& key) {
    switch (key.kind) {
    case key_kind::flag: return "true or false";
    case key_kind::number: return fmt::format("a number from {} to {}", key.least, key.most);
    case key_kind::text: return key.allowed.empty() ? "a text" : std::string(key.allowed);
    case key_kind::choice: {
        const auto words = words_of(key.allowed);
        return fmt::format("{} or {}", fmt::join(words.begin(), words.end() - 1, ", "), words.back());
    }
    case key_kind::list: return fmt::format("a list of {}", key.allowed);
    case key_kind::size: return "a size such as \"25MB\" (10^6) or \"25MiB\" (2^20), or a number of octets";
    case key_kind::rate: return "a number a second such as 4 or 0.5";
    case key_kind::duration:
        return fmt::format("a time such as \"90s\", \"30m\", \"4h\" or \"2d\", from {} to {}", in_units(key.least),
                           in_units(key.most));
    case key_kind::path: return "the path of a file";
    case key_kind::secret: return "a text";
    case key_kind::secret_file: return "the path of a file with the secret in its first line";
    }
    return {};
}

std::string trouble_of(const config_key& key, const config_value& value) {
    switch (key.kind) {
    case key_kind::flag: return std::holds_alternative<bool>(value) ? std::string{} : is_wrong_type(key, value);
    case key_kind::number: return trouble_of_number(key, value);
    case key_kind::list: return trouble_of_list(key, value);
    case key_kind::size:
    case key_kind::rate: return trouble_of_amount(key, value);
    default: break;
    }
    const auto* text = std::get_if<std::string>(&value);
    return text == nullptr ? is_wrong_type(key, value) : trouble_of_string(key, *text);
}

bool sounds_secret(std::string_view key) noexcept {
    return key.ends_with("password") || key.ends_with("secret") || key.ends_with("token");
}

std::optional<std::chrono::seconds> parse_duration(std::string_view text) {
    if (text.size() < 2) return std::nullopt;
    const auto n = parse_u32(text.substr(0, text.size() - 1));
    if (!n) return std::nullopt;
    switch (text.back()) {
    case 's': return std::chrono::seconds(*n);
    case 'm': return std::chrono::minutes(*n);
    case 'h': return std::chrono::hours(*n);
    case 'd': return std::chrono::hours(std::int64_t{24} * *n);
    default: return std::nullopt;
    }
}

namespace check {

std::string address(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return "has no port";
    const auto port = parse_u32(text.substr(colon + 1));
    if (!port || *port > 65535) return "has a port that is no number from 0 to 65535";
    std::string_view host = text.substr(0, colon);
    if (host == "*" || host == "localhost") return {};
    const bool brackets = host.starts_with('[') && host.ends_with(']');
    if (brackets) host = host.substr(1, host.size() - 2);
    boost::system::error_code ec;
    const auto ip = boost::asio::ip::make_address(std::string(host), ec);
    if (ec) return "has no IP address before the port (nor localhost, nor *)";
    return ip.is_v6() == brackets ? std::string{} : "has an IPv6 address that is not in brackets";
}

std::string network(std::string_view text) {
    const std::size_t slash = text.find('/');
    boost::system::error_code ec;
    const auto ip = boost::asio::ip::make_address(std::string(text.substr(0, slash)), ec);
    if (ec) return "is no IP address";
    if (slash == std::string_view::npos) return {};
    const auto bits = parse_u32(text.substr(slash + 1));
    return bits && *bits <= (ip.is_v6() ? 128U : 32U) ? std::string{} : "has more bits after the / than there are";
}

std::string http_url(std::string_view text) { return message_of(net::parse_http_url(text)); }

std::string public_url(std::string_view text) {
    const std::size_t scheme = text.starts_with("https://") ? 8 : text.starts_with("http://") ? 7 : 0;
    if (scheme == 0) return "it begins with neither";
    const std::string_view rest = text.substr(scheme);
    for (const char c : rest)
        if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f || c == '"' || c == '<' ||
            c == '>')
            return "it holds a character that no URL has";
    if (rest.empty() || rest.starts_with('/')) return "it names no host";
    return rest.find_first_of("?#@") == std::string_view::npos ? std::string{} : "it holds a ?, # or @";
}

std::string mail_url(std::string_view text) { return message_of(mailbox::parse_endpoint(text)); }

std::string store_url(std::string_view text) {
    if (text.starts_with("sqlite:"))
        return text.substr(7).starts_with('/') ? std::string{} : "the path must begin with a /";
    std::string_view rest = text;
    for (const std::string_view scheme : {"postgresql://", "postgres://"})
        if (text.starts_with(scheme)) rest.remove_prefix(scheme.size());
    if (rest.size() == text.size()) return "it begins with neither";
    const std::size_t at = rest.find('@');
    const std::size_t colon = rest.find(':');
    if ((at != std::string_view::npos && colon < at) || rest.find("password=") != std::string_view::npos)
        return "a password does not belong in it; use password_file";
    return {};
}

std::string window(std::string_view text) { return parse_window(text) ? std::string{} : "is none"; }

std::string map_rule(std::string_view text) { return message_of(transfer::parse_map_rule(text)); }

std::string day(std::string_view text) { return parse_day(text) ? std::string{} : "there is no such day"; }

std::string repairs(std::string_view text) {
    if (message::parse_repairs(text)) return {};
    return fmt::format("known are {}", message::names_of(message::repair_set::all()));
}

std::string preset(std::string_view text) {
    for (const std::string_view side : {"source=", "target="})
        if (text.starts_with(side)) text.remove_prefix(side.size());
    return client::find_preset(text) != nullptr ? std::string{} : fmt::format("is none of {}", client::preset_names());
}

std::string not_empty(std::string_view text) { return text.empty() ? "is empty" : ""; }

} // namespace check

} // namespace postferry::app

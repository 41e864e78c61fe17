#include "protocol/pop3/response.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <limits>

namespace postferry::pop3 {

namespace {

constexpr std::size_t most_capabilities = 200;

bool is_space(char c) noexcept { return c == ' ' || c == '\t'; }

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

/// Takes the next word off the front.
std::string_view next_word(std::string_view& text) {
    text = trimmed(text);
    std::size_t n = 0;
    while (n < text.size() && !is_space(text[n])) ++n;
    const std::string_view word = text.substr(0, n);
    text.remove_prefix(n);
    return word;
}

/// "+OK" in front of something else, or alone.
bool takes_indicator(std::string_view& line, std::string_view indicator) {
    if (!istarts_with(line, indicator)) return false;
    const std::string_view rest = line.substr(indicator.size());
    if (!rest.empty() && !is_space(rest.front()) && rest.front() != '[') return false;
    line = trimmed(rest);
    return true;
}

std::optional<std::uint32_t> number_of(std::string_view word) {
    const auto n = parse_u64(word);
    if (!n || *n > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
    return static_cast<std::uint32_t>(*n);
}

} // namespace

std::optional<status_line> parse_status(std::string_view line) {
    status_line out;
    if (takes_indicator(line, "+OK"))
        out.ok = true;
    else if (!takes_indicator(line, "-ERR"))
        return std::nullopt;
    if (line.starts_with('[')) {
        const std::size_t close = line.find(']');
        // A code has no spaces (RFC 2449, section 8); "[192.0.2.1] ready" is text all the same, and harmless as a code.
        if (close != std::string_view::npos && line.substr(0, close).find(' ') == std::string_view::npos) {
            out.code = ascii_upper(line.substr(1, close - 1));
            line = trimmed(line.substr(close + 1));
        }
    }
    out.text = line;
    return out;
}

std::optional<listed_item> parse_listed(std::string_view line) {
    line = trimmed(line);
    (void)takes_indicator(line, "+OK");
    const auto number = number_of(next_word(line));
    if (!number || *number == 0) return std::nullopt;
    return listed_item{.number = *number, .value = trimmed(line)};
}

std::optional<maildrop_size> parse_stat(std::string_view text) {
    const auto messages = number_of(next_word(text));
    if (!messages) return std::nullopt;
    return maildrop_size{.messages = *messages, .octets = parse_u64(next_word(text))};
}

void capability_list::add(std::string_view line) {
    std::string text;
    for (std::string_view word = next_word(line); !word.empty(); word = next_word(line))
        text += (text.empty() ? "" : " ") + ascii_upper(word);
    if (!text.empty() && lines_.size() < most_capabilities) lines_.push_back(std::move(text));
}

bool capability_list::has(std::string_view name) const noexcept {
    return std::ranges::any_of(lines_, [&](std::string_view l) { return next_word(l) == name; });
}

std::vector<std::string> capability_list::arguments(std::string_view name) const {
    std::vector<std::string> out;
    for (std::string_view line : lines_) {
        if (next_word(line) != name) continue;
        for (std::string_view word = next_word(line); !word.empty(); word = next_word(line)) out.emplace_back(word);
    }
    return out;
}

} // namespace postferry::pop3

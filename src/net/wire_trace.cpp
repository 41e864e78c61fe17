#include "net/wire_trace.hpp"

#include "base/text.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>

namespace postferry::net {

namespace {

// With time, number and direction a line stays below 1 kB.
constexpr std::size_t text_limit = 960;
constexpr std::string_view hidden = "<secret>";

std::string_view next_word(std::string_view& rest) {
    const std::size_t begin = std::min(rest.find_first_not_of(" \t"), rest.size());
    rest.remove_prefix(begin);
    const std::string_view word = rest.substr(0, rest.find_first_of(" \t"));
    rest.remove_prefix(word.size());
    return word;
}

bool ends_in_literal(std::string_view line) {
    if (!line.ends_with('}')) return false;
    const std::size_t open = line.rfind('{');
    return open != std::string_view::npos && line.find_first_not_of("0123456789+-", open + 1) == line.size() - 1;
}

/// Calls `each` for every line of a text without its line end.
template <class F> void for_each_line(std::string_view text, F each) {
    for (;;) {
        const std::size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        each(line);
        if (end == std::string_view::npos || end + 1 == text.size()) return;
        text.remove_prefix(end + 1);
    }
}

enum class secrecy : std::uint8_t { none, rest, exchange };

secrecy secrecy_of(std::string_view verb) {
    if (iequals(verb, "LOGIN") || iequals(verb, "PASS") || iequals(verb, "APOP")) return secrecy::rest;
    if (iequals(verb, "AUTHENTICATE") || iequals(verb, "AUTH")) return secrecy::exchange;
    return secrecy::none;
}

// Final answers of protocols without tags: POP3, SMTP, ManageSieve. 334 is SMTP's "go on".
bool is_untagged_end(std::string_view line) {
    for (const std::string_view start : {"+OK", "-ERR", "OK", "NO", "BYE"})
        if (istarts_with(line, start)) return true;
    return line.size() >= 3 && (line[0] == '2' || line[0] == '4' || line[0] == '5') &&
           parse_u32(line.substr(0, 3)).has_value();
}

} // namespace

wire_trace::wire_trace(sink to, std::uint64_t connection_number, clock now)
    : to_(std::move(to)), number_(connection_number), now_(std::move(now)) {}

void wire_trace::emit(std::string_view who, std::string_view text) {
    const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(now_());
    const auto of_day = now.time_since_epoch() % std::chrono::days(1);
    to_(fmt::format("{:%T} #{} {}{}", std::chrono::duration_cast<std::chrono::milliseconds>(of_day), number_, who,
                    quote_server_text(text, text_limit)));
}

void wire_trace::command(std::string_view text) {
    if (to_) for_each_line(text, [this](std::string_view line) { one_command(line); });
}

void wire_trace::one_command(std::string_view line) {
    if (authenticating_ || hides_rest_) {
        hides_rest_ = hides_rest_ && ends_in_literal(line);
        return emit("C: ", hidden);
    }
    std::string_view rest = line;
    const std::string_view first = next_word(rest);
    std::string_view shown = line.substr(0, line.size() - rest.size());
    secrecy s = secrecy_of(first);
    const bool tagged = s == secrecy::none;
    if (tagged) {
        s = secrecy_of(next_word(rest));
        shown = line.substr(0, line.size() - rest.size());
    }
    if (s == secrecy::none) return emit("C: ", line);
    if (s == secrecy::exchange) {
        authenticating_ = true;
        tag_ = tagged ? first : std::string_view();
        next_word(rest); // the mechanism's name
        shown = line.substr(0, line.size() - rest.size());
    }
    hides_rest_ = ends_in_literal(line);
    const bool more = rest.find_first_not_of(" \t") != std::string_view::npos;
    emit("C: ", more ? fmt::format("{} {}", shown, hidden) : std::string(shown));
}

void wire_trace::secret_line(direction way) {
    if (to_) emit(way == direction::sent ? "C: " : "S: ", hidden);
}

void wire_trace::server_line(std::string_view text) {
    if (to_) for_each_line(text, [this](std::string_view line) { one_server_line(line); });
}

void wire_trace::one_server_line(std::string_view line) {
    if (!authenticating_) return emit("S: ", line);
    if (!tag_.empty()) {
        std::string_view rest = line;
        const std::string_view first = next_word(rest);
        if (first == tag_)
            authenticating_ = false;
        else if (first != "*")
            return emit("S: ", first == "+" ? fmt::format("+ {}", hidden) : std::string(hidden));
        return emit("S: ", line);
    }
    if (!is_untagged_end(line)) return emit("S: ", hidden);
    authenticating_ = false;
    emit("S: ", line);
}

void wire_trace::literal(std::uint64_t octets, direction way) {
    if (to_) emit(way == direction::sent ? "C: " : "S: ", fmt::format("<literal of {} octets>", octets));
}

void wire_trace::note(std::string_view text) {
    if (to_) emit("-- ", text);
}

} // namespace postferry::net

#include "protocol/smtp/reply_parser.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace postferry::smtp {

namespace {

constexpr std::size_t longest_line = 8'192, most_lines = 200, most_octets = 65'536;

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// 1*3DIGIT at the front of `text`, taken off.
std::optional<std::uint16_t> take_number(std::string_view& text) noexcept {
    std::size_t n = 0;
    while (n < text.size() && n < 3 && is_digit(text[n])) ++n;
    const auto value = parse_u32(text.substr(0, n));
    if (!value) return std::nullopt;
    text.remove_prefix(n);
    return static_cast<std::uint16_t>(*value);
}

bool take(std::string_view& text, char c) noexcept {
    if (!text.starts_with(c)) return false;
    text.remove_prefix(1);
    return true;
}

/// status-code = class "." subject "." detail (RFC 3463), with what follows it; taken off. Its class is the code's.
std::optional<enhanced_status> take_enhanced(std::string_view& text, std::uint16_t code) noexcept {
    std::string_view rest = text;
    const auto kind = take_number(rest);
    if (!kind || *kind != code / 100 || !take(rest, '.')) return std::nullopt;
    const auto subject = take_number(rest);
    if (!subject || !take(rest, '.')) return std::nullopt;
    const auto detail = take_number(rest);
    if (!detail || (!rest.empty() && !take(rest, ' '))) return std::nullopt;
    text = rest;
    return enhanced_status{.kind = *kind, .subject = *subject, .detail = *detail};
}

} // namespace

std::string reply::text() const {
    std::string out = fmt::format("{}", code);
    if (enhanced) out += fmt::format(" {}.{}.{}", enhanced->kind, enhanced->subject, enhanced->detail);
    for (std::size_t i = 0; i < lines.size(); ++i)
        if (!lines[i].empty()) (out += i == 0 ? " " : " / ") += lines[i];
    return out;
}

void reply_parser::feed(std::string_view octets) {
    if (broken_) return;
    if (at_ > 0) {
        buffer_.erase(0, at_);
        seen_ -= at_;
        at_ = 0;
    }
    buffer_ += octets;
}

reply_parser::event reply_parser::fail(std::string what, std::string_view said) {
    broken_ = true;
    why_ = {.what = std::move(what), .said = std::string(said.substr(0, 400))};
    buffer_.clear();
    at_ = seen_ = 0;
    return why_;
}

reply_parser::event reply_parser::next() {
    if (broken_) return why_;
    while (true) {
        const std::size_t lf = buffer_.find('\n', std::max(seen_, at_));
        const std::size_t end = std::min(lf, buffer_.size());
        if (end - at_ > longest_line)
            return fail("a line of its reply does not end", std::string_view(buffer_).substr(at_));
        if (lf == std::string::npos) {
            seen_ = buffer_.size();
            return need_more{};
        }
        std::string_view line = std::string_view(buffer_).substr(at_, lf - at_);
        if (line.ends_with('\r')) line.remove_suffix(1);
        octets_ += line.size();
        const std::string_view whole = line;
        const auto code = line.size() >= 3 && is_digit(line[2]) ? take_number(line) : std::nullopt;
        const bool more = line.starts_with('-');
        if (!code || *code < 200 || *code > 599 || (!line.empty() && !more && line.front() != ' '))
            return fail("its reply has no code", whole);
        if (!current_.lines.empty() && *code != current_.code) return fail("its reply changes its code", whole);
        if (!line.empty()) line.remove_prefix(1);
        const auto enhanced = take_enhanced(line, *code);
        if (current_.lines.empty()) current_.enhanced = enhanced;
        current_.code = *code;
        current_.lines.emplace_back(line);
        at_ = seen_ = lf + 1;
        if (current_.lines.size() > most_lines || octets_ > most_octets) return fail("its reply does not end", whole);
        if (more) continue;
        octets_ = 0;
        return std::exchange(current_, {});
    }
}

} // namespace postferry::smtp

#include "app/words.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace postferry::app {

namespace {

struct glyph {
    std::size_t octets = 1;
    std::size_t columns = 1;
    bool printable = true;
};

struct range {
    char32_t first, last;
};

char32_t code_point(std::string_view text, std::size_t octets) noexcept {
    const auto at = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[i])); };
    if (octets == 1) return at(0);
    char32_t code = at(0) & (0xffU >> (octets + 1));
    for (std::size_t i = 1; i < octets; ++i) code = (code << 6U) | (at(i) & 0x3fU);
    return code;
}

/// Combining marks, joiners and variation selectors; then what Unicode's EastAsianWidth calls wide, in blocks.
constexpr std::array<range, 9> zero_width{{{0x300, 0x36f},
                                           {0x483, 0x489},
                                           {0x591, 0x5bd},
                                           {0x610, 0x61a},
                                           {0x64b, 0x65f},
                                           {0x200b, 0x200f},
                                           {0x20d0, 0x20f0},
                                           {0xfe00, 0xfe0f},
                                           {0xfe20, 0xfe2f}}};
constexpr std::array<range, 9> double_width{{{0x1100, 0x115f},
                                             {0x2e80, 0x303e},
                                             {0x3041, 0xa4cf},
                                             {0xac00, 0xd7a3},
                                             {0xf900, 0xfaff},
                                             {0xfe30, 0xfe6f},
                                             {0xff01, 0xff60},
                                             {0x1f300, 0x1faff},
                                             {0x20000, 0x3fffd}}};

template <std::size_t N> bool within(const std::array<range, N>& ranges, char32_t c) noexcept {
    for (const range& r : ranges)
        if (c >= r.first && c <= r.last) return true;
    return false;
}

glyph front_of(std::string_view text) noexcept {
    const std::size_t n = utf8_sequence_length(text);
    if (n == 0) return {.octets = 1, .columns = 1, .printable = false};
    const char32_t c = code_point(text, n);
    if (c < 0x20 || (c >= 0x7f && c < 0xa0)) return {.octets = n, .columns = 1, .printable = false};
    if (within(zero_width, c)) return {.octets = n, .columns = 0};
    return {.octets = n, .columns = within(double_width, c) ? 2U : 1U};
}

} // namespace

std::string duration_text(double seconds) {
    if (seconds < 9.95) return fmt::format("{:.1f} s", seconds < 0 ? 0 : seconds);
    const auto s = static_cast<std::uint64_t>(seconds + 0.5);
    if (s < 60) return fmt::format("{} s", s);
    if (s < 3600) return fmt::format("{} min {:02} s", s / 60, s % 60);
    if (s < 24 * 3600) return fmt::format("{} h {:02} min", s / 3600, s / 60 % 60);
    return fmt::format("{} d {:02} h", s / 86400, s / 3600 % 24);
}

std::string readable_name(std::string_view url) {
    const std::size_t scheme = url.find("://");
    const std::string_view rest = scheme == std::string_view::npos ? url : url.substr(scheme + 3);
    std::string out;
    for (std::size_t i = 0; i < rest.size(); ++i) {
        unsigned char octet = 0;
        const char* const digits = rest.data() + i + 1;
        if (rest[i] == '%' && rest.size() - i > 2 && std::from_chars(digits, digits + 2, octet, 16).ptr == digits + 2) {
            if (octet < 0x20 || octet == 0x7f) return std::string(rest);
            out += static_cast<char>(octet);
            i += 2;
        } else {
            out += rest[i];
        }
    }
    return is_utf8(out) ? out : std::string(rest);
}

std::size_t display_width(std::string_view text) noexcept {
    std::size_t columns = 0;
    while (!text.empty()) {
        const glyph g = front_of(text);
        columns += g.columns;
        text.remove_prefix(g.octets);
    }
    return columns;
}

std::string fitted(std::string_view text, std::size_t width, bool pad) {
    const bool cut = display_width(text) > width;
    const std::size_t room = cut && width > 0 ? width - 1 : width;
    std::string out;
    std::size_t columns = 0;
    while (!text.empty()) {
        const glyph g = front_of(text);
        if (columns + g.columns > room) break;
        out += g.printable ? text.substr(0, g.octets) : std::string_view("?");
        columns += g.columns;
        text.remove_prefix(g.octets);
    }
    if (cut && width > 0) {
        out += "…";
        ++columns;
    }
    if (pad && columns < width) out.append(width - columns, ' ');
    return out;
}

} // namespace postferry::app

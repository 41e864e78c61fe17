#include "base/text.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

namespace postferry {

std::string ascii_lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = ascii_lower(c);
    return out;
}

std::string ascii_upper(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = ascii_upper(c);
    return out;
}

bool iequals(std::string_view a, std::string_view b) noexcept { return a.size() == b.size() && istarts_with(a, b); }

bool istarts_with(std::string_view text, std::string_view prefix) noexcept {
    if (text.size() < prefix.size()) return false;
    for (std::size_t i = 0; i < prefix.size(); ++i)
        if (ascii_lower(text[i]) != ascii_lower(prefix[i])) return false;
    return true;
}

std::size_t utf8_sequence_length(std::string_view text) noexcept {
    if (text.empty()) return 0;
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto trail = [&](std::size_t i) { return i < text.size() && (at(i) & 0xc0) == 0x80; };
    const unsigned char c = at(0);
    if (c < 0x80) return 1;
    if (c >= 0xc2 && c <= 0xdf) return trail(1) ? 2 : 0;
    if (c >= 0xe0 && c <= 0xef) {
        if (!trail(1) || !trail(2)) return 0;
        if (c == 0xe0 && at(1) < 0xa0) return 0; // overlong
        if (c == 0xed && at(1) > 0x9f) return 0; // surrogate
        return 3;
    }
    if (c >= 0xf0 && c <= 0xf4) {
        if (!trail(1) || !trail(2) || !trail(3)) return 0;
        if (c == 0xf0 && at(1) < 0x90) return 0;
        if (c == 0xf4 && at(1) > 0x8f) return 0; // above U+10FFFF
        return 4;
    }
    return 0;
}

bool is_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        const std::size_t n = utf8_sequence_length(text);
        if (n == 0) return false;
        text.remove_prefix(n);
    }
    return true;
}

namespace {

template <class T> std::optional<T> parse_number(std::string_view text) noexcept {
    T value{};
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return value;
}

} // namespace

std::optional<std::uint64_t> parse_u64(std::string_view text) noexcept { return parse_number<std::uint64_t>(text); }

std::optional<std::uint32_t> parse_u32(std::string_view text) noexcept { return parse_number<std::uint32_t>(text); }

std::optional<std::uint64_t> parse_size(std::string_view text) noexcept {
    const std::size_t digits = text.find_first_not_of("0123456789.");
    const std::string_view number = text.substr(0, digits);
    std::string_view unit = digits == std::string_view::npos ? std::string_view{} : text.substr(digits);
    while (unit.starts_with(' ')) unit.remove_prefix(1);
    struct scale {
        std::string_view name;
        double factor;
    };
    static constexpr std::array<scale, 14> scales{{{"", 1},
                                                   {"B", 1},
                                                   {"k", 1e3},
                                                   {"kB", 1e3},
                                                   {"KiB", 0x1p10},
                                                   {"M", 1e6},
                                                   {"MB", 1e6},
                                                   {"MiB", 0x1p20},
                                                   {"G", 1e9},
                                                   {"GB", 1e9},
                                                   {"GiB", 0x1p30},
                                                   {"T", 1e12},
                                                   {"TB", 1e12},
                                                   {"TiB", 0x1p40}}};
    double value = 0;
    const auto [end, ec] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (number.empty() || ec != std::errc{} || end != number.data() + number.size()) return std::nullopt;
    for (const scale& s : scales) {
        if (!iequals(unit, s.name)) continue;
        const double octets = std::round(value * s.factor);
        if (octets >= 0x1p63) return std::nullopt;
        return static_cast<std::uint64_t>(octets);
    }
    return std::nullopt;
}

std::string format_size(std::uint64_t octets) {
    static constexpr std::array<std::string_view, 5> units{"B", "kB", "MB", "GB", "TB"};
    if (octets < 1000) return fmt::format("{} B", octets);
    double value = static_cast<double>(octets);
    std::size_t unit = 0;
    while (value >= 999.5 && unit + 1 < units.size()) {
        value /= 1000;
        ++unit;
    }
    return value < 9.95 ? fmt::format("{:.1f} {}", value, units[unit]) : fmt::format("{:.0f} {}", value, units[unit]);
}

} // namespace postferry

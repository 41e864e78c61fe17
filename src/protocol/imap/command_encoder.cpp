#include "protocol/imap/command_encoder.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postferry::imap {

namespace {

constexpr std::size_t max_quoted = 1000;
constexpr std::size_t max_literal_minus = 4096; // RFC 7888, section 5

constexpr bool is_atom_char(char c) noexcept {
    return c > 0x20 && c < 0x7f && std::string_view("(){%*\"\\]").find(c) == std::string_view::npos;
}

bool quotable(std::string_view value) noexcept {
    return value.size() <= max_quoted && std::ranges::all_of(value, [](char c) {
               return c != '\0' && c != '\r' && c != '\n' && static_cast<unsigned char>(c) < 0x80;
           });
}

constexpr std::array<std::string_view, 5> system_flags{"\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"};

} // namespace

command_encoder& command_encoder::raw(std::string_view text) {
    pieces_.back() += text;
    return *this;
}

command_encoder& command_encoder::astring(std::string_view value) {
    // NIL is an astring by the grammar; servers that look for nstring everywhere take it for nothing.
    const bool atom = !value.empty() && value.size() <= max_quoted && !iequals(value, "NIL") &&
                      std::ranges::all_of(value, [](char c) { return is_atom_char(c) || c == ']'; });
    return atom ? raw(value) : string(value);
}

command_encoder& command_encoder::string(std::string_view value) {
    if (!quotable(value)) {
        literal(value);
        return *this;
    }
    std::string& piece = pieces_.back();
    piece += '"';
    for (const char c : value) {
        if (c == '"' || c == '\\') piece += '\\';
        piece += c;
    }
    piece += '"';
    return *this;
}

void command_encoder::literal(std::string_view value) {
    if (value.find('\0') != std::string_view::npos) {
        valid_ = false;
        return;
    }
    const bool wait =
        mode_ == literal_mode::synchronising || (mode_ == literal_mode::minus && value.size() > max_literal_minus);
    pieces_.back() += fmt::format("{{{}{}}}\r\n", value.size(), wait ? "" : "+");
    if (wait) pieces_.emplace_back();
    pieces_.back() += value;
}

bool is_writable_flag(std::string_view flag) noexcept {
    if (flag.starts_with('\\'))
        return std::ranges::any_of(system_flags, [&](std::string_view f) { return iequals(f, flag); });
    return !flag.empty() && flag.size() <= 255 && std::ranges::all_of(flag, is_atom_char);
}

std::string canonical_flag(std::string_view flag) {
    const auto known = std::ranges::find_if(system_flags, [&](std::string_view f) { return iequals(f, flag); });
    return std::string(known == system_flags.end() ? flag : *known);
}

} // namespace postferry::imap

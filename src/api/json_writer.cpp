#include "api/json_writer.hpp"

#include "input/fields.hpp"

namespace postferry::api {

namespace {

constexpr bool is_plain(char c) noexcept { return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\'; }

/// RFC 8259, section 7.
void escape(char c, std::string& to) {
    constexpr std::string_view hex = "0123456789abcdef";
    to += '\\';
    switch (c) {
    case '\b': to += 'b'; return;
    case '\f': to += 'f'; return;
    case '\n': to += 'n'; return;
    case '\r': to += 'r'; return;
    case '\t': to += 't'; return;
    case '"':
    case '\\': to += c; return;
    default: break;
    }
    to += "u00";
    to += hex[static_cast<unsigned char>(c) >> 4U];
    to += hex[static_cast<unsigned char>(c) & 0xfU];
}

} // namespace

void json_writer::quoted(std::string_view text) {
    to_ += '"';
    while (!text.empty()) {
        std::size_t plain = 0;
        while (plain < text.size() && is_plain(text[plain])) ++plain;
        to_ += text.substr(0, plain);
        if (plain == text.size()) break;
        escape(text[plain], to_);
        text.remove_prefix(plain + 1);
    }
    to_ += '"';
}

void json_writer::put_moment(std::string_view name, std::int64_t ms) { put(name, input::rfc3339_of(ms)); }

} // namespace postferry::api

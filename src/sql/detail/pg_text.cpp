#include "sql/detail/pg_text.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace postferry::sql::detail {

namespace {

// U+10FF00 .. U+10FFFF in UTF-8: F4 8F [BC-BF] [80-BF].
constexpr std::string_view spelled_start = "\xf4\x8f";

bool spelled_at(std::string_view text) noexcept {
    return text.size() >= 4 && text.starts_with(spelled_start) && static_cast<std::uint8_t>(text[2]) >= 0xbc;
}

void spell(char octet, std::string& to) {
    const auto value = static_cast<std::uint8_t>(octet);
    to += spelled_start;
    to += static_cast<char>(0xbc + (value >> 6U));
    to += static_cast<char>(0x80 + (value & 0x3fU));
}

int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

} // namespace

std::string to_pg_text(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const std::size_t length = utf8_sequence_length(text);
        if (length == 0 || text.front() == '\0')
            spell(text.front(), out), text.remove_prefix(1);
        else if (spelled_at(text))
            for (int i = 0; i < 4; ++i) spell(text.front(), out), text.remove_prefix(1);
        else
            out += text.substr(0, length), text.remove_prefix(length);
    }
    return out;
}

bool is_spelled(std::string_view pg_text) noexcept {
    for (auto at = pg_text.find(spelled_start); at != std::string_view::npos; at = pg_text.find(spelled_start, at + 1))
        if (spelled_at(pg_text.substr(at))) return true;
    return false;
}

std::string from_pg_text(std::string_view pg_text) {
    std::string out;
    out.reserve(pg_text.size());
    while (!pg_text.empty()) {
        if (spelled_at(pg_text)) {
            const unsigned high = static_cast<std::uint8_t>(pg_text[2]) - 0xbcU;
            out += static_cast<char>(high << 6U | (static_cast<std::uint8_t>(pg_text[3]) & 0x3fU));
            pg_text.remove_prefix(4);
        } else {
            out += pg_text.front();
            pg_text.remove_prefix(1);
        }
    }
    return out;
}

std::vector<std::uint8_t> from_bytea(std::string_view hex) {
    std::vector<std::uint8_t> out;
    if (!hex.starts_with("\\x") || hex.size() % 2 != 0) {
        out.assign(hex.begin(), hex.end());
        return out;
    }
    out.reserve(hex.size() / 2 - 1);
    for (std::size_t i = 2; i < hex.size(); i += 2)
        out.push_back(static_cast<std::uint8_t>(hex_value(hex[i]) << 4 | hex_value(hex[i + 1])));
    return out;
}

std::int64_t to_integer(std::string_view text) noexcept {
    if (text == "t") return 1;
    std::int64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

trouble trouble_of_state(std::string_view sqlstate) noexcept {
    struct meaning {
        std::string_view prefix; // a class, or a whole state; the first that matches
        trouble kind;
    };
    static constexpr auto meanings = std::to_array<meaning>({
        {.prefix = "08", .kind = trouble::gone},
        {.prefix = "57P04", .kind = trouble::no_access}, // database_dropped
        {.prefix = "57P", .kind = trouble::gone},        // shut down, crashed, starting up
        {.prefix = "57014", .kind = trouble::busy},      // query_canceled: by statement_timeout
        {.prefix = "25P03", .kind = trouble::gone},      // idle_in_transaction_session_timeout
        {.prefix = "25006", .kind = trouble::read_only},
        {.prefix = "53100", .kind = trouble::full},
        {.prefix = "53300", .kind = trouble::busy}, // too_many_connections
        {.prefix = "55P03", .kind = trouble::busy}, // lock_not_available
        {.prefix = "55006", .kind = trouble::busy}, // object_in_use
        {.prefix = "40", .kind = trouble::busy},    // serialization_failure, deadlock_detected
        {.prefix = "22", .kind = trouble::constraint},
        {.prefix = "23", .kind = trouble::constraint},
        {.prefix = "28", .kind = trouble::no_access},
        {.prefix = "42501", .kind = trouble::no_access}, // insufficient_privilege
        {.prefix = "3D", .kind = trouble::no_access},    // no such database
        {.prefix = "3F", .kind = trouble::no_access},    // no such schema
        {.prefix = "58", .kind = trouble::io},
        {.prefix = "XX001", .kind = trouble::damaged},
        {.prefix = "XX002", .kind = trouble::damaged},
    });
    const auto* found =
        std::ranges::find_if(meanings, [&](const meaning& m) { return sqlstate.starts_with(m.prefix); });
    return found == meanings.end() ? trouble::other : found->kind;
}

} // namespace postferry::sql::detail

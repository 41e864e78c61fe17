#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postferry {

/// ASCII only, whatever the locale: protocols compare so (RFC 5234).
[[nodiscard]] constexpr char ascii_lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
[[nodiscard]] constexpr char ascii_upper(char c) noexcept {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}
[[nodiscard]] std::string ascii_lower(std::string_view text);
[[nodiscard]] std::string ascii_upper(std::string_view text);
[[nodiscard]] bool iequals(std::string_view a, std::string_view b) noexcept;
[[nodiscard]] bool istarts_with(std::string_view text, std::string_view prefix) noexcept;

/// Octets of the well-formed UTF-8 sequence at the front of `text` (RFC 3629: no overlongs, no surrogates), 0 if there
/// is none.
[[nodiscard]] std::size_t utf8_sequence_length(std::string_view text) noexcept;
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

/// The whole of `text` as a decimal number; nothing on an empty text, other characters or overflow.
[[nodiscard]] std::optional<std::uint64_t> parse_u64(std::string_view text) noexcept;
[[nodiscard]] std::optional<std::uint32_t> parse_u32(std::string_view text) noexcept;

/// "1500", "25 MB" (10^6), "25MiB" (2^20), "1.5 GB"; case does not matter. Octets; nothing when it is no size.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text) noexcept;
/// 145 MB, 2.4 kB, 17 B: three digits at most, decimal units.
[[nodiscard]] std::string format_size(std::uint64_t octets);

} // namespace postferry

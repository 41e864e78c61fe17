#pragma once
// Values on their way to PostgreSQL and back. Its text is UTF-8 without NUL; ours is whatever a mail server said.
#include "sql/connection.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::sql::detail {

/// An octet that cannot stand in PostgreSQL's text becomes the character U+10FF00 + octet of the last private plane,
/// and so do the octets of such a character itself: one text, one spelling, and back again octet for octet.
[[nodiscard]] std::string to_pg_text(std::string_view text);
/// false: the text stands for itself, as nearly all do.
[[nodiscard]] bool is_spelled(std::string_view pg_text) noexcept;
[[nodiscard]] std::string from_pg_text(std::string_view pg_text);

/// "\x00ff" (bytea_output = hex); what is not of that form counts as its own octets.
[[nodiscard]] std::vector<std::uint8_t> from_bytea(std::string_view hex);
/// "12", "-3", "t"/"f"; a fraction is cut off; anything else is 0.
[[nodiscard]] std::int64_t to_integer(std::string_view text) noexcept;

/// What an SQLSTATE means here (https://www.postgresql.org/docs/15/errcodes-appendix.html).
[[nodiscard]] trouble trouble_of_state(std::string_view sqlstate) noexcept;

} // namespace postferry::sql::detail

#pragma once
// How numbers and names are written for people.
#include "base/words.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace postferry::app {

using postferry::counted;
using postferry::grouped;
[[nodiscard]] std::string duration_text(double seconds); ///< "0.4 s", "12 s", "3 min 05 s", "2 h 10 min", "3 d 04 h"

/// The name of a mailbox as its owner writes it: "müller@example.org@old" for "imaps://m%C3%BCller%40example.org@old".
/// For eyes and for what people type, not for the ledger. What would be no readable UTF-8 stays as it is.
[[nodiscard]] std::string readable_name(std::string_view url);

/// Columns that UTF-8 text takes on a terminal: 2 for East Asian wide characters and most emoji, 0 for combining
/// marks. Good enough for tables; terminals differ in the rest. Octets that are no UTF-8 and control characters
/// count 1.
[[nodiscard]] std::size_t display_width(std::string_view text) noexcept;
/// At most `width` columns, cut with "…" where needed, control characters made "?"; padded with spaces to `width` when
/// `pad`.
[[nodiscard]] std::string fitted(std::string_view text, std::size_t width, bool pad = true);

} // namespace postferry::app

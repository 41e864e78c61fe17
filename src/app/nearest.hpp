#pragma once
#include <span>
#include <string_view>

namespace postferry::app {

/// The word that was probably meant: the one with the fewest letters typed wrongly, left out, put in or swapped, if
/// they are few enough for its length; else empty.
[[nodiscard]] std::string_view nearest_word(std::string_view typed, std::span<const std::string_view> known);

} // namespace postferry::app

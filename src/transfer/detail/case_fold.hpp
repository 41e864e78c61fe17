#pragma once
#include <string>
#include <string_view>

namespace postferry::transfer::detail {

/// `text` in lower case: ASCII, Latin-1, Latin Extended-A, Greek and Cyrillic, the scripts in which servers and people
/// name folders and that have case at all (one to one, as Unicode's simple case folding does). Everything else, and
/// octets that are no UTF-8, stay.
[[nodiscard]] std::string case_folded(std::string_view text);

} // namespace postferry::transfer::detail

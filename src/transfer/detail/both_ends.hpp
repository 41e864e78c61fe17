#pragma once
#include "base/error.hpp"

namespace postferry::transfer {

/// One error for two ends that have failed: the class of the one that somebody must mend, which goes before a pause
/// that needs no hand, and the longer pause. What needs no hand is named after it, in short; advice that both have,
/// once.
[[nodiscard]] error of_both_ends(const error& source, const error& target);

} // namespace postferry::transfer

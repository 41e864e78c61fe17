#pragma once
// Pure rules: which repair may cure a refusal. Tried only after one, cheapest first (docs/report.md#repairs).
#include "base/error.hpp"
#include "message/repair.hpp"

#include <optional>
#include <string>
#include <vector>

namespace postferry::transfer {

/// Whether another form of the message might be taken. Not where the server dislikes its size, its flags, who sent it
/// or what it carries; or speaks of the folder or the account.
[[nodiscard]] bool may_be_cured(const error& refusal);
/// The repairs that the server's words point to; none where they tell nothing.
[[nodiscard]] message::repair_set hinted_by(const error& refusal);

/// A message that the target refused, alone and as it is.
struct refusal_history {
    error first;                            ///< to the message as it is
    std::vector<error> later;               ///< to each of `tried`
    std::vector<message::repair_set> tried; ///< in vain
};

/// What to try next: what the last words point to, together with what has just changed them; then each by itself, where
/// nothing is pointed to; at last all that apply. Nothing when there is no more to try.
[[nodiscard]] std::optional<message::repair_set> next_repair(const refusal_history& history,
                                                             message::repair_set applicable);

/// The first words, and what was tried.
[[nodiscard]] error incurable(const refusal_history& history);

} // namespace postferry::transfer

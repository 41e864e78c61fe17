#pragma once
#include "transfer/folder_rules.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace postferry::transfer::detail {

/// A name as the target can hold it; the substitutions are those that map_folders documents.
struct target_name {
    std::string name;
    std::vector<std::string> notes; ///< each substitution once, for people
    std::string impossible;         ///< why there is no such name; else empty
};

/// `name` with "INBOX" for a first level that is INBOX in any case.
[[nodiscard]] std::string with_canonical_inbox(std::string_view name);

[[nodiscard]] target_name name_for_target(std::string_view name, const target_naming& naming);

} // namespace postferry::transfer::detail

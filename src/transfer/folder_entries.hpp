#pragma once
// From what a place lists to what the rules of folder_rules.hpp work on.
#include "mailbox/mailbox.hpp"
#include "transfer/folder_rules.hpp"

#include <vector>

namespace postferry::transfer {

[[nodiscard]] std::vector<folder_entry> entries_of(const mailbox::listing& list);
/// What the place that listed so can do with names.
[[nodiscard]] target_naming naming_of(const mailbox::listing& list);

} // namespace postferry::transfer

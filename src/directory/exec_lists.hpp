#pragma once
// What the commands of the driver `exec` print as lists.
#include "directory/provisioner.hpp"

#include <string_view>

namespace postferry::directory {

/// address [TAB name [TAB quota [TAB 1 or 0]]], quota in octets; nothing behind a TAB: not known. Class protocol: the
/// line is anything else, or not UTF-8.
[[nodiscard]] result<account_entry> parse_account_line(std::string_view line);
/// address TAB target{,target} [TAB 1 or 0]
[[nodiscard]] result<alias_entry> parse_alias_line(std::string_view line);

} // namespace postferry::directory

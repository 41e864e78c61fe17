#pragma once
// TOML 1.0 to a flat list. toml++ is behind this.
#include "app/config.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::app {

/// A key with its value, or a table by itself.
struct toml_entry {
    std::vector<std::string> path;     ///< "oauth", "work", "client_id"; 1 to 8 parts
    std::optional<config_value> value; ///< nothing: a table, or what no key takes
    std::string type;                  ///< then: "a table", "a date", "a list of other things than texts"
    config_place key_at, value_at;

    [[nodiscard]] bool is_table() const noexcept { return type == "a table"; }
};

/// In the order of the text. Not more than 1 MiB, 32 dots a line outside of texts and comments, 8 levels of lists.
/// @param never_repeat_line whether what stands in a line may be a secret, and is not to be repeated in a fault
[[nodiscard]] std::expected<std::vector<toml_entry>, config_fault>
read_toml(std::string_view text, bool (*never_repeat_line)(std::string_view line));

} // namespace postferry::app

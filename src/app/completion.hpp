#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace postferry::app {

/// A script that teaches the shell ("bash", "zsh" or "fish") the commands and options; nothing for other shells.
[[nodiscard]] std::optional<std::string> completion_for(std::string_view shell);

} // namespace postferry::app

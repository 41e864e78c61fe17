#pragma once
#include "app/options.hpp"

#include <span>
#include <string_view>

namespace postferry::app {

/// `postferry config example`, `postferry config check [-c FILE]`.
/// @param arguments without "config"
[[nodiscard]] command_line config_command(std::span<const char* const> arguments, const config_finder& find);

} // namespace postferry::app

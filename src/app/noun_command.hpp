#pragma once
#include <span>
#include <string_view>

namespace postferry::app {

/// `postferry batch start spring-move` and all else over the service's API (noun_table.hpp). Answers the exit code.
/// @param arguments from the noun on
[[nodiscard]] int noun_command(std::span<const char* const> arguments);

} // namespace postferry::app

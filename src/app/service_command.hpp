#pragma once
#include <span>

namespace postferry::app {

/// `postferry serve`, `postferry worker`: what stands behind the word. Answers the exit code.
[[nodiscard]] int service_command(bool serves, std::span<const char* const> arguments);

} // namespace postferry::app

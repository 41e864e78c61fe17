#pragma once
// The words of --help. Kept apart from the parser: they are read by people and change for other reasons.
#include "app/options.hpp"

#include <string_view>

namespace postferry::app {

[[nodiscard]] std::string_view summary_of(command c) noexcept;     ///< one line
[[nodiscard]] std::string_view usage_of(command c) noexcept;       ///< "postferry copy SOURCE TARGET [options]"
[[nodiscard]] std::string_view explanation_of(command c) noexcept; ///< two or three lines above the options
[[nodiscard]] std::string_view examples_of(command c) noexcept;    ///< below the options
[[nodiscard]] std::string_view main_footer() noexcept;             ///< endpoints, exit codes, first steps

} // namespace postferry::app

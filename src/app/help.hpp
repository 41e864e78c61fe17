#pragma once
// The words of --help. Kept apart from the parser: they are read by people and change for other reasons.
#include "app/options.hpp"

#include <span>
#include <string>
#include <string_view>

namespace postferry::app {

[[nodiscard]] std::string_view summary_of(command c) noexcept;     ///< one line
[[nodiscard]] std::string_view usage_of(command c) noexcept;       ///< "postferry copy SOURCE TARGET [options]"
[[nodiscard]] std::string_view explanation_of(command c) noexcept; ///< two or three lines above the options
[[nodiscard]] std::string_view examples_of(command c) noexcept;    ///< below the options
[[nodiscard]] std::string_view endpoints_text() noexcept;          ///< how mailboxes are named, and passwords given
[[nodiscard]] std::string main_footer();                           ///< first steps, endpoints, exit codes

struct exit_meaning {
    std::string_view code, text;
};
[[nodiscard]] std::span<const exit_meaning> exit_meanings() noexcept;

} // namespace postferry::app

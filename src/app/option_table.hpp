#pragma once
// The options of each command, once: for the parser and --help, for completion and for the manual.
#include "app/option_checks.hpp"

#include <CLI/CLI.hpp>

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::app {

inline constexpr std::array<command, 6> commands{command::copy,  command::migrate, command::plan,
                                                 command::check, command::verify,  command::report};

/// Gives `app` the options of `c`; what is typed ends in `raw`, which must outlive it.
void add_options(CLI::App& app, command c, raw_options& raw);

struct option_entry {
    std::string name;  ///< "--state", "-v"
    std::string value; ///< what stands behind it, as "FILE"; empty for a flag
    std::string text;
    std::string group; ///< "The run"
};
/// In the order of --help; --help itself first.
[[nodiscard]] std::vector<option_entry> options_of(command c);
/// With those that --help does not list.
[[nodiscard]] std::vector<std::string> option_names_of(command c);
/// What an option takes, where it is one of a few words: "trial" and the other passes for --pass; else empty.
[[nodiscard]] std::vector<std::string> choices_of(const option_entry& option);

} // namespace postferry::app

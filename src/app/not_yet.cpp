// What docs/cli.md promises and this version does not do. A row leaves this table when its feature arrives.
#include "app/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postferry::app {

namespace {

constexpr std::array<std::string_view, 9> later_commands{"domain",  "account", "batch", "bulletin", "dns",
                                                         "cutover", "route",   "user",  "ping"};

} // namespace

std::optional<std::string> not_in_this_version(std::string_view word) {
    const std::string_view name = word.substr(0, word.find('='));
    const bool later = std::ranges::find(later_commands, name) != later_commands.end();
    if (!later) return std::nullopt;
    return fmt::format("{} is part of the command line but not in this version yet", name);
}

} // namespace postferry::app

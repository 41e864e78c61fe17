// What docs/cli.md promises and this version does not do. A row leaves this table when its feature arrives.
#include "app/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postferry::app {

namespace {

constexpr std::array<std::string_view, 5> later_commands{"bulletin", "dns", "cutover", "route", "ping"};

} // namespace

std::optional<std::string> not_in_this_version(std::string_view word) {
    const std::string_view name = word.substr(0, word.find('='));
    const bool later = std::ranges::find(later_commands, name) != later_commands.end();
    if (!later) return std::nullopt;
    return fmt::format("{} is part of the command line but not in this version yet", name);
}

} // namespace postferry::app

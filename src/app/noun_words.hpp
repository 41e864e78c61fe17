#pragma once
#include "app/noun_table.hpp"

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::app {

/// What was typed after `postferry`, by the names that the table gives it.
struct noun_words {
    const noun_verb* what = nullptr;
    /// "--quota" -> {"2GB"}, "BATCH" -> {"spring-move"}, "--json" -> {}; nothing for what was not given.
    std::map<std::string, std::vector<std::string>, std::less<>> given;

    [[nodiscard]] bool has(std::string_view name) const { return given.contains(name); }
    [[nodiscard]] std::string text(std::string_view name) const; ///< empty: not given
    [[nodiscard]] std::vector<std::string> list(std::string_view name) const;
};

/// Either `run`, or a text to print (help: out, exit code 0; a fault: err, exit code 2).
struct noun_line {
    std::optional<noun_words> run;
    int exit_code = 0;
    std::string out, err;
};

/// @param arguments from the noun on
[[nodiscard]] noun_line parse_noun_line(std::span<const char* const> arguments);

} // namespace postferry::app

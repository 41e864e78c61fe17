#pragma once
// The commands over the service's API (`postferry batch create ...`), once: for the parser and --help, for completion
// and for the manual.
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::app {

struct noun_argument {
    std::string_view name; ///< "BATCH", "FILE"
    bool optional = false;
    bool many = false; ///< one or more; the last one
};

struct noun_option {
    std::string_view name;  ///< "--quota"
    std::string_view value; ///< what stands behind it, as "SIZE"; empty: a flag
    std::string_view text;
    std::string_view choices = {}; ///< the words it takes, with spaces between; else anything
    bool list = false;             ///< may be repeated
    bool needed = false;
};

struct noun_verb {
    std::string_view noun, verb; ///< the verb is empty where the noun alone is a command ("log")
    std::string_view summary;    ///< one line
    std::vector<noun_argument> arguments = {};
    std::vector<noun_option> options = {};
    std::string_view explanation = {}; ///< a few lines above the options
    std::string_view examples = {};    ///< command lines

    [[nodiscard]] std::string name() const; ///< "batch create"
};

struct noun_about {
    std::string_view noun, summary;
    std::string_view explanation = {}; ///< above the list of its verbs
};

[[nodiscard]] std::span<const noun_about> nouns() noexcept;
/// All of them, those of a noun together.
[[nodiscard]] const std::vector<noun_verb>& noun_verbs();
/// Those of one noun.
[[nodiscard]] std::vector<const noun_verb*> verbs_of(std::string_view noun);
[[nodiscard]] const noun_verb* find_verb(std::string_view noun, std::string_view verb);
[[nodiscard]] bool is_noun(std::string_view word) noexcept;
/// What every one of them takes: where the service is, and what is printed.
[[nodiscard]] std::span<const noun_option> common_noun_options() noexcept;

[[nodiscard]] std::string usage_of(const noun_verb& v); ///< "postferry batch create NAME [options]"
[[nodiscard]] std::string help_of(const noun_verb& v);
[[nodiscard]] std::string help_of_noun(std::string_view noun);

} // namespace postferry::app

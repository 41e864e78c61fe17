#pragma once
// The part of the completion scripts that knows the commands over the service's API.
#include <string>
#include <string_view>

namespace postferry::app {

/// `text` with a backslash before each of `odd`.
[[nodiscard]] std::string escaped(std::string_view text, std::string_view odd);
/// In single quotes; a shell ends them for one of its own.
[[nodiscard]] std::string in_quotes(std::string_view text);

/// "batch mailbox ... " with the separator behind each.
[[nodiscard]] std::string noun_names(std::string_view separator);
[[nodiscard]] std::string bash_nouns();    ///< the function _postferry_noun
[[nodiscard]] std::string zsh_noun_list(); ///< 'batch:...' lines for _describe
[[nodiscard]] std::string zsh_nouns();     ///< branches of the case over the command
[[nodiscard]] std::string fish_nouns();    ///< complete lines

} // namespace postferry::app

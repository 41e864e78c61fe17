#pragma once
// Passwords of the commands over the API: from a file's first line or a prompt, never from the command line.
#include "app/noun_context.hpp"
#include "base/secret.hpp"

#include <span>
#include <string>
#include <string_view>

namespace postferry::app {

struct secret_option {
    std::string_view option; ///< "--source-password-file"
    std::string_view field;  ///< of the API: "source_password"
};
/// Reads the files that are named into fields of `body`.
[[nodiscard]] result<void> put_secrets(const noun_context& c, std::span<const secret_option> options,
                                       boost::json::object& body);
/// Asks on the terminal. Class cancelled after Ctrl-C; config where there is no terminal, naming the option for a file.
[[nodiscard]] result<secret> ask_password(const std::string& prompt, std::string_view option);
/// A new password: from --password-file, or asked for twice.
[[nodiscard]] result<secret> new_password(const noun_context& c, const std::string& whose);
/// Writes a secret into a new file that only we may read. Class local: it is there already, or cannot be made.
[[nodiscard]] result<void> write_secret(const std::string& file, const secret& what);

} // namespace postferry::app

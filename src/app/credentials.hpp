#pragma once
// Passwords and tokens of the command line: from files, the environment, or a prompt on the terminal.
#include "app/options.hpp"
#include "base/error.hpp"
#include "base/secret.hpp"

#include <filesystem>
#include <functional>
#include <string>

namespace postferry::app {

/// Where passwords come from when no file is named; replaced in tests.
struct password_sources {
    std::function<const char*(const char* name)> environment; ///< as std::getenv
    /// Asks the person at the terminal. Nothing when there is no terminal; class cancelled after Ctrl-C.
    std::function<std::optional<result<secret>>(const std::string& prompt)> ask;

    [[nodiscard]] static password_sources of_process();
};

/// Fills source.password and target.password. For one mailbox each end that takes a password has one afterwards; with
/// ACCOUNTS.csv only an end with a common login (admin=, a token) is asked for, the rows have the others.
/// Errors: config (a file that cannot be read or is empty, no password and no terminal), cancelled.
[[nodiscard]] result<void> complete_passwords(run_options& options, const password_sources& from);

/// The first line of a file, without its line end. `what` names it in errors: "--source-password-file".
[[nodiscard]] result<secret> read_secret_file(const std::filesystem::path& file, std::string_view what);

/// Shows the prompt on the terminal `fd` and reads a line without echo. Ctrl-C and Ctrl-D give class cancelled; the
/// terminal is as before in any case, for they arrive as characters here, not as signals.
[[nodiscard]] result<secret> ask_on_terminal(int fd, const std::string& prompt);

} // namespace postferry::app

#pragma once
// The log. spdlog is behind this interface, so that it is compiled once and not started by those who do not log.
#include "app/options.hpp"
#include "base/error.hpp"

#include <fmt/format.h>

#include <string_view>

namespace postferry::app::log {

enum class level : std::uint8_t { wire, debug, info, warning, error };

/// Opens the log as the options say: a file with --log, standard error with -v (both when both), nothing else. Levels:
/// the file has info and above, with -v debug, with -vv the wire. Errors: class local, the file cannot be opened.
[[nodiscard]] result<void> start(const run_options& options);
/// As [log] says: a file, the journal, or standard error (and standard error in place of a journal that is not there,
/// with priorities as systemd reads them there). Errors as above.
[[nodiscard]] result<void> start(const config_log& settings);
/// The file by its name once more, after it was moved away. Errors: as above; the old one stays.
[[nodiscard]] result<void> reopen();
/// Writes what is buffered and closes. Safe to call twice, or without start().
void stop() noexcept;

/// The errno of the first line that the file did not take; 0: it has them all.
[[nodiscard]] int trouble() noexcept;

/// Whether a line of this level goes anywhere; cheap, ask before composing long texts.
[[nodiscard]] bool wants(level l) noexcept;
/// One line. `mailbox` ("imaps://alice@old") may be empty. Control characters are escaped, so that a server's text
/// cannot forge a line. Callers never pass secrets: base/secret.hpp has no formatter, and the wire trace redacts before
/// it gets here. From any thread. A full disk is no reason to stop copying: the line is lost then.
void write(level l, std::string_view mailbox, std::string_view text) noexcept;

template <class... Args> void info(std::string_view mailbox, fmt::format_string<Args...> text, Args&&... args) {
    if (wants(level::info)) write(level::info, mailbox, fmt::format(text, std::forward<Args>(args)...));
}

template <class... Args> void debug(std::string_view mailbox, fmt::format_string<Args...> text, Args&&... args) {
    if (wants(level::debug)) write(level::debug, mailbox, fmt::format(text, std::forward<Args>(args)...));
}

template <class... Args> void warning(std::string_view mailbox, fmt::format_string<Args...> text, Args&&... args) {
    if (wants(level::warning)) write(level::warning, mailbox, fmt::format(text, std::forward<Args>(args)...));
}

} // namespace postferry::app::log

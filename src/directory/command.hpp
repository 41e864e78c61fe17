#pragma once
// A program of the administrator's, run without a shell.
#include "base/deadline.hpp"
#include "base/error.hpp"
#include "base/secret.hpp"
#include "net/awaitable.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postferry::directory {

struct command {
    std::vector<std::string> arguments;                                ///< the first is the program's absolute path
    std::vector<std::pair<std::string, std::string>> environment = {}; ///< all of it; without NUL
    secret input = {};                                                 ///< its standard input; at most max_input octets
};

struct command_end {
    int exit_code = 0; ///< 0 .. 255; 128 + n: signal n ended it, as shells say it
    std::string out;   ///< the beginning of what it printed, at most max_kept octets; empty where lines were taken
    std::string err;   ///< the beginning of what it said on standard error
};

inline constexpr std::size_t max_input = 4096; ///< what every pipe takes without anybody reading
inline constexpr std::size_t max_kept = 4096;
inline constexpr std::size_t max_command_line = 16384; ///< octets of a line of output that is taken

/// Gets each line of standard output without its end. A failure ends the program and comes out.
using line_handler = std::function<result<void>(std::string_view line)>;

/// Runs it in a process group of its own, in "/", with default signals and no descriptor but 0, 1 and 2, and waits for
/// its end. By the deadline, when cancelled, and when a line is too long or its handler fails, the whole group is
/// killed (SIGKILL) and waited for. Errors: config: there is no such program, or it may not be run; transient: late;
/// cancelled; protocol: a line beyond max_command_line; local: no processes or descriptors left. What the program
/// itself says is in its exit code.
task<result<command_end>> run_command(command what, deadline until, line_handler take_line = {});

} // namespace postferry::directory

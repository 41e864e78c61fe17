#pragma once
// Command line of line_proxy.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace postferry::lab {

// Who sent the octets.
enum class side : std::uint8_t { client, server };

struct options {
    std::uint16_t port = 0;
    std::string target_host = "127.0.0.1";
    std::string target_port;
    std::chrono::microseconds delay{0}; // one way
    std::uint64_t rate = 0;             // octets per second and direction, all connections together; 0: no limit
    bool rate_each = false;             // the rate is each connection's own
    // Faults. `counted` names the direction whose octets cut_after and stall_after count.
    std::optional<std::uint64_t> cut_after;
    std::optional<std::uint64_t> stall_after;
    side counted = side::server;
    bool reset = false;    // cut with RST instead of FIN
    std::size_t split = 0; // forward at most this many octets at once; 0: no limit
    std::chrono::microseconds split_gap{50};
    std::uint64_t only_connection = 0; // 1 for the first; 0: faults hit every connection
    std::string count_file;
    bool exit_on_eof = false;
};

// On a wrong command line writes what is wrong to standard error and returns nothing.
std::optional<options> parse_options(int argc, char** argv);

} // namespace postferry::lab

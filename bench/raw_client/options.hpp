#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace raw_client {

struct server {
    std::string host = "127.0.0.1";
    int port = 143;
    bool pop3 = false; // a source only; its INBOX
    bool tls = false;  // implicit TLS, certificate not verified: this is a yardstick, not a mail tool
    std::string user;
    std::string password;
};

struct options {
    server source;
    server target;
    std::vector<std::string> folders;     // names on the source; empty: whatever LIST says
    std::size_t batch_messages = 5000;    // an APPEND command ends after so many messages ...
    std::size_t batch_octets = 4'000'000; // ... or so many octets, whichever is first
    std::size_t ring_octets = 4 << 20;    // read from the source and not yet written to the target, per connection
    std::size_t read_octets = 512 << 10;  // asked for by one read
    std::size_t write_octets = 128 << 10; // gathered before a write while the source still delivers
    int source_rcvbuf = 0;                // SO_RCVBUF, 0: let the kernel tune
    int target_sndbuf = 0;                // SO_SNDBUF, 0: let the kernel tune
    int lowat = 0;                        // SO_RCVLOWAT of the source, 0: off
    int connections = 1;                  // pairs of connections, one thread each, folders dealt out in turn
    bool select = false;                  // SELECT the target folder before its first APPEND
    bool quiet = false;
};

// Reads the command line; prints what is wrong and ends the program where it cannot.
options parse_options(int argc, char** argv);

} // namespace raw_client

#pragma once

#include "connection.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace raw_client {

// A logged-in connection and what its server said about names.
struct session {
    std::unique_ptr<connection> io;
    std::string prefix; // of the personal namespace
    char delimiter = '/';
    std::vector<std::string> folders; // as LIST gave them, unquoted; \Noselect ones are left out
};

// Connects, logs in and asks for NAMESPACE (and LIST, where wanted) in one flight.
session open_session(const server& where, bool list, int rcvbuf, int sndbuf);

// Connects to a POP3 server, logs in and asks how many messages there are.
std::unique_ptr<connection> open_maildrop(const server& where, int rcvbuf, std::uint64_t& messages);

// The name on the target of a folder of the source: prefix and delimiter are exchanged, nothing else.
std::string target_name(const session& source, const session& target, std::string_view name);

// Creates what is missing, in one flight; "already exists" is no fault.
void create_folders(session& target, const std::vector<std::string>& names);

std::string quoted(std::string_view name);

} // namespace raw_client

#pragma once
// How the service keeps an end of a mailbox (store::migration): a URL without user and password.
#include "mailbox/endpoint.hpp"

#include <string>

namespace postferry::mailbox {

/// "imaps://old.example.org/?admin=root&ca=x.pem": parse_endpoint() of it gives the endpoint again but for its user and
/// password. One spelling for what means the same. Empty when there is no host (nor path).
[[nodiscard]] std::string place_url(const endpoint& e);

/// What connections to a server are counted by: "old.example.org:993"; "local" for a place on this machine.
[[nodiscard]] std::string server_key(const endpoint& e);

} // namespace postferry::mailbox

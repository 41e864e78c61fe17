#pragma once
#include "net/connection.hpp"

#include <memory>

namespace postferry::client {

/// The line under COMPRESS=DEFLATE (RFC 4978): what is written goes out deflated and flushed, what is read comes in
/// inflated. Takes 0.3 MB. Errors: as the line's; octets that are no deflate stream are class protocol, and the line is
/// closed. A peer that ends its stream has closed orderly.
[[nodiscard]] std::unique_ptr<net::connection> deflated(std::unique_ptr<net::connection> line);

} // namespace postferry::client

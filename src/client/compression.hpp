#pragma once
#include <cstdint>

namespace postferry::client {

/// COMPRESS=DEFLATE (RFC 4978): when the line is measured to be slow enough for it to pay, from the login on, or never.
enum class compression : std::uint8_t { when_it_pays, on, off };

} // namespace postferry::client

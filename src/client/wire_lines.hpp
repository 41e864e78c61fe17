#pragma once
#include "net/wire_trace.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace postferry::client {

/// Cuts what a server sends into lines for the wire trace; literals are counted, never shown.
class wire_lines {
  public:
    void show(std::string_view octets, net::wire_trace& trace);

  private:
    std::string line_;
    std::uint64_t literal_left_ = 0;
};

} // namespace postferry::client

#pragma once
#include "net/wire_trace.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::client {

/// Cuts what a server sends into lines for the wire trace; literals are counted, never shown.
class wire_lines {
  public:
    void show(std::string_view octets, net::wire_trace& trace);
    /// Lines that hold one of these are not shown: some servers repeat what they did not understand.
    void hide(std::vector<std::string> secrets) { secrets_ = std::move(secrets); }

  private:
    void line_ends(net::wire_trace& trace);

    std::string line_; ///< its beginning
    std::string tail_; ///< its last octets: a literal may be announced at the end of a line that is too long to keep
    std::vector<std::string> secrets_;
    std::uint64_t literal_left_ = 0;
};

} // namespace postferry::client

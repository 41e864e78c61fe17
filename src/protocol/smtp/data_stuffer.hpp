#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace postferry::smtp {

/// A message as it goes behind DATA (RFC 5321, 4.5.2): a line that begins with a dot gets one more, and CRLF "." CRLF
/// stands at its end and nowhere else. No octet of the message can be taken for that end by a server that is looser
/// than the RFC: a CR without LF and an LF without CR go out as CRLF, always, and are counted. A last line without its
/// end gets one. Streaming.
class data_stuffer {
  public:
    void put(std::string_view octets, std::string& out);
    /// What ends the message: its last line end if it has none, and the dot.
    void finish(std::string& out);

    /// CR and LF that stood alone.
    [[nodiscard]] std::uint64_t line_ends_mended() const noexcept { return mended_; }
    [[nodiscard]] bool line_end_added() const noexcept { return added_; }

  private:
    bool at_line_start_ = true;
    bool held_cr_ = false;
    bool added_ = false;
    std::uint64_t mended_ = 0;
};

} // namespace postferry::smtp

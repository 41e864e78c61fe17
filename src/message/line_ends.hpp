#pragma once
// Messages travel with CRLF and lie in Maildirs with LF (docs/adr/0014-maildir.md says why and when not).
#include <cstdint>
#include <string>
#include <string_view>

namespace postferry::message {

/// CRLF to LF, in pieces. As long as every LF has come right behind exactly one CR, what was written can be turned back
/// to the octet by crlf_writer; the first line end for which that does not hold makes it `irreversible`.
class lf_writer {
  public:
    /// Appends the converted octets to `out`. On a line end that cannot be turned back it stops, with is_reversible()
    /// false, and answers how many octets of `in` it has taken; else all of them. A CR at the very end is held back.
    std::size_t write(std::string_view in, std::string& out);
    /// The held-back CR, if any.
    void finish(std::string& out);
    [[nodiscard]] bool is_reversible() const noexcept { return reversible_; }

  private:
    bool held_cr_ = false;        ///< the last octet was a CR; it is not written yet
    bool cr_before_held_ = false; ///< and the one before it as well
    bool reversible_ = true;
};

/// LF to CRLF, in pieces: a CR is put in front of each LF that has none. What has CRLF already stays as it is.
class crlf_writer {
  public:
    void write(std::string_view in, std::string& out);
    /// Into room that is known to suffice: 2 * in.size(). Answers the octets written.
    std::size_t write(std::string_view in, char* out) noexcept;

  private:
    char last_ = 0;
};

/// LFs without a CR in front, in pieces: how much longer the text becomes.
class bare_lf_counter {
  public:
    void add(std::string_view text) noexcept;
    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

  private:
    char last_ = 0;
    std::uint64_t count_ = 0;
};

} // namespace postferry::message

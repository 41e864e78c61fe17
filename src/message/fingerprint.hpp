#pragma once
#include "base/digest.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace postferry::message {

/// The header fields an IMAP client asks for to fingerprint a message: "DATE FROM ..." for BODY.PEEK[HEADER.FIELDS
/// (...)].
[[nodiscard]] std::string_view fingerprint_fields() noexcept;

/// What identifies a message where no ledger does: a digest of the header fields above after undoing what servers are
/// known to rewrite (8-bit and control characters, "X" and runs of "?" fold to one "?", white space goes, names in
/// lower case, sorted by name and order; Return-Path, Status, X-Status, X-UID*, X-Keywords, X-IMAP*, Lines,
/// Content-Length and X-TUID never count; an empty field is as none). `strong` says that it has a Message-ID and so may
/// decide alone when it is unique.
struct fingerprint {
    sha256_digest digest;
    bool strong = false;
    std::string message_id; ///< for reports; bounded to 200 octets, escaped
};

/// From a header as fetched (with or without the blank line; folded lines, bare LF, 8-bit, NUL, no header at all).
[[nodiscard]] fingerprint fingerprint_of(std::string_view header);

/// Streaming digest that is blind to what others silently change: NUL counts as 0x80, octets of 8 bits in the header
/// count as "X", CR and the line ends at the very end are left out (servers: docs/quirks.md#nul-octet, #header-8bit,
/// #cr-altered, #last-line-end), and so is the header field X-TUID (mbsync writes one into each message that it
/// copies). Never a proof of identity, only of sameness between two copies when matching.
class tolerant_digest {
  public:
    void update(std::string_view octets);
    [[nodiscard]] sha256_digest finish();

  private:
    enum class place : std::uint8_t { line_start, kept_line, dropped_line, body };

    void header_octet(char c);
    void take(std::string_view text);

    sha256 hash_;
    std::string scratch_;
    std::string line_; ///< the first octets of a header line, until it is clear which field it is
    place at_ = place::line_start;
    std::size_t held_line_ends_ = 0; ///< they count only when something follows
};

} // namespace postferry::message

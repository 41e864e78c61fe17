#pragma once
#include "protocol/imap/response.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::imap {

/// How a string argument may be sent (RFC 3501 4.3, RFC 7888).
enum class literal_mode : std::uint8_t {
    synchronising, ///< {n}, wait for "+"
    minus,         ///< LITERAL-: {n+} up to 4096 octets, else {n}
    plus,          ///< LITERAL+: {n+} always
};

/// Builds one command line without tag and CRLF, as pieces cut where the client must wait for a continuation request.
/// `pieces[i]` for i > 0 may be written only after the i-th continuation request.
class command_encoder {
  public:
    explicit command_encoder(literal_mode mode) : mode_(mode) { pieces_.emplace_back(); }

    command_encoder& raw(std::string_view text); ///< from our own grammar only, never from a server or a user
    command_encoder& space() { return raw(" "); }
    /// astring (RFC 3501 section 9): atom if every octet is an ASTRING-CHAR, else quoted, else a literal (CR, LF, NUL,
    /// 8-bit or more than 1000 octets). NUL cannot be sent in a plain literal; see `valid`.
    command_encoder& astring(std::string_view value);
    /// `string`: like astring, never an atom. For LOGIN, whose arguments some servers misread as atoms.
    command_encoder& string(std::string_view value);

    [[nodiscard]] bool valid() const noexcept { return valid_; } ///< false after an astring with NUL
    [[nodiscard]] std::vector<std::string> take() { return std::move(pieces_); }

  private:
    void literal(std::string_view value);
    literal_mode mode_;
    bool valid_ = true;
    std::vector<std::string> pieces_;
};

/// Whether `flag` may be written in an APPEND or STORE: one of \Seen \Answered \Flagged \Deleted \Draft (any case), or
/// a keyword that is an atom of at most 255 octets (RFC 3501 flag-keyword). Never \Recent, never another backslash
/// flag.
[[nodiscard]] bool is_writable_flag(std::string_view flag) noexcept;

/// The canonical spelling of a system flag ("\\Seen"), or the text itself.
[[nodiscard]] std::string canonical_flag(std::string_view flag);

} // namespace postferry::imap

#pragma once
#include <cstddef>
#include <optional>
#include <string_view>

namespace postferry::message {

/// One field of a header block. Both views point into the block and live as long as it does.
struct header_field {
    std::string_view name; ///< as written, without the white space before the colon that RFC 5322, 4.5.3 tolerates
    std::string_view body; ///< everything after the colon, folds (CRLF or LF) included, without the last line end
};

/// Walks the fields of a header block (RFC 5322, 2.2) of any octets, without copying and in linear time whatever the
/// number and the length of the fields. It never fails; what is no field is passed over:
/// - a line ends at LF; any CRs before it belong to the line end. A bare CR and NUL are ordinary octets of a body;
/// - the block ends at the first empty line, or where the text ends;
/// - a line without colon, one whose name is empty or holds white space or control characters ("From x Mon Jan 1
///   10:00:00 2001", the mbox separator, is one), and a folded line with no field before it, are skipped together with
///   the folded lines that follow them. They do not end the block: servers go on reading, too.
class header_fields {
  public:
    explicit header_fields(std::string_view block) noexcept : block_(block) {}

    /// The next field, or nothing at the end of the block.
    [[nodiscard]] std::optional<header_field> next() noexcept;

    /// Octets read so far; once next() has answered nothing, the size of the header with its empty line.
    [[nodiscard]] std::size_t position() const noexcept { return position_; }

  private:
    /// The line at position_ without its line end; moves behind it.
    std::string_view take_line() noexcept;

    std::string_view block_;
    std::size_t position_ = 0;
    bool ended_ = false;
};

} // namespace postferry::message

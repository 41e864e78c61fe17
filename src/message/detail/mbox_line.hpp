#pragma once
// What writer and reader of an mbox must agree on about the beginning of a line.
#include "message/mbox_fields.hpp"
#include "message/mbox_writer.hpp"

#include <algorithm>
#include <string_view>

namespace postferry::message::detail {

/// So many octets of a line are gathered before it is looked at.
inline constexpr std::size_t line_prefix_octets = 64;

struct line_shape {
    std::size_t quotes = 0; ///< ">" at its beginning
    bool from = false;      ///< "From " behind them
    std::optional<mbox_field> field;
    std::size_t octets = 0; ///< that were looked at
    [[nodiscard]] bool special(bool in_header) const noexcept { return from || (in_header && field); }
    /// Nearly all of it is ">": what stands behind them is not to be seen yet. All but one of them may go their way.
    [[nodiscard]] bool undecided() const noexcept { return quotes > 1 && octets - quotes <= longest_mbox_field; }
};

/// @param line its first line_prefix_octets, or all of it
inline line_shape shape_of(std::string_view line) noexcept {
    line_shape out;
    out.quotes = std::min(line.find_first_not_of('>'), line.size());
    out.octets = line.size();
    const std::string_view rest = line.substr(out.quotes);
    out.from = rest.starts_with("From ");
    if (!out.from) out.field = mbox_field_at(rest);
    return out;
}

} // namespace postferry::message::detail

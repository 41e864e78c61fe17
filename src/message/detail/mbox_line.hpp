#pragma once
// What writer and reader of an mbox must agree on about the beginning of a line.
#include "message/mbox_fields.hpp"
#include "message/mbox_writer.hpp"

#include <algorithm>
#include <string_view>

namespace postferry::message::detail {

/// So many octets of a line decide what it is.
inline constexpr std::size_t line_prefix_octets = mbox_quotes + 20;

struct line_shape {
    std::size_t quotes = 0; ///< ">" at its beginning
    bool from = false;      ///< "From " behind them
    std::optional<mbox_field> field;
    [[nodiscard]] bool special(bool in_header) const noexcept {
        return quotes <= mbox_quotes && (from || (in_header && field));
    }
};

/// @param line its first line_prefix_octets, or all of it
inline line_shape shape_of(std::string_view line) noexcept {
    line_shape out;
    out.quotes = std::min(line.find_first_not_of('>'), line.size());
    const std::string_view rest = line.substr(out.quotes);
    out.from = rest.starts_with("From ");
    if (!out.from) out.field = mbox_field_at(rest);
    return out;
}

} // namespace postferry::message::detail

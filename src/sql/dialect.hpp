#pragma once
#include <cstdint>
#include <string_view>

namespace postferry::sql {

enum class dialect : std::uint8_t { sqlite, postgresql };

/// SQL that the two spell differently. What both read alike is a plain text.
struct spelling {
    std::string_view sqlite, postgresql;

    [[nodiscard]] constexpr std::string_view in(dialect d) const noexcept {
        return d == dialect::sqlite ? sqlite : postgresql;
    }
};

} // namespace postferry::sql

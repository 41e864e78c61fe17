#pragma once
// Messages that are none: what servers send in a message's place.
#include <cstdint>
#include <string_view>

namespace postferry::mailbox::detail {

enum class odd_message : std::uint8_t {
    none,
    placeholder,   ///< Exchange's notice that it could not render the message (OI#62)
    internal_data, ///< the pseudo-message in which UW's c-client keeps a folder's UIDs
};

/// By the header, of which 4 kB are enough.
[[nodiscard]] odd_message kind_of_message(std::string_view header) noexcept;

} // namespace postferry::mailbox::detail

#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace postferry::imap {

/// Modified UTF-7 (RFC 3501, 5.1.3) to UTF-8. Nothing when the text is not valid modified UTF-7 (bad base64, bits left
/// over, a lone surrogate, 8-bit octets); callers then keep the octets as they are and say so. Tolerated, because
/// servers do it: printable ASCII encoded needlessly, "&" unencoded where no valid shift follows is NOT valid.
[[nodiscard]] std::optional<std::string> decode_mutf7(std::string_view wire);

/// UTF-8 to modified UTF-7; nothing when `utf8` is not UTF-8. decode(encode(x)) == x for every UTF-8 text.
[[nodiscard]] std::optional<std::string> encode_mutf7(std::string_view utf8);

} // namespace postferry::imap

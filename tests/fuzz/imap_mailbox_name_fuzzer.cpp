// decode(encode(x)) == x for UTF-8; what decodes is UTF-8 and can be written back so that it decodes to the same.
#include "base/text.hpp"
#include "protocol/imap/mailbox_name.hpp"

#include <cstdint>
#include <cstdlib>

using namespace postferry;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto encoded = imap::encode_mutf7(text);
    require(encoded.has_value() == is_utf8(text));
    if (encoded) {
        for (const char c : *encoded) require(c >= 0x20 && c <= 0x7e);
        require(imap::decode_mutf7(*encoded) == text);
    }
    if (const auto decoded = imap::decode_mutf7(text)) {
        require(is_utf8(*decoded));
        const auto again = imap::encode_mutf7(*decoded);
        require(again && imap::decode_mutf7(*again) == *decoded);
    }
    return 0;
}

#include "transfer/detail/case_fold.hpp"

#include "base/text.hpp"

namespace postferry::transfer::detail {

namespace {

/// Folds a code point of a two-octet sequence (U+0080 .. U+07FF); the result is one of those, too.
unsigned folded(unsigned c) noexcept {
    const auto in = [c](unsigned first, unsigned last) { return c >= first && c <= last; };
    if (in(0xc0, 0xde)) return c == 0xd7 ? c : c + 0x20;
    if (c == 0x130) return c; // I with dot: its lower case is two code points
    if (in(0x100, 0x137) || in(0x14a, 0x177)) return c | 1U;
    if (c == 0x178) return 0xff;
    if (in(0x139, 0x148) || in(0x179, 0x17e)) return c % 2 == 1 ? c + 1 : c;
    if (c == 0x386) return 0x3ac;
    if (in(0x388, 0x38a)) return c + 0x25;
    if (c == 0x38c) return 0x3cc;
    if (in(0x38e, 0x38f)) return c + 0x3f;
    if (in(0x391, 0x3ab)) return c == 0x3a2 ? c : c + 0x20;
    if (c == 0x3c2) return 0x3c3; // final sigma
    if (in(0x400, 0x40f)) return c + 0x50;
    if (in(0x410, 0x42f)) return c + 0x20;
    if (in(0x460, 0x481) || in(0x48a, 0x4bf)) return c | 1U;
    return c;
}

} // namespace

std::string case_folded(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const std::size_t n = utf8_sequence_length(text);
        if (n == 2) {
            const unsigned c = folded((static_cast<unsigned char>(text[0]) & 0x1fU) << 6U |
                                      (static_cast<unsigned char>(text[1]) & 0x3fU));
            out.push_back(static_cast<char>(0xc0U | c >> 6U));
            out.push_back(static_cast<char>(0x80U | (c & 0x3fU)));
        } else if (n > 2) {
            out.append(text.substr(0, n));
        } else {
            out.push_back(ascii_lower(text[0]));
        }
        text.remove_prefix(n == 0 ? 1 : n);
    }
    return out;
}

} // namespace postferry::transfer::detail

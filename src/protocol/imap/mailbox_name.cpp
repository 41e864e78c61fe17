#include "protocol/imap/mailbox_name.hpp"

#include "base/text.hpp"

#include <array>
#include <cstdint>

namespace postferry::imap {

namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

constexpr auto sextets = [] {
    std::array<int, 256> out{};
    out.fill(-1);
    for (std::size_t i = 0; i < alphabet.size(); ++i)
        out[static_cast<unsigned char>(alphabet[i])] = static_cast<int>(i);
    return out;
}();

void append_utf8(std::string& out, char32_t c) {
    const auto put = [&](char32_t octet) { out += static_cast<char>(static_cast<unsigned char>(octet)); };
    if (c < 0x80) {
        put(c);
    } else if (c < 0x800) {
        put(0xc0 | (c >> 6));
        put(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        put(0xe0 | (c >> 12));
        put(0x80 | ((c >> 6) & 0x3f));
        put(0x80 | (c & 0x3f));
    } else {
        put(0xf0 | (c >> 18));
        put(0x80 | ((c >> 12) & 0x3f));
        put(0x80 | ((c >> 6) & 0x3f));
        put(0x80 | (c & 0x3f));
    }
}

// The UTF-16 of one shift, unit by unit, as UTF-8.
class utf16_reader {
  public:
    explicit utf16_reader(std::string& out) : out_(&out) {}

    bool unit(char32_t u) {
        const bool low = u >= 0xdc00 && u <= 0xdfff;
        if ((high_ != 0) != low) return false; // a lone surrogate
        if (low) {
            append_utf8(*out_, 0x10000 + ((high_ - 0xd800) << 10) + (u - 0xdc00));
            high_ = 0;
        } else if (u >= 0xd800 && u <= 0xdbff) {
            high_ = u;
        } else {
            append_utf8(*out_, u);
        }
        return true;
    }
    [[nodiscard]] bool complete() const noexcept { return high_ == 0; }

  private:
    std::string* out_;
    char32_t high_ = 0;
};

// modified base64 between "&" and "-"
bool decode_shift(std::string_view base64, std::string& out) {
    utf16_reader units(out);
    std::uint32_t bits = 0;
    int count = 0;
    for (const char c : base64) {
        const int value = sextets[static_cast<unsigned char>(c)];
        if (value < 0) return false;
        bits = (bits << 6) | static_cast<std::uint32_t>(value);
        count += 6;
        if (count >= 16) {
            count -= 16;
            if (!units.unit((bits >> count) & 0xffff)) return false;
            bits &= (1U << count) - 1;
        }
    }
    // What is left only fills the last sextet up: less than six bits, all zero.
    return units.complete() && count < 6 && bits == 0;
}

struct code_point {
    char32_t value = 0;
    std::size_t octets = 0; ///< 0: not UTF-8
};

code_point first_code_point(std::string_view text) noexcept {
    const std::size_t n = utf8_sequence_length(text);
    if (n == 0) return {};
    const auto lead = static_cast<unsigned char>(text[0]);
    if (n == 1) return {lead, 1};
    char32_t value = lead & (0xffU >> (n + 1));
    for (std::size_t i = 1; i < n; ++i) value = (value << 6) | (static_cast<unsigned char>(text[i]) & 0x3fU);
    return {value, n};
}

class shift_writer {
  public:
    explicit shift_writer(std::string& out) : out_(&out) { *out_ += '&'; }

    void put(char32_t c) {
        if (c >= 0x10000) {
            c -= 0x10000;
            unit(0xd800 + (c >> 10));
            unit(0xdc00 + (c & 0x3ff));
        } else {
            unit(c);
        }
    }
    void finish() {
        if (count_ > 0) sextet(bits_ << (6 - count_));
        *out_ += '-';
    }

  private:
    void sextet(std::uint32_t value) { *out_ += alphabet[value & 0x3f]; }
    void unit(char32_t u) {
        bits_ = (bits_ << 16) | u;
        count_ += 16;
        while (count_ >= 6) {
            count_ -= 6;
            sextet(bits_ >> count_);
        }
        bits_ &= (1U << count_) - 1;
    }
    std::string* out_;
    std::uint32_t bits_ = 0;
    int count_ = 0;
};

bool direct(char32_t c) noexcept { return c >= 0x20 && c <= 0x7e; }

} // namespace

std::optional<std::string> decode_mutf7(std::string_view wire) {
    std::string out;
    while (!wire.empty()) {
        const std::size_t shift = wire.find('&');
        for (const char c : wire.substr(0, shift)) {
            if (static_cast<unsigned char>(c) >= 0x80) return std::nullopt;
            out += c;
        }
        if (shift == std::string_view::npos) break;
        wire.remove_prefix(shift + 1);
        const std::size_t end = wire.find('-');
        if (end == std::string_view::npos) return std::nullopt;
        if (end == 0)
            out += '&';
        else if (!decode_shift(wire.substr(0, end), out))
            return std::nullopt;
        wire.remove_prefix(end + 1);
    }
    return out;
}

std::optional<std::string> encode_mutf7(std::string_view utf8) {
    std::string out;
    std::optional<shift_writer> shift;
    while (!utf8.empty()) {
        const code_point c = first_code_point(utf8);
        if (c.octets == 0) return std::nullopt;
        utf8.remove_prefix(c.octets);
        if (direct(c.value)) {
            if (shift) shift->finish();
            shift.reset();
            out += static_cast<char>(c.value);
            if (c.value == '&') out += '-';
        } else {
            if (!shift) shift.emplace(out);
            shift->put(c.value);
        }
    }
    if (shift) shift->finish();
    return out;
}

} // namespace postferry::imap

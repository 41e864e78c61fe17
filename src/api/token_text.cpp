#include "api/token_text.hpp"

#include <array>
#include <sodium.h>
#include <stdexcept>

namespace postferry::api {

namespace {

void begin() {
    static const bool ready = sodium_init() >= 0;
    if (!ready) throw std::runtime_error("libsodium finds no source of chance");
}

} // namespace

secret new_token(std::string_view prefix) {
    begin();
    std::array<unsigned char, 32> octets{};
    randombytes_buf(octets.data(), octets.size());
    std::array<char, sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_URLSAFE_NO_PADDING)> text{};
    sodium_bin2base64(text.data(), text.size(), octets.data(), octets.size(), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    secret token(std::string(prefix) + text.data());
    sodium_memzero(octets.data(), octets.size());
    sodium_memzero(text.data(), text.size());
    return token;
}

std::string hash_of(std::string_view token) {
    begin();
    std::array<unsigned char, 32> digest{};
    crypto_generichash(digest.data(), digest.size(), reinterpret_cast<const unsigned char*>(token.data()), token.size(),
                       nullptr, 0);
    std::string hex(2 * digest.size() + 1, '\0');
    sodium_bin2hex(hex.data(), hex.size(), digest.data(), digest.size());
    hex.pop_back();
    return hex;
}

bool same(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

} // namespace postferry::api

#include "api/link_token.hpp"

#include "api/token_text.hpp"

#include <sodium.h>
#include <vector>

namespace postferry::api {

namespace {

constexpr std::size_t longest = 400;
constexpr int alphabet = sodium_base64_VARIANT_URLSAFE_NO_PADDING;

} // namespace

link_token new_link_token(const store::vault& keys, store::link_kind purpose) {
    const secret nonce = new_token("");
    const auto sealed = keys.seal_token(nonce, store::name_of(purpose));
    std::string text(sodium_base64_encoded_len(sealed.size(), alphabet), '\0');
    sodium_bin2base64(text.data(), text.size(), sealed.data(), sealed.size(), alphabet);
    text.pop_back(); // the NUL
    return {.text = secret(std::move(text)), .nonce_hash = hash_of(nonce.reveal())};
}

std::optional<std::string> open_link_token(const store::vault& keys, store::link_kind purpose, std::string_view text) {
    if (text.empty() || text.size() > longest) return std::nullopt;
    std::vector<std::uint8_t> sealed(text.size());
    std::size_t size = 0;
    if (sodium_base642bin(sealed.data(), sealed.size(), text.data(), text.size(), nullptr, &size, nullptr, alphabet) !=
        0)
        return std::nullopt;
    sealed.resize(size);
    const auto nonce = keys.open_token(sealed, store::name_of(purpose));
    if (!nonce) return std::nullopt;
    return hash_of(nonce->reveal());
}

} // namespace postferry::api

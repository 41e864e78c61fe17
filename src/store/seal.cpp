#include "store/seal.hpp"

#include <algorithm>
#include <sodium.h>
#include <stdexcept>

namespace postferry::store {

namespace {

constexpr std::uint8_t version = 1;
constexpr std::size_t nonce_size = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t proof_size = crypto_aead_xchacha20poly1305_ietf_ABYTES;
static_assert(sealing_key::size == crypto_aead_xchacha20poly1305_ietf_KEYBYTES);

void ready() {
    static const bool done = [] {
        if (sodium_init() < 0) throw std::runtime_error("libsodium does not start");
        return true;
    }();
    (void)done;
}

const unsigned char* octets_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

std::string to_hex(std::span<const std::uint8_t> octets) {
    std::string hex(octets.size() * 2 + 1, '\0');
    sodium_bin2hex(hex.data(), hex.size(), octets.data(), octets.size());
    hex.pop_back();
    return hex;
}

} // namespace

sealing_key sealing_key::random() {
    ready();
    sealing_key key;
    randombytes_buf(key.octets_.data(), size);
    key.name_it();
    return key;
}

std::optional<sealing_key> sealing_key::from_hex(std::string_view hex) {
    ready();
    sealing_key key;
    std::size_t length = 0;
    if (hex.size() != 2 * size ||
        sodium_hex2bin(key.octets_.data(), size, hex.data(), hex.size(), nullptr, &length, nullptr) != 0 ||
        length != size)
        return std::nullopt;
    key.name_it();
    return key;
}

sealing_key::~sealing_key() { sodium_memzero(octets_.data(), size); }

void sealing_key::name_it() {
    std::array<std::uint8_t, crypto_generichash_BYTES> hash{};
    crypto_generichash(hash.data(), hash.size(), octets_.data(), size, nullptr, 0);
    id_ = to_hex(std::span(hash).first(8));
}

secret sealing_key::hex() const { return secret(to_hex(octets_)); }

std::vector<std::uint8_t> sealing_key::seal(const secret& plain, std::string_view bound_to) const {
    const std::string_view text = plain.reveal();
    std::vector<std::uint8_t> out(1 + nonce_size + text.size() + proof_size);
    out[0] = version;
    std::uint8_t* const nonce = out.data() + 1;
    randombytes_buf(nonce, nonce_size);
    unsigned long long written = 0;
    crypto_aead_xchacha20poly1305_ietf_encrypt(nonce + nonce_size, &written, octets_of(text), text.size(),
                                               octets_of(bound_to), bound_to.size(), nullptr, nonce, octets_.data());
    return out;
}

std::optional<secret> sealing_key::open(std::span<const std::uint8_t> sealed, std::string_view bound_to) const {
    if (sealed.size() < 1 + nonce_size + proof_size || sealed[0] != version) return std::nullopt;
    const std::uint8_t* const nonce = sealed.data() + 1;
    const auto box = sealed.subspan(1 + nonce_size);
    std::string text(box.size() - proof_size, '\0');
    unsigned long long written = 0;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(reinterpret_cast<unsigned char*>(text.data()), &written, nullptr,
                                                   box.data(), box.size(), octets_of(bound_to), bound_to.size(), nonce,
                                                   octets_.data()) != 0)
        return std::nullopt;
    secret out(text);
    sodium_memzero(text.data(), text.size());
    return out;
}

} // namespace postferry::store

#pragma once
// Sealing of secrets at rest: XChaCha20-Poly1305 (libsodium, crypto_aead_xchacha20poly1305_ietf) under a key that is
// not in the database. What a sealed secret is for is bound to it as associated data, so that rows cannot be swapped.
#include "base/error.hpp"
#include "base/secret.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::store {

/// 32 octets that seal; overwritten when it goes. No formatter, no stream operator.
class sealing_key {
  public:
    static constexpr std::size_t size = 32;

    [[nodiscard]] static sealing_key random();
    /// 64 hexadecimal digits.
    [[nodiscard]] static std::optional<sealing_key> from_hex(std::string_view hex);
    sealing_key(const sealing_key&) = default;
    sealing_key& operator=(const sealing_key&) = default;
    ~sealing_key();

    /// 16 hexadecimal digits that tell keys apart and say nothing about them: the first 8 octets of the key's BLAKE2b.
    [[nodiscard]] const std::string& id() const noexcept { return id_; }
    [[nodiscard]] secret hex() const; ///< for the key file

    /// One octet of version, 24 of a random nonce, the text, 16 of its proof.
    [[nodiscard]] std::vector<std::uint8_t> seal(const secret& plain, std::string_view bound_to) const;
    /// nullopt: another key, other bonds, or not an octet as it was.
    [[nodiscard]] std::optional<secret> open(std::span<const std::uint8_t> sealed, std::string_view bound_to) const;

  private:
    sealing_key() = default;
    void name_it();
    std::array<std::uint8_t, size> octets_{};
    std::string id_;
};

/// Keys of one installation: the first seals, all open.
using key_ring = std::vector<sealing_key>;

} // namespace postferry::store

#pragma once
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace postferry {

/// A SHA-256 value (FIPS 180-4).
struct sha256_digest {
    std::array<std::uint8_t, 32> octets{};
    auto operator<=>(const sha256_digest&) const = default;
    [[nodiscard]] std::string hex() const;
};

/// Streaming SHA-256 over OpenSSL's EVP, so the processor's SHA extensions are used. Not for two threads at once.
class sha256 {
  public:
    sha256();
    ~sha256();
    sha256(sha256&&) noexcept;
    sha256& operator=(sha256&&) noexcept;

    void update(std::string_view octets) noexcept;
    /// The digest of everything since construction or the last finish(); the object then starts anew.
    [[nodiscard]] sha256_digest finish() noexcept;

    [[nodiscard]] static sha256_digest of(std::string_view octets);

  private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace postferry

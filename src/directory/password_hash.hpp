#pragma once
// Passwords as Dovecot keeps them: "{SCHEME}" and a hash in the form of crypt(3).
#include "base/error.hpp"
#include "base/secret.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace postferry::directory {

enum class password_scheme : std::uint8_t {
    blf_crypt,    ///< bcrypt, "$2y$"
    sha512_crypt, ///< "$6$"
    sha256_crypt, ///< "$5$"
    argon2id,     ///< "$argon2id$" (RFC 9106), by libsodium
    plain,        ///< readable by whoever reads the database; only for servers that need it, and only when named
};
/// "BLF-CRYPT", "SHA512-CRYPT", "SHA256-CRYPT", "ARGON2ID", "PLAIN"
[[nodiscard]] std::string_view name_of(password_scheme s) noexcept;
/// The same, case does not matter.
[[nodiscard]] std::optional<password_scheme> parse_password_scheme(std::string_view text) noexcept;

/// How dear a guess is. Where the defaults come from: OWASP's Password Storage Cheat Sheet (2024). bcrypt: a work
/// factor of at least 10, and every login pays for it. Argon2id: 19 MiB, two passes, one lane. SHA-crypt is not named
/// there; its rounds are what the page asks of PBKDF2 with the same digest (210,000 and 600,000).
struct hash_cost {
    unsigned bcrypt = 10;              ///< log2 of the rounds, 4 .. 18
    std::uint32_t sha512 = 210'000;    ///< rounds, 1,000 .. 10,000,000
    std::uint32_t sha256 = 600'000;    ///< rounds, the same range
    std::uint32_t argon2_passes = 2;   ///< 1 .. 64
    std::uint32_t argon2_kib = 19'456; ///< memory in KiB, 8 .. 1,048,576. A pool takes that for each of its threads.
};
/// Class config; names the number that is out of range.
[[nodiscard]] result<void> validate(const hash_cost& cost);

/// Octets of a password: 1 to this. bcrypt would cut silently, so more is a named fault (class config); a NUL is, too.
inline constexpr std::size_t max_bcrypt_password = 72;
inline constexpr std::size_t max_password = 511; ///< what crypt(3) takes

/// "{BLF-CRYPT}$2y$10$..." with a fresh salt from the system. Takes as long as the cost says: not for an I/O thread,
/// see hash_pool.
[[nodiscard]] result<secret> hash_password(const secret& plain, password_scheme scheme, const hash_cost& cost = {});

/// Whether `plain` is the password of `hashed` ("{SCHEME}..."; CRYPT and ARGON2I are understood, too). Class config: a
/// scheme or form that is not. Compares in constant time; takes as long as hashing.
[[nodiscard]] result<bool> verify_password(const secret& plain, const secret& hashed);

/// Whether this looks like something Dovecot would take: "{SCHEME}" of letters, digits, "-", ".", then 1 to 512
/// printable ASCII characters. The scheme itself may be any. Class config otherwise; the text is never repeated.
[[nodiscard]] result<void> check_hashed(const secret& hashed);

} // namespace postferry::directory

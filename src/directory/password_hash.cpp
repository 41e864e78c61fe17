#include "directory/password_hash.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <crypt.h>
#include <memory>
#include <sodium.h>

namespace postferry::directory {

namespace {

// Dovecot's limit is a line of its password file; the longest hash we make is under 140.
constexpr std::size_t max_hash = 512;

std::unexpected<error> config(std::string what, std::string advice = {}) {
    return fail(retry_class::config, phase::usage, std::move(what), std::move(advice));
}

std::unexpected<error> local(std::string what) { return fail(retry_class::local, phase::usage, std::move(what)); }

/// Working memory of crypt(3), 32 kB: too much for a stack, and it holds what must not stay.
struct crypt_memory {
    crypt_memory() = default;
    crypt_memory(const crypt_memory&) = delete;
    crypt_memory& operator=(const crypt_memory&) = delete;
    ~crypt_memory() { sodium_memzero(&data, sizeof data); }
    crypt_data data{};
};

bool sodium_ready() noexcept {
    static const bool ready = sodium_init() >= 0; // 1: somebody else was first
    return ready;
}

result<void> check_plain(const secret& plain, std::size_t most, password_scheme scheme) {
    const std::string_view text = plain.reveal();
    if (text.empty()) return config("the password is empty");
    if (text.contains('\0')) return config("the password holds a NUL, which no server can be told");
    if (text.size() > most)
        return config(fmt::format("the password has {} octets, {} takes {}", text.size(), name_of(scheme), most),
                      scheme == password_scheme::blf_crypt ? "Choose ARGON2ID, or a shorter password" : "");
    if (scheme == password_scheme::plain && std::ranges::any_of(text, [](char c) { return c == '\r' || c == '\n'; }))
        return config("the password holds a line end");
    return {};
}

result<secret> by_crypt(const secret& plain, const char* prefix, unsigned long cost, std::string_view scheme) {
    std::array<char, CRYPT_GENSALT_OUTPUT_SIZE> salt{};
    // No octets named: libxcrypt takes them from the system's random numbers.
    if (crypt_gensalt_rn(prefix, cost, nullptr, 0, salt.data(), static_cast<int>(salt.size())) == nullptr)
        return local(fmt::format("libcrypt makes no salt for {}", scheme));
    const auto memory = std::make_unique<crypt_memory>();
    // A secret's text ends with a NUL, as a std::string's does, and holds none: check_plain.
    const char* hashed = crypt_rn(plain.reveal().data(), salt.data(), &memory->data, sizeof memory->data);
    if (hashed == nullptr || *hashed == '*') return local(fmt::format("libcrypt cannot hash with {}", scheme));
    return secret(fmt::format("{{{}}}{}", scheme, hashed));
}

result<secret> by_argon2(const secret& plain, const hash_cost& cost) {
    if (!sodium_ready()) return local("libsodium cannot start: the system has no random numbers");
    std::array<char, crypto_pwhash_STRBYTES> hashed{};
    const std::string_view text = plain.reveal();
    if (crypto_pwhash_str_alg(hashed.data(), text.data(), text.size(), cost.argon2_passes,
                              std::size_t{cost.argon2_kib} * 1024, crypto_pwhash_ALG_ARGON2ID13) != 0)
        return local(fmt::format("no memory for a hash with ARGON2ID, {} KiB", cost.argon2_kib));
    return secret(fmt::format("{{ARGON2ID}}{}", hashed.data()));
}

bool same_octets(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

/// @param hash the end of a secret's text
result<bool> verify_crypt(const secret& plain, std::string_view hash) {
    const auto memory = std::make_unique<crypt_memory>();
    // Both end with a NUL: a secret's text does, and the hash is the end of one.
    const char* again = crypt_rn(plain.reveal().data(), hash.data(), &memory->data, sizeof memory->data);
    if (again == nullptr || *again == '*') return config("the stored hash is none that crypt(3) knows");
    return same_octets(again, hash);
}

} // namespace

std::string_view name_of(password_scheme s) noexcept {
    switch (s) {
    case password_scheme::blf_crypt: return "BLF-CRYPT";
    case password_scheme::sha512_crypt: return "SHA512-CRYPT";
    case password_scheme::sha256_crypt: return "SHA256-CRYPT";
    case password_scheme::argon2id: return "ARGON2ID";
    case password_scheme::plain: return "PLAIN";
    }
    return "unknown";
}

std::optional<password_scheme> parse_password_scheme(std::string_view text) noexcept {
    for (const auto s : {password_scheme::blf_crypt, password_scheme::sha512_crypt, password_scheme::sha256_crypt,
                         password_scheme::argon2id, password_scheme::plain})
        if (iequals(text, name_of(s))) return s;
    return std::nullopt;
}

result<void> validate(const hash_cost& cost) {
    const auto in = [](std::uint64_t value, std::uint64_t least, std::uint64_t most,
                       std::string_view name) -> result<void> {
        if (value >= least && value <= most) return {};
        return config(fmt::format("{} of {} is not from {} to {}", name, value, least, most));
    };
    // Beyond 18 one bcrypt takes a quarter of a minute.
    if (auto ok = in(cost.bcrypt, 4, 18, "bcrypt's cost"); !ok) return ok;
    if (auto ok = in(cost.sha512, 1000, 10'000'000, "a number of SHA-512 rounds"); !ok) return ok;
    if (auto ok = in(cost.sha256, 1000, 10'000'000, "a number of SHA-256 rounds"); !ok) return ok;
    if (auto ok = in(cost.argon2_passes, 1, 64, "a number of Argon2 passes"); !ok) return ok;
    return in(cost.argon2_kib, 8, 1'048'576, "Argon2's memory in KiB");
}

result<secret> hash_password(const secret& plain, password_scheme scheme, const hash_cost& cost) {
    if (auto ok = validate(cost); !ok) return std::unexpected(std::move(ok.error()));
    const std::size_t most = scheme == password_scheme::blf_crypt ? max_bcrypt_password : max_password;
    if (auto ok = check_plain(plain, most, scheme); !ok) return std::unexpected(std::move(ok.error()));
    switch (scheme) {
    case password_scheme::blf_crypt: return by_crypt(plain, "$2y$", cost.bcrypt, name_of(scheme));
    case password_scheme::sha512_crypt: return by_crypt(plain, "$6$", cost.sha512, name_of(scheme));
    case password_scheme::sha256_crypt: return by_crypt(plain, "$5$", cost.sha256, name_of(scheme));
    case password_scheme::argon2id: return by_argon2(plain, cost);
    case password_scheme::plain: return secret(fmt::format("{{PLAIN}}{}", plain.reveal()));
    }
    return local("an unknown scheme");
}

result<void> check_hashed(const secret& hashed) {
    const std::string_view text = hashed.reveal();
    const std::size_t end = text.starts_with('{') ? text.find('}') : std::string_view::npos;
    if (end == std::string_view::npos || end < 2 || end > 64)
        return config("a hashed password must begin with its scheme in braces, such as {BLF-CRYPT}");
    const auto word = [](char c) {
        return (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    };
    if (!std::ranges::all_of(text.substr(1, end - 1), word))
        return config("a password's scheme holds an odd character");
    const std::string_view hash = text.substr(end + 1);
    if (hash.empty() || hash.size() > max_hash)
        return config(fmt::format("a hashed password must have 1 to {} characters behind its scheme", max_hash));
    if (std::ranges::any_of(hash, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }))
        return config("a hashed password holds a control character");
    return {};
}

result<bool> verify_password(const secret& plain, const secret& hashed) {
    if (auto ok = check_hashed(hashed); !ok) return std::unexpected(std::move(ok.error()));
    if (!sodium_ready()) return local("libsodium cannot start: the system has no random numbers");
    const std::string_view text = hashed.reveal();
    const std::string_view scheme = text.substr(1, text.find('}') - 1), hash = text.substr(text.find('}') + 1);
    const auto known = parse_password_scheme(scheme);
    const bool by_sodium = known == password_scheme::argon2id || iequals(scheme, "ARGON2I");
    const std::size_t most = known == password_scheme::blf_crypt ? max_bcrypt_password : max_password;
    // What could never have been hashed is no password of anybody.
    if (!check_plain(plain, most, known.value_or(password_scheme::sha512_crypt))) return false;
    if (known == password_scheme::plain) return same_octets(plain.reveal(), hash);
    if (by_sodium) {
        if (!hash.starts_with("$argon2") || hash.size() >= crypto_pwhash_STRBYTES)
            return config("the stored hash is no Argon2");
        std::array<char, crypto_pwhash_STRBYTES> padded{};
        std::ranges::copy(hash, padded.begin());
        return crypto_pwhash_str_verify(padded.data(), plain.reveal().data(), plain.reveal().size()) == 0;
    }
    if (known || iequals(scheme, "CRYPT")) return verify_crypt(plain, hash);
    return config(fmt::format("the scheme {} is not known here", scheme));
}

} // namespace postferry::directory

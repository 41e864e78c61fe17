#include "base/signature.hpp"

#include <climits>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

namespace postferry {

namespace {

struct free_key {
    void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};
struct free_context {
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
struct free_bio {
    void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
using key_ptr = std::unique_ptr<EVP_PKEY, free_key>;
using bio_ptr = std::unique_ptr<BIO, free_bio>;

constexpr std::size_t signature_octets = 64;
constexpr std::string_view how_to_make = "Make one with postferry report --make-key FILE, or openssl genpkey "
                                         "-algorithm ed25519 -out FILE";

/// OpenSSL would ask for the passphrase on the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

bio_ptr reader(std::string_view pem) {
    if (pem.size() > 1U << 16U) pem = {};
    return bio_ptr(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

result<key_ptr> checked(EVP_PKEY* read, std::string_view kind) {
    key_ptr key(read);
    ERR_clear_error();
    if (!key)
        return fail(retry_class::config, phase::usage,
                    fmt::format("It holds no {} key in PEM without passphrase", kind), std::string(how_to_make));
    if (EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519)
        return fail(retry_class::config, phase::usage, fmt::format("The {} key is not of the kind Ed25519", kind),
                    std::string(how_to_make));
    return key;
}

std::string content_of(BIO* bio) {
    char* octets = nullptr;
    const long n = BIO_get_mem_data(bio, &octets);
    return n > 0 ? std::string(octets, static_cast<std::size_t>(n)) : std::string{};
}

const unsigned char* octets_of(std::string_view text) noexcept {
    return reinterpret_cast<const unsigned char*>(text.data());
}

} // namespace

struct signing_key::state {
    key_ptr key;
};

signing_key::signing_key(std::unique_ptr<state> s) noexcept : state_(std::move(s)) {}
signing_key::signing_key(signing_key&&) noexcept = default;
signing_key& signing_key::operator=(signing_key&&) noexcept = default;
signing_key::~signing_key() = default;

result<signing_key> signing_key::read(std::string_view pem) {
    const bio_ptr in = reader(pem);
    auto key = checked(PEM_read_bio_PrivateKey(in.get(), nullptr, no_passphrase, nullptr), "private");
    if (!key) return std::unexpected(key.error());
    return signing_key(std::make_unique<state>(state{.key = std::move(*key)}));
}

result<signing_key> signing_key::make() {
    auto key = checked(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), "new");
    if (!key) return std::unexpected(key.error());
    return signing_key(std::make_unique<state>(state{.key = std::move(*key)}));
}

result<std::string> signing_key::sign(std::string_view document) const {
    const std::unique_ptr<EVP_MD_CTX, free_context> context(EVP_MD_CTX_new());
    std::string out(signature_octets, '\0');
    std::size_t size = out.size();
    if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, state_->key.get()) != 1 ||
        EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, octets_of(document),
                       document.size()) != 1) {
        ERR_clear_error();
        return fail(retry_class::local, phase::usage, "OpenSSL could not sign the report");
    }
    return out;
}

std::string signing_key::private_pem() const {
    const bio_ptr out(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(out.get(), state_->key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    return content_of(out.get());
}

std::string signing_key::public_pem() const {
    const bio_ptr out(BIO_new(BIO_s_mem()));
    PEM_write_bio_PUBKEY(out.get(), state_->key.get());
    return content_of(out.get());
}

result<bool> is_signed(std::string_view document, std::string_view signature, std::string_view public_pem) {
    const bio_ptr in = reader(public_pem);
    auto key = checked(PEM_read_bio_PUBKEY(in.get(), nullptr, no_passphrase, nullptr), "public");
    if (!key) return std::unexpected(key.error());
    if (signature.size() != signature_octets) return false;
    const std::unique_ptr<EVP_MD_CTX, free_context> context(EVP_MD_CTX_new());
    const bool good = context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key->get()) == 1 &&
                      EVP_DigestVerify(context.get(), octets_of(signature), signature.size(), octets_of(document),
                                       document.size()) == 1;
    ERR_clear_error();
    return good;
}

} // namespace postferry

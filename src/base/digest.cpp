#include "base/digest.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <stdexcept>

namespace postferry {

namespace {

// Fetched once: EVP_sha256() alone makes OpenSSL 3 look the algorithm up again for every digest.
const EVP_MD* algorithm() {
    static const EVP_MD* const md = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    return md;
}

} // namespace

struct sha256::state {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    state() {
        if (context == nullptr || EVP_DigestInit_ex2(context, algorithm(), nullptr) != 1)
            throw std::runtime_error("OpenSSL offers no SHA-256");
    }
    state(const state&) = delete;
    state& operator=(const state&) = delete;
    ~state() { EVP_MD_CTX_free(context); }
};

sha256::sha256() : state_(std::make_unique<state>()) {}
sha256::~sha256() = default;
sha256::sha256(sha256&&) noexcept = default;
sha256& sha256::operator=(sha256&&) noexcept = default;

void sha256::update(std::string_view octets) noexcept {
    EVP_DigestUpdate(state_->context, octets.data(), octets.size());
}

sha256_digest sha256::finish() noexcept {
    sha256_digest out;
    EVP_DigestFinal_ex(state_->context, out.octets.data(), nullptr);
    EVP_DigestInit_ex2(state_->context, nullptr, nullptr);
    return out;
}

sha256_digest sha256::of(std::string_view octets) {
    sha256 hash;
    hash.update(octets);
    return hash.finish();
}

std::string sha256_digest::hex() const {
    std::string out;
    for (const std::uint8_t octet : octets) out += fmt::format("{:02x}", octet);
    return out;
}

} // namespace postferry

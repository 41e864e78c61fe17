#include "api/request_mark.hpp"

#include "api/token_text.hpp"

#include <fmt/format.h>

#include <charconv>
#include <vector>

namespace postferry::api {

namespace {

constexpr std::string_view purpose = "idempotency";

std::vector<std::uint8_t> from_hex(std::string_view hex) {
    std::vector<std::uint8_t> out(hex.size() / 2);
    for (std::size_t i = 0; i < out.size(); ++i) {
        const std::string_view two = hex.substr(2 * i, 2);
        if (std::from_chars(two.data(), two.data() + 2, out[i], 16).ptr != two.data() + 2) return {};
    }
    return out;
}

} // namespace

request_marks::request_marks(const store::vault* vault) : vault_(vault), own_(new_token("")) {}

std::string request_marks::of(std::string_view body) const {
    if (vault_ == nullptr) return hash_of(std::string(own_.reveal()).append(body));
    std::string hex;
    for (const std::uint8_t octet : vault_->seal_token(secret(hash_of(body)), purpose))
        fmt::format_to(std::back_inserter(hex), "{:02x}", octet);
    return hex;
}

bool request_marks::fits(std::string_view mark, std::string_view body) const {
    if (vault_ == nullptr) return same(mark, of(body));
    const auto hash = vault_->open_token(from_hex(mark), purpose);
    return hash && same(hash->reveal(), hash_of(body));
}

} // namespace postferry::api

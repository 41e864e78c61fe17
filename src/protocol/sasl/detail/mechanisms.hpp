#pragma once
#include "protocol/sasl/mechanism.hpp"

#include <memory>
#include <string_view>

namespace postferry::sasl::detail {

/// PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-1, SCRAM-SHA-256 over GNU SASL. `name` must outlive the mechanism.
[[nodiscard]] result<std::unique_ptr<mechanism>> make_gsasl(std::string_view name, const credentials& who);

[[nodiscard]] result<std::unique_ptr<mechanism>> make_xoauth2(const credentials& who);
[[nodiscard]] result<std::unique_ptr<mechanism>> make_oauthbearer(const credentials& who);
[[nodiscard]] result<std::unique_ptr<mechanism>> make_external(const credentials& who);

/// PBKDF2 rounds a server may ask for; more would let it hold a thread of ours for minutes.
inline constexpr std::uint32_t max_scram_iterations = 1'000'000;

} // namespace postferry::sasl::detail

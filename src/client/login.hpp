#pragma once
// What logging in has in common on IMAP and POP3: names, the SASL exchange as base64 lines, secrets that must not be
// repeated, and what to say when nothing fits.
#include "base/error.hpp"
#include "client/server_settings.hpp"
#include "client/wire_lines.hpp"
#include "protocol/sasl/mechanism.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::client {

/// Who logs in: the user, or the admin in the form the server wants.
[[nodiscard]] std::string login_name(const server_settings& settings);

/// The SASL mechanisms to try, best first. Empty: nothing fits.
[[nodiscard]] std::vector<std::string> mechanisms_to_try(const server_settings& settings,
                                                         std::span<const std::string> offered, bool encrypted);
/// Whether a password may go over this line by the protocol's own login command (LOGIN, USER and PASS), if the user
/// left the choice open.
[[nodiscard]] bool may_show_password(const server_settings& settings, bool encrypted) noexcept;
/// Class config: neither a mechanism nor the protocol's own command fits.
/// @param tls_scheme what to write instead of this scheme: "imaps"
[[nodiscard]] error no_login_fits(const server_settings& settings, std::span<const std::string> offered, bool encrypted,
                                  std::string_view tls_scheme);

/// What was said at login and must not be repeated by us when the server repeats it.
class said_secrets {
  public:
    said_secrets() = default;
    /// Lines of the trace that hold one are hidden, too.
    explicit said_secrets(wire_lines& traced) noexcept : traced_(&traced) {}
    void keep(std::string_view text);
    void blot_out(std::string& text) const;
    [[nodiscard]] bool are_in(std::string_view text) const noexcept;

  private:
    wire_lines* traced_ = nullptr;
    std::vector<std::string> all_;
};

/// One authentication (RFC 4422) as lines of base64, the way RFC 3501 (6.2.2) and RFC 5034 carry it.
class sasl_exchange {
  public:
    [[nodiscard]] static result<sasl_exchange> begin(std::string_view mechanism, const server_settings& settings,
                                                     said_secrets& secrets);
    /// The initial response to put behind the mechanism's name ("=" when it is empty); nothing where the server speaks
    /// first.
    [[nodiscard]] result<std::optional<std::string>> initial();
    /// The answer to a challenge; "*" gives the exchange up (then given_up() says why).
    [[nodiscard]] std::string answer(std::string_view challenge);
    [[nodiscard]] const std::optional<error>& given_up() const noexcept { return given_up_; }
    /// The server said yes: an error if it has not proven that it knows the password (SCRAM).
    [[nodiscard]] result<void> confirm(std::string_view host) const;
    [[nodiscard]] std::string server_error() const { return mechanism_->server_error(); }

  private:
    sasl_exchange(std::unique_ptr<sasl::mechanism> m, said_secrets& secrets) noexcept
        : mechanism_(std::move(m)), secrets_(&secrets) {}
    std::unique_ptr<sasl::mechanism> mechanism_;
    said_secrets* secrets_;
    std::optional<error> given_up_;
    bool first_sent_ = false;
};

/// What to advise when a login by `method` (a mechanism or the protocol's own command) was refused with these words.
[[nodiscard]] std::string advice_on_refusal(std::string_view server_text, std::string_view method = {});

} // namespace postferry::client

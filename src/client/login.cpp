#include "client/login.hpp"

#include "base/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace postferry::client {

std::string login_name(const server_settings& settings) {
    if (settings.admin.empty()) return settings.user;
    switch (settings.form) {
    case admin_form::sasl: return settings.admin;
    case admin_form::star: return settings.user + "*" + settings.admin;
    case admin_form::slash: return settings.admin + "/" + settings.user;
    }
    return settings.user;
}

namespace {

bool on_behalf(const server_settings& settings) noexcept {
    return !settings.admin.empty() && settings.form == admin_form::sasl;
}

bool in_clear_by_wish(const server_settings& settings) noexcept { return settings.tls.mode == net::tls_mode::off; }

} // namespace

std::vector<std::string> mechanisms_to_try(const server_settings& settings, std::span<const std::string> offered,
                                           bool encrypted) {
    return sasl::rank(settings.auth, offered, encrypted, in_clear_by_wish(settings), on_behalf(settings));
}

bool may_show_password(const server_settings& settings, bool encrypted) noexcept {
    return settings.auth == sasl::choice::automatic && !on_behalf(settings) &&
           (encrypted || in_clear_by_wish(settings));
}

error no_login_fits(const server_settings& settings, std::span<const std::string> offered, bool encrypted,
                    std::string_view tls_scheme) {
    error e{.cls = retry_class::config,
            .where = phase::login,
            .what = {},
            .server_said = {},
            .advice = {},
            .response_code = {}};
    const std::string offer =
        offered.empty() ? "it offers nothing" : fmt::format("it offers {}", fmt::join(offered, ", "));
    if (!encrypted && !in_clear_by_wish(settings)) {
        e.what = fmt::format("{} offers no encryption and no login that hides the password ({})", settings.where.host,
                             offer);
        e.advice = fmt::format("Use {}://, or tls=off to send the password in clear", tls_scheme);
    } else {
        e.what = fmt::format("{} offers no way to log in that fits ({})", settings.where.host, offer);
        e.advice =
            on_behalf(settings)
                ? "admin= needs a mechanism with an authorisation identity, such as PLAIN; or use admin-form=star"
                : "Choose one with auth=";
    }
    return e;
}

std::string advice_on_refusal(std::string_view server_text, std::string_view method) {
    // quirk basic-auth-off
    if (ascii_lower(server_text).contains("basic authentication is disabled"))
        return "OAuth 2 needed: say auth=xoauth2 in the URL, with --oauth-token-endpoint and what belongs to it, or "
               "with "
               "a token file";
    if (method == "XOAUTH2" || method == "OAUTHBEARER")
        return "The token was refused: it may have expired, be another user's, or lack the scope for mail";
    return "Check user name and password";
}

void said_secrets::keep(std::string_view text) {
    constexpr std::size_t shortest = 3; // anything shorter stands in every text
    if (text.size() < shortest) return;
    all_.emplace_back(text);
    if (traced_ != nullptr) traced_->hide(all_);
}

bool said_secrets::are_in(std::string_view text) const noexcept {
    return std::ranges::any_of(all_, [&](const std::string& s) { return text.contains(s); });
}

void said_secrets::blot_out(std::string& text) const {
    for (const std::string& s : all_)
        for (std::size_t at = 0; (at = text.find(s, at)) != std::string::npos;) text.replace(at, s.size(), "***");
}

result<sasl_exchange> sasl_exchange::begin(std::string_view mechanism, const server_settings& settings,
                                           said_secrets& secrets) {
    sasl::credentials who{.authentication_id = login_name(settings),
                          .authorization_id = {},
                          .password = settings.password,
                          .host = settings.where.host,
                          .port = settings.where.port};
    // A certificate says who comes, not whose mail is wanted: without a name the server would open the certificate's
    // own mailbox, whatever user the URL names.
    if (on_behalf(settings) || mechanism == "EXTERNAL") who.authorization_id = settings.user;
    auto made = sasl::make(mechanism, who);
    if (!made) return std::unexpected(made.error());
    return sasl_exchange(std::move(*made), secrets);
}

result<std::optional<std::string>> sasl_exchange::initial() {
    if (!mechanism_->client_first()) return std::nullopt;
    const auto first = mechanism_->step({});
    if (!first) return std::unexpected(first.error());
    first_sent_ = true;
    if (first->empty()) return "=";
    std::string line = sasl::base64_encode(first->reveal());
    secrets_->keep(line);
    return line;
}

std::string sasl_exchange::answer(std::string_view challenge) {
    const auto octets = sasl::base64_decode(challenge);
    const bool begins = !first_sent_ && mechanism_->client_first();
    if (!octets && !begins) {
        given_up_ = error{.cls = retry_class::protocol,
                          .where = phase::login,
                          .what = "The server's challenge is no base64",
                          .server_said = {},
                          .advice = {},
                          .response_code = {}};
        return "*";
    }
    first_sent_ = true;
    const auto answer = mechanism_->step(begins ? std::string_view{} : std::string_view(*octets));
    if (!answer) {
        given_up_ = answer.error();
        return "*";
    }
    std::string line = sasl::base64_encode(answer->reveal());
    secrets_->keep(line);
    return line;
}

result<void> sasl_exchange::confirm(std::string_view host) const {
    if (mechanism_->complete()) return {};
    return fail(retry_class::auth, phase::login,
                fmt::format("{} did not prove that it knows the password ({})", host, mechanism_->name()),
                "Somebody may be standing in for the server");
}

} // namespace postferry::client

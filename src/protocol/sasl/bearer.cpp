#include "protocol/sasl/detail/mechanisms.hpp"

#include <fmt/format.h>

#include <utility>

namespace postferry::sasl::detail {

namespace {

/// One message from the client, and perhaps a challenge that is the server's complaint, which wants a dummy answer.
class one_message : public mechanism {
  public:
    one_message(std::string_view name, secret message, std::string_view dummy)
        : name_(name), message_(std::move(message)), dummy_(dummy) {}

    [[nodiscard]] std::string_view name() const noexcept override { return name_; }
    [[nodiscard]] bool client_first() const noexcept override { return true; }
    [[nodiscard]] bool complete() const noexcept override { return steps_ > 0; }
    [[nodiscard]] std::string server_error() const override { return complaint_; }

    [[nodiscard]] result<secret> step(std::string_view challenge) override {
        if (++steps_ == 1) return std::exchange(message_, secret());
        if (steps_ > 2)
            return fail(retry_class::protocol, phase::login,
                        fmt::format("the server goes on after the end of {}", name_));
        complaint_ = quote_server_text(challenge);
        return secret(std::string(dummy_));
    }

  private:
    std::string_view name_;
    secret message_;
    std::string_view dummy_;
    std::string complaint_;
    int steps_ = 0;
};

// RFC 5801 section 4: "," and "=" of a name in a GS2 header.
std::string saslname(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == ',')
            out += "=2C";
        else if (c == '=')
            out += "=3D";
        else
            out += c;
    }
    return out;
}

// ^A ends a field, and RFC 6750 section 2.1 knows no control characters in a token.
result<void> check_token(const credentials& who) {
    if (who.password.empty())
        return fail(retry_class::config, phase::login, "there is no OAuth 2 access token",
                    "Give one with a token file");
    for (const char c : who.password.reveal())
        if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f)
            return fail(retry_class::config, phase::login,
                        "the OAuth 2 access token holds a space or control character");
    return {};
}

result<std::unique_ptr<mechanism>> message(std::string_view name, std::string text, std::string_view dummy) {
    return std::make_unique<one_message>(name, secret(std::move(text)), dummy);
}

} // namespace

// Google's and Microsoft's format: user=NAME ^A auth=Bearer TOKEN ^A ^A. The user is the mailbox that is opened.
result<std::unique_ptr<mechanism>> make_xoauth2(const credentials& who) {
    if (auto ok = check_token(who); !ok) return std::unexpected(std::move(ok.error()));
    const std::string& user = who.authorization_id.empty() ? who.authentication_id : who.authorization_id;
    return message("XOAUTH2",
                   fmt::format("user={}\x01"
                               "auth=Bearer {}\x01\x01",
                               user, who.password.reveal()),
                   "");
}

// RFC 7628 section 3.1.
result<std::unique_ptr<mechanism>> make_oauthbearer(const credentials& who) {
    if (auto ok = check_token(who); !ok) return std::unexpected(std::move(ok.error()));
    const std::string& user = who.authorization_id.empty() ? who.authentication_id : who.authorization_id;
    std::string text = fmt::format("n,a={},\x01", saslname(user));
    if (!who.host.empty()) text += fmt::format("host={}\x01", who.host);
    if (who.port != 0) text += fmt::format("port={}\x01", who.port);
    text += fmt::format("auth=Bearer {}\x01\x01", who.password.reveal());
    return message("OAUTHBEARER", std::move(text), "\x01");
}

// RFC 4422 appendix A: the authorisation identity, or nothing for the one of the certificate.
result<std::unique_ptr<mechanism>> make_external(const credentials& who) {
    return message("EXTERNAL", who.authorization_id, "");
}

} // namespace postferry::sasl::detail

// From the TCP connection to the authenticated state: greeting, STARTTLS, SASL, LOGIN.
#include "base/text.hpp"
#include "client/imap_session.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace postferry::client {

task<result<std::unique_ptr<imap_session>>> imap_session::open(executor ex, imap_settings settings,
                                                               std::shared_ptr<block_pool> blocks) {
    const deadline until = deadline::in(settings.connect_patience);
    auto line = co_await net::connection::open(ex, settings.where, settings.tls, until);
    if (!line) co_return std::unexpected(line.error());
    co_return co_await open_on(std::move(*line), std::move(settings), std::move(blocks));
}

task<result<std::unique_ptr<imap_session>>> imap_session::open_on(std::unique_ptr<net::connection> line,
                                                                  imap_settings settings,
                                                                  std::shared_ptr<block_pool> blocks) {
    std::unique_ptr<imap_session> session(new imap_session(std::move(settings), std::move(blocks)));
    session->connection_ = std::move(line);
    auto ready = co_await session->start();
    if (!ready) {
        session->close();
        co_return std::unexpected(ready.error());
    }
    co_return std::move(session);
}

task<result<void>> imap_session::start() {
    while (!greeted_) {
        auto got = co_await receive();
        if (got) continue;
        // Somebody accepted the connection and says nothing: most often a TLS port that waits for a handshake.
        error why = got.error();
        if (why.cls == retry_class::transient && !bye_ && !connection_->encrypted()) {
            why.where = phase::greeting;
            why.advice = "If this is a TLS port, use imaps://";
        }
        co_return std::unexpected(why);
    }
    if (auto safe = co_await secure(); !safe) co_return safe;
    if (!preauth_) {
        if (!capabilities_fresh_)
            if (auto asked = co_await ask_capabilities(); !asked) co_return asked;
        capabilities_fresh_ = false;
        if (auto in = co_await log_in(); !in) co_return in;
    }
    if (!capabilities_fresh_) co_return co_await ask_capabilities();
    co_return result<void>{};
}

task<result<void>> imap_session::ask_capabilities() {
    const auto status = co_await run({"CAPABILITY"});
    if (!status) co_return std::unexpected(status.error());
    if (status->kind != imap::status_kind::ok)
        co_return std::unexpected(to_error(*status, phase::greeting, "The server refused CAPABILITY"));
    co_return result<void>{};
}

task<result<void>> imap_session::secure() {
    const net::tls_mode mode = settings_.tls.mode;
    if (mode == net::tls_mode::implicit || mode == net::tls_mode::off || connection_->encrypted())
        co_return result<void>{};
    if (!capabilities_fresh_)
        if (auto asked = co_await ask_capabilities(); !asked) co_return asked;
    if (!capabilities_.has("STARTTLS")) {
        if (mode == net::tls_mode::detect) co_return result<void>{};
        co_return fail(retry_class::config, phase::tls,
                       fmt::format("{} does not offer STARTTLS, and tls=require asks for it", settings_.where.host),
                       "Use imaps:// if the server has a TLS port, or tls=off to go without encryption");
    }
    const auto status = co_await run({"STARTTLS"}, {}, {.interactive = false, .exclusive = true});
    if (!status) co_return std::unexpected(status.error());
    if (status->kind != imap::status_kind::ok)
        co_return std::unexpected(to_error(*status, phase::tls, "The server refused STARTTLS"));
    // Anything that came in the clear behind the answer was put there by somebody else (CVE-2011-0411).
    if (!talk_.at_boundary() || events_after_answer_ > 0)
        co_return fail(retry_class::protocol, phase::tls,
                       "The server sent data before the TLS handshake; somebody may be tampering with the line");
    auto done = co_await connection_->start_tls(settings_.tls, deadline::in(settings_.connect_patience));
    if (!done) co_return done;
    capabilities_ = {};
    capabilities_fresh_ = false;
    co_return result<void>{};
}

std::string imap_session::login_name() const {
    if (settings_.admin.empty()) return settings_.user;
    switch (settings_.form) {
    case admin_form::sasl: return settings_.admin;
    case admin_form::star: return settings_.user + "*" + settings_.admin;
    case admin_form::slash: return settings_.admin + "/" + settings_.user;
    }
    return settings_.user;
}

task<result<void>> imap_session::log_in() {
    keep_secret(settings_.password.reveal());
    const bool on_behalf = !settings_.admin.empty() && settings_.form == admin_form::sasl;
    const bool encrypted = connection_->encrypted();
    const bool cleartext = settings_.tls.mode == net::tls_mode::off;
    const std::vector<std::string> offered = capabilities_.auth_mechanisms();
    for (const std::string& name : sasl::rank(settings_.auth, offered, encrypted, cleartext, on_behalf)) {
        const auto in = co_await try_mechanism(name);
        if (!in) co_return std::unexpected(in.error());
        if (*in) co_return result<void>{};
    }
    const bool may_use_login = settings_.auth == sasl::choice::automatic && !on_behalf && (encrypted || cleartext);
    if (may_use_login && !capabilities_.has("LOGINDISABLED")) {
        const auto in = co_await try_login_command();
        if (!in) co_return std::unexpected(in.error());
        if (*in) co_return result<void>{};
    }
    if (!encrypted && !cleartext)
        co_return fail(retry_class::config, phase::login,
                       fmt::format("{} offers no encryption and no login that hides the password (it offers: {})",
                                   settings_.where.host, fmt::join(offered, ", ")),
                       "Use imaps://, or tls=off to send the password in clear");
    if (!encrypted && offered.empty() && capabilities_.has("LOGINDISABLED"))
        co_return fail(retry_class::config, phase::login,
                       fmt::format("{} lets nobody log in without TLS", settings_.where.host),
                       "Leave tls=off away, or use imaps://");
    co_return fail(
        retry_class::config, phase::login,
        fmt::format("{} offers no way to log in that fits (it offers: {})", settings_.where.host,
                    fmt::join(offered, ", ")),
        on_behalf ? "admin= needs a mechanism with an authorisation identity, such as PLAIN; or use admin-form=star"
                  : "Choose one with auth=");
}

void imap_session::keep_secret(std::string_view text) {
    constexpr std::size_t shortest = 3; // anything shorter stands in every text
    if (text.size() < shortest) return;
    secrets_.emplace_back(text);
    traced_.hide(secrets_);
}

result<bool> imap_session::judge_login(imap::status_response status, std::string_view method) {
    if (status.kind == imap::status_kind::ok) {
        login_method_ = method;
        return true;
    }
    for (std::string* text : {&status.text, status.code ? &status.code->args : &status.text})
        for (const std::string& s : secrets_)
            for (std::size_t at = 0; (at = text->find(s, at)) != std::string::npos;) text->replace(at, s.size(), "***");
    error e =
        to_error(status, phase::login,
                 fmt::format("{} refused the login of {}", settings_.where.host, quote_server_text(login_name(), 200)));
    // Only the mechanism was refused, not the password: another one may do.
    const bool mechanism_only = e.response_code == "CANNOT" || ascii_lower(status.text).contains("mechanism");
    if (method != "LOGIN" && (mechanism_only || status.kind == imap::status_kind::bad)) return false;
    if (e.cls == retry_class::permanent) e.cls = retry_class::auth;
    if (e.cls == retry_class::auth)
        e.advice = ascii_lower(status.text).find("basic authentication is disabled") != std::string::npos
                       ? "This server wants OAuth 2: auth=xoauth2 with a token"
                       : "Check user name and password";
    return std::unexpected(std::move(e));
}

task<result<bool>> imap_session::try_mechanism(std::string_view name) {
    sasl::credentials who{.authentication_id = login_name(),
                          .authorization_id = {},
                          .password = settings_.password,
                          .host = settings_.where.host,
                          .port = settings_.where.port};
    if (!settings_.admin.empty() && settings_.form == admin_form::sasl) who.authorization_id = settings_.user;
    auto made = sasl::make(name, who);
    if (!made) co_return std::unexpected(made.error());
    sasl::mechanism& mechanism = **made;

    std::string line = fmt::format("AUTHENTICATE {}", name);
    bool first_sent = false;
    if (mechanism.client_first() && (capabilities_.has("SASL-IR") || capabilities_.has("IMAP4REV2"))) {
        const auto first = mechanism.step({});
        if (!first) co_return std::unexpected(first.error());
        line += ' ';
        line += first->empty() ? "=" : sasl::base64_encode(first->reveal());
        keep_secret(sasl::base64_encode(first->reveal()));
        first_sent = true;
    }
    // "*" gives the exchange up (RFC 3501, 6.2.2); the tagged BAD that follows is then explained by this.
    std::optional<error> given_up;
    on_challenge_ = [&](std::string_view text) -> result<std::string> {
        const auto octets = sasl::base64_decode(text);
        const bool begins = !first_sent && mechanism.client_first();
        if (!octets && !begins) {
            given_up = error{.cls = retry_class::protocol,
                             .where = phase::login,
                             .what = "The server's challenge is no base64",
                             .server_said = {},
                             .advice = {},
                             .response_code = {}};
            return std::string("*");
        }
        first_sent = true;
        const auto answer = mechanism.step(begins ? std::string_view{} : std::string_view(*octets));
        if (!answer) {
            given_up = answer.error();
            return std::string("*");
        }
        keep_secret(sasl::base64_encode(answer->reveal()));
        return sasl::base64_encode(answer->reveal());
    };
    auto status = co_await run({line}, {}, {.interactive = true, .exclusive = true});
    on_challenge_ = {};
    if (!status) co_return std::unexpected(status.error());
    if (given_up) co_return std::unexpected(*given_up);
    if (status->kind == imap::status_kind::ok && !mechanism.complete())
        co_return fail(retry_class::auth, phase::login,
                       fmt::format("{} did not prove that it knows the password ({})", settings_.where.host, name),
                       "Somebody may be standing in for the server");
    if (status->kind != imap::status_kind::ok && !mechanism.server_error().empty())
        status->text += " " + mechanism.server_error();
    co_return judge_login(*status, name);
}

task<result<bool>> imap_session::try_login_command() {
    imap::command_encoder command = encoder();
    command.raw("LOGIN ").string(login_name()).space().string(settings_.password.reveal());
    if (!command.valid())
        co_return fail(retry_class::config, phase::login,
                       "User name or password holds a NUL octet, which LOGIN cannot carry");
    std::vector<std::string> pieces = command.take();
    // A line end within a name or a password would end what the wire trace takes for LOGIN's arguments.
    hides_all_ = std::ranges::any_of(pieces, [](const std::string& p) { return p.contains('\n'); });
    const auto status = co_await run(std::move(pieces), {}, {.interactive = false, .exclusive = true});
    hides_all_ = false;
    if (!status) co_return std::unexpected(status.error());
    co_return judge_login(*status, "LOGIN");
}

} // namespace postferry::client

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
    auto line = co_await open_line(ex, settings);
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
        error why = got.error();
        const bool silent = why.cls == retry_class::transient && !bye_ && !connection_->encrypted();
        co_return std::unexpected(silent ? silent_greeting(std::move(why), "imaps") : std::move(why));
    }
    if (auto safe = co_await secure(); !safe) co_return safe;
    if (!preauth_) {
        if (!capabilities_fresh_)
            if (auto asked = co_await ask_capabilities(); !asked) co_return asked;
        capabilities_fresh_ = false;
        if (auto in = co_await log_in(); !in) co_return in;
    }
    if (!capabilities_fresh_)
        if (auto asked = co_await ask_capabilities(); !asked) co_return asked;
    if (settings_.compress == compression::on && may_compress()) co_return co_await compress();
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
    // Behind PREAUTH no STARTTLS is possible any more (RFC 3501, 6.2.1): an attacker in the middle would say it to keep
    // the line in the clear.
    if (preauth_)
        co_return fail(retry_class::config, phase::tls,
                       fmt::format("{} says PREAUTH before the line is encrypted", settings_.where.host),
                       "Use imaps:// if the server has a TLS port, or tls=off to go without encryption");
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
    if (!talk_.at_boundary() || progress_.told() > 0)
        co_return fail(retry_class::protocol, phase::tls,
                       "The server sent data before the TLS handshake; somebody may be tampering with the line");
    auto done = co_await connection_->start_tls(settings_.tls, deadline::in(settings_.connect_patience));
    if (!done) co_return done;
    capabilities_ = {};
    capabilities_fresh_ = false;
    co_return result<void>{};
}

task<result<void>> imap_session::log_in() {
    secrets_.keep(settings_.password.reveal());
    const bool encrypted = connection_->encrypted();
    const std::vector<std::string> offered = capabilities_.auth_mechanisms();
    for (const std::string& name : mechanisms_to_try(settings_, offered, encrypted)) {
        const auto in = co_await try_mechanism(name);
        if (!in) co_return std::unexpected(in.error());
        if (*in) co_return result<void>{};
    }
    if (may_show_password(settings_, encrypted) && !capabilities_.has("LOGINDISABLED")) {
        const auto in = co_await try_login_command();
        if (!in) co_return std::unexpected(in.error());
        if (*in) co_return result<void>{};
    }
    const bool wants_tls = settings_.tls.mode == net::tls_mode::off && !encrypted;
    if (wants_tls && offered.empty() && capabilities_.has("LOGINDISABLED"))
        co_return fail(retry_class::config, phase::login,
                       fmt::format("{} lets nobody log in without TLS", settings_.where.host),
                       "Leave tls=off away, or use imaps://");
    co_return std::unexpected(no_login_fits(settings_, offered, encrypted, "imaps"));
}

result<bool> imap_session::judge_login(imap::status_response status, std::string_view method) {
    if (status.kind == imap::status_kind::ok) {
        login_method_ = method;
        return true;
    }
    secrets_.blot_out(status.text);
    if (status.code) secrets_.blot_out(status.code->args);
    error e = to_error(
        status, phase::login,
        fmt::format("{} refused the login of {}", settings_.where.host, quote_server_text(login_name(settings_), 200)));
    // Only the mechanism was refused, not the password: another one may do.
    const bool mechanism_only = e.response_code == "CANNOT" || ascii_lower(status.text).contains("mechanism");
    if (method != "LOGIN" && (mechanism_only || status.kind == imap::status_kind::bad)) return false;
    if (e.cls == retry_class::permanent) e.cls = retry_class::auth;
    if (e.cls == retry_class::auth) e.advice = advice_on_refusal(status.text, method);
    return std::unexpected(std::move(e));
}

task<result<bool>> imap_session::try_mechanism(std::string_view name) {
    auto exchange = sasl_exchange::begin(name, settings_, secrets_);
    if (!exchange) co_return std::unexpected(exchange.error());
    std::string line = fmt::format("AUTHENTICATE {}", name);
    if (capabilities_.has("SASL-IR") || capabilities_.has("IMAP4REV2")) {
        const auto first = exchange->initial();
        if (!first) co_return std::unexpected(first.error());
        if (*first) line += " " + **first;
    }
    // "*" gives the exchange up (RFC 3501, 6.2.2); the tagged BAD that follows is then explained by this.
    on_challenge_ = [&](std::string_view text) -> result<std::string> { return exchange->answer(text); };
    auto status = co_await run({line}, {}, {.interactive = true, .exclusive = true});
    on_challenge_ = {};
    if (!status) co_return std::unexpected(status.error());
    if (exchange->given_up()) co_return std::unexpected(*exchange->given_up());
    if (status->kind == imap::status_kind::ok) {
        if (auto proven = exchange->confirm(settings_.where.host); !proven) co_return std::unexpected(proven.error());
    } else if (!exchange->server_error().empty()) {
        status->text += " " + exchange->server_error();
    }
    co_return judge_login(*status, name);
}

task<result<bool>> imap_session::try_login_command() {
    imap::command_encoder command = encoder();
    command.raw("LOGIN ").string(login_name(settings_)).space().string(settings_.password.reveal());
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

// From the TCP connection to the authenticated state: greeting, STLS (RFC 2595), SASL (RFC 5034), USER and PASS.
#include "base/text.hpp"
#include "client/pop3_session.hpp"

#include <fmt/format.h>

#include <array>

namespace postferry::client {

task<result<std::unique_ptr<pop3_session>>> pop3_session::open(executor ex, pop3_settings settings,
                                                               std::shared_ptr<block_pool> blocks) {
    auto line = co_await open_line(ex, settings);
    if (!line) co_return std::unexpected(line.error());
    co_return co_await open_on(std::move(*line), std::move(settings), std::move(blocks));
}

task<result<std::unique_ptr<pop3_session>>> pop3_session::open_on(std::unique_ptr<net::connection> line,
                                                                  pop3_settings settings,
                                                                  std::shared_ptr<block_pool> blocks) {
    std::unique_ptr<pop3_session> session(new pop3_session(std::move(settings), std::move(blocks)));
    session->connection_ = std::move(line);
    auto ready = co_await session->start();
    if (!ready) {
        session->close();
        co_return std::unexpected(ready.error());
    }
    co_return std::move(session);
}

task<result<void>> pop3_session::start() {
    while (!greeted_) {
        auto got = co_await receive();
        if (got) continue;
        error why = got.error();
        const bool silent = why.cls == retry_class::transient && why.server_said.empty() && !connection_->encrypted();
        co_return std::unexpected(silent ? silent_greeting(std::move(why), "pop3s") : std::move(why));
    }
    if (auto asked = co_await ask_capabilities(); !asked) co_return asked;
    if (auto safe = co_await secure(); !safe) co_return safe;
    if (capabilities_.has("UTF8")) { // else a server would rewrite headers in UTF-8 for us (RFC 6856, section 2.1)
        const auto status = co_await run(pop3::utf8());
        if (!status) co_return std::unexpected(status.error());
    }
    if (auto in = co_await log_in(); !in) co_return in;
    // Asked again: some servers tell UIDL and PIPELINING behind the login only (docs/quirks.md#capa-after-login).
    if (auto asked = co_await ask_capabilities(); !asked) co_return asked;
    talk_.set_pipelining(capabilities_.has("PIPELINING"));
    co_return result<void>{};
}

/// A server without CAPA (RFC 1939 knows none) answers -ERR: nothing is known of it then.
task<result<void>> pop3_session::ask_capabilities() {
    pop3::capability_list told;
    const auto status = co_await run(pop3::capa(), [&told](std::string_view line) { told.add(line); });
    if (!status) co_return std::unexpected(status.error());
    capabilities_ = std::move(told);
    co_return result<void>{};
}

task<result<void>> pop3_session::secure() {
    const net::tls_mode mode = settings_.tls.mode;
    if (mode == net::tls_mode::implicit || mode == net::tls_mode::off || connection_->encrypted())
        co_return result<void>{};
    if (!capabilities_.has("STLS")) {
        if (mode == net::tls_mode::detect) co_return result<void>{};
        co_return fail(retry_class::config, phase::tls,
                       fmt::format("{} does not offer STLS, and tls=require asks for it", settings_.where.host),
                       "Use pop3s:// if the server has a TLS port, or tls=off to go without encryption");
    }
    const auto status = co_await run(pop3::stls());
    if (!status) co_return std::unexpected(status.error());
    if (!status->ok) co_return std::unexpected(to_error(*status, phase::tls, "The server refused STLS"));
    // Anything that came in the clear behind the answer was put there by somebody else (CVE-2011-0411).
    if (!talk_.at_boundary())
        co_return fail(retry_class::protocol, phase::tls,
                       "The server sent data before the TLS handshake; somebody may be tampering with the line");
    auto done = co_await connection_->start_tls(settings_.tls, deadline::in(settings_.connect_patience));
    if (!done) co_return done;
    co_return co_await ask_capabilities();
}

task<result<void>> pop3_session::log_in() {
    secrets_.keep(settings_.password.reveal());
    const bool encrypted = connection_->encrypted();
    const std::vector<std::string> offered = capabilities_.arguments("SASL");
    for (const std::string& name : mechanisms_to_try(settings_, offered, encrypted)) {
        const auto in = co_await try_mechanism(name);
        if (!in) co_return std::unexpected(in.error());
        if (*in) co_return result<void>{};
    }
    if (may_show_password(settings_, encrypted)) {
        const auto in = co_await try_user_and_pass();
        if (!in) co_return std::unexpected(in.error());
        if (*in) co_return result<void>{};
    }
    co_return std::unexpected(no_login_fits(settings_, offered, encrypted, "pop3s"));
}

result<bool> pop3_session::judge_login(pop3::status_line status, std::string_view method) {
    if (status.ok) {
        login_method_ = method;
        return true;
    }
    secrets_.blot_out(status.text);
    error e = to_error(
        status, phase::login,
        fmt::format("{} refused the login of {}", settings_.where.host, quote_server_text(login_name(settings_), 200)),
        login_delay(capabilities_));
    // Only the mechanism was refused, not the password: another one may do.
    constexpr std::array<std::string_view, 5> about_the_mechanism{"mechanism", "authentication type", "not supported",
                                                                  "unknown command", "invalid command"};
    const std::string text = ascii_lower(status.text);
    const bool mechanism_only =
        status.code.empty() && std::ranges::any_of(about_the_mechanism, [&](auto part) { return text.contains(part); });
    if (method != "PASS" && mechanism_only) return false;
    if (e.cls == retry_class::permanent && status.code.empty()) e.cls = retry_class::auth;
    if (e.cls == retry_class::auth) e.advice = advice_on_refusal(status.text, method);
    return std::unexpected(std::move(e));
}

task<result<bool>> pop3_session::try_mechanism(std::string_view name) {
    auto exchange = sasl_exchange::begin(name, settings_, secrets_);
    if (!exchange) co_return std::unexpected(exchange.error());
    const auto first = exchange->initial();
    if (!first) co_return std::unexpected(first.error());
    bool first_asked_for = false;
    // An empty challenge in the beginning asks for what the command could not carry, or for what a server of RFC 1734
    // did not read behind it.
    on_challenge_ = [&](std::string_view text) -> std::string {
        if (*first && text.empty() && !std::exchange(first_asked_for, true)) return **first == "=" ? "" : **first;
        return exchange->answer(text);
    };
    auto status = co_await run(pop3::auth(name, *first));
    on_challenge_ = {};
    if (!status) co_return std::unexpected(status.error());
    if (exchange->given_up()) co_return std::unexpected(*exchange->given_up());
    if (status->ok) {
        if (auto proven = exchange->confirm(settings_.where.host); !proven) co_return std::unexpected(proven.error());
    } else if (!exchange->server_error().empty()) {
        status->text += " " + exchange->server_error();
    }
    co_return judge_login(std::move(*status), name);
}

task<result<bool>> pop3_session::try_user_and_pass() {
    auto user = pop3::user(login_name(settings_));
    auto pass = pop3::pass(settings_.password.reveal());
    if (!user || !pass)
        co_return fail(retry_class::config, phase::login,
                       "User name or password holds a line end or a NUL octet, which USER and PASS cannot carry");
    auto status = co_await run(std::move(*user));
    if (!status) co_return std::unexpected(status.error());
    if (!status->ok) co_return judge_login(std::move(*status), "PASS");
    status = co_await run(std::move(*pass));
    if (!status) co_return std::unexpected(status.error());
    co_return judge_login(std::move(*status), "PASS");
}

} // namespace postferry::client

#include "client/lmtp_session.hpp"

#include "base/text.hpp"

#include <boost/asio/ip/host_name.hpp>
#include <fmt/format.h>

#include <array>

namespace postferry::client {

namespace {

constexpr std::size_t read_octets = 8'192;

bool is_about(const smtp::reply& r, std::uint16_t subject, std::uint16_t detail) {
    return r.enhanced && r.enhanced->subject == subject && r.enhanced->detail == detail;
}

bool is_over_quota(const smtp::reply& r) {
    if (is_about(r, 2, 2)) return true;
    if (r.code != 452 && r.code != 552) return false;
    const std::string text = ascii_lower(r.text());
    return text.contains("quota") || text.contains("mailbox full") || text.contains("mailbox is full");
}

} // namespace

error to_error(const smtp::reply& reply, phase where, std::string what) {
    error out{.cls = reply.transient() ? retry_class::transient : retry_class::permanent,
              .where = where,
              .what = std::move(what),
              .server_said = quote_server_text(reply.text()),
              .advice = {},
              .response_code = {}};
    if (is_over_quota(reply)) {
        out.cls = retry_class::permanent;
        out.response_code = "OVERQUOTA";
    } else if (reply.permanent() && (reply.code == 552 || is_about(reply, 3, 4) || is_about(reply, 2, 3))) {
        out.response_code = "TOOBIG";
    } else if (reply.transient() && reply.enhanced && reply.enhanced->subject == 6) {
        out.cls = retry_class::permanent;
    } else if (!reply.positive() && !reply.transient() && !reply.permanent()) {
        out.cls = retry_class::protocol;
    }
    return out;
}

task<result<std::unique_ptr<lmtp_session>>> lmtp_session::open(executor ex, lmtp_settings settings) {
    auto line = co_await open_line(ex, settings);
    if (!line) co_return std::unexpected(line.error());
    co_return co_await open_on(std::move(*line), std::move(settings));
}

task<result<std::unique_ptr<lmtp_session>>> lmtp_session::open_on(std::unique_ptr<net::connection> line,
                                                                  lmtp_settings settings) {
    std::unique_ptr<lmtp_session> session(new lmtp_session(std::move(settings)));
    session->connection_ = std::move(line);
    if (auto ok = co_await session->start(); !ok) co_return std::unexpected(ok.error());
    co_return session;
}

task<result<void>> lmtp_session::start() {
    auto hello = co_await read();
    if (!hello) co_return std::unexpected(hello.error());
    greeted_ = true;
    greeting_ = quote_server_text(hello->text());
    if (!hello->positive())
        co_return std::unexpected(
            to_error(*hello, phase::greeting, fmt::format("{} turned us away", settings_.where.host)));
    if (auto ok = co_await greet(); !ok) co_return ok;
    if (auto ok = co_await secure(); !ok) co_return ok;
    co_return co_await ask_for_recipient();
}

task<result<void>> lmtp_session::greet() {
    boost::system::error_code ec;
    const std::string name = smtp::greeting_name(boost::asio::ip::host_name(ec));
    const auto answer = co_await ask("LHLO " + name);
    if (!answer) co_return std::unexpected(answer.error());
    if (!answer->positive()) {
        error why = to_error(*answer, phase::greeting, fmt::format("{} refused LHLO", settings_.where.host));
        // An SMTP server knows no LHLO (RFC 2033, 4.1).
        if (answer->permanent()) {
            why.cls = retry_class::config;
            why.advice = "Is the port right? LMTP often listens on 24; the ports 25, 465 and 587 are SMTP's";
        }
        co_return std::unexpected(why);
    }
    extensions_ = smtp::extension_list::from(*answer);
    co_return result<void>{};
}

task<result<void>> lmtp_session::secure() {
    const net::tls_mode mode = settings_.tls.mode;
    if (mode == net::tls_mode::implicit || mode == net::tls_mode::off || connection_->encrypted())
        co_return result<void>{};
    if (!extensions_.has("STARTTLS")) {
        if (mode == net::tls_mode::detect) co_return result<void>{}; // there is no password to protect
        co_return fail(retry_class::config, phase::tls,
                       fmt::format("{} does not offer STARTTLS, and tls=require asks for it", settings_.where.host),
                       "Use tls=off to go without encryption");
    }
    const auto answer = co_await ask("STARTTLS");
    if (!answer) co_return std::unexpected(answer.error());
    if (!answer->positive()) co_return std::unexpected(to_error(*answer, phase::tls, "The server refused STARTTLS"));
    // Anything that came in the clear behind the answer was put there by somebody else (CVE-2011-0411).
    if (parser_.has_leftover())
        co_return fail(retry_class::protocol, phase::tls,
                       "The server sent data before the TLS handshake; somebody may be tampering with the line");
    auto done = co_await connection_->start_tls(settings_.tls, deadline::in(settings_.connect_patience));
    if (!done) co_return done;
    co_return co_await greet();
}

// So that a wrong name is one failure and not one for each message.
task<result<void>> lmtp_session::ask_for_recipient() {
    const auto path = smtp::path_of(settings_.user, extensions_.has("SMTPUTF8"));
    if (!path)
        co_return fail(retry_class::config, phase::login,
                       fmt::format("{} cannot be said to {} as a recipient", quote_server_text(settings_.user, 200),
                                   settings_.where.host));
    recipient_ = *path;
    for (const std::string& line : {std::string("MAIL FROM:<>"), "RCPT TO:" + recipient_}) {
        const auto answer = co_await ask(line);
        if (!answer) co_return std::unexpected(answer.error());
        if (answer->positive()) continue;
        error why =
            to_error(*answer, phase::login, fmt::format("{} takes no mail for {}", settings_.where.host, recipient_));
        if (why.response_code == "OVERQUOTA") break;
        if (why.cls == retry_class::permanent) {
            why.cls = retry_class::config;
            why.advice = "Check the user in the target's URL";
        }
        co_return std::unexpected(why);
    }
    const auto answer = co_await ask("RSET");
    if (!answer) co_return std::unexpected(answer.error());
    if (!answer->positive()) co_return std::unexpected(to_error(*answer, phase::login, "The server refused RSET"));
    co_return result<void>{};
}

task<result<smtp::reply>> lmtp_session::ask(std::string line) {
    if (auto sent = co_await command(line); !sent) co_return std::unexpected(sent.error());
    co_return co_await read();
}

task<result<void>> lmtp_session::command(std::string_view line) {
    const std::string text = fmt::format("{}\r\n", line);
    co_return co_await write(text, true);
}

task<result<void>> lmtp_session::write(std::string_view octets, bool shown_in_trace) {
    if (failure_) co_return std::unexpected(*failure_);
    if (settings_.trace && shown_in_trace) settings_.trace.command(octets);
    const iovec piece{const_cast<char*>(octets.data()), octets.size()};
    auto sent = co_await connection_->write({&piece, 1}, settings_.answer_patience, deadline::never());
    if (!sent) co_return std::unexpected(dead(sent.error()));
    co_return result<void>{};
}

task<result<smtp::reply>> lmtp_session::read() {
    if (failure_) co_return std::unexpected(*failure_);
    const deadline until = deadline::in(greeted_ ? settings_.answer_patience : settings_.connect_patience);
    while (true) {
        auto event = parser_.next();
        if (auto* r = std::get_if<smtp::reply>(&event)) co_return std::move(*r);
        if (const auto* bad = std::get_if<smtp::reply_parser::broken>(&event)) {
            error why =
                fail(retry_class::protocol, phase::connect,
                     fmt::format("{} does not speak LMTP that can be trusted: {}", settings_.where.host, bad->what),
                     "Is the port right, and is it an LMTP server?")
                    .error();
            why.server_said = quote_server_text(bad->said);
            co_return std::unexpected(dead(std::move(why)));
        }
        std::array<char, read_octets> room; // NOLINT: filled by the read
        const auto n = co_await connection_->read_some(room, until);
        if (!n) co_return std::unexpected(dead(n.error()));
        if (*n == 0)
            co_return std::unexpected(dead(fail(retry_class::transient, phase::connect,
                                                fmt::format("{} closed the connection", settings_.where.host))
                                               .error()));
        const std::string_view octets(room.data(), *n);
        if (settings_.trace) traced_.show(octets, settings_.trace);
        parser_.feed(octets);
    }
}

error lmtp_session::dead(error why) {
    // A connection that dies by our own closing must not hide why it was closed.
    if (!failure_) failure_ = std::move(why);
    connection_->close();
    return *failure_;
}

task<result<void>> lmtp_session::pace() {
    if (failure_ || !settings_.allowance) co_return result<void>{};
    const auto when = settings_.allowance->begin_messages(1, std::chrono::steady_clock::now());
    if (!when) co_return std::unexpected(when.error());
    co_await pacing_.wait_until(*when);
    co_return result<void>{}; // whoever closed the line meanwhile hears of it at the next read or write
}

void lmtp_session::close() noexcept {
    pacing_.stop();
    connection_->close();
}

task<> lmtp_session::quit() {
    if (!failure_) {
        settings_.answer_patience = std::min(settings_.answer_patience, settings_.goodbye_patience);
        (void)co_await ask("QUIT");
    }
    connection_->close();
}

} // namespace postferry::client

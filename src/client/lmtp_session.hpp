#pragma once
#include "base/error.hpp"
#include "client/server_line.hpp"
#include "client/server_settings.hpp"
#include "client/wire_lines.hpp"
#include "net/connection.hpp"
#include "protocol/smtp/command.hpp"
#include "protocol/smtp/reply_parser.hpp"

#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace postferry::client {

using lmtp_settings = server_settings;

/// One LMTP connection (RFC 2033) that delivers to one recipient: settings.user. Commands are written and replies are
/// read by whoever uses it, in whatever pipelining it likes. Everything on one strand.
///
/// After any failure of write() or read() the session is dead; what failed is also in `failure()`.
class lmtp_session {
  public:
    /// Connects, greets, begins TLS where it is offered (or as settings say), and asks for the recipient without giving
    /// it anything. Errors: as net::connection::open; login: config (no LMTP server, the recipient is unknown or cannot
    /// be said), transient (a 4xx). A full mailbox is no failure here: it is told for each message.
    static task<result<std::unique_ptr<lmtp_session>>> open(executor ex, lmtp_settings settings);
    /// The same on a line that is already there (and, with tls_mode::implicit, encrypted).
    static task<result<std::unique_ptr<lmtp_session>>> open_on(std::unique_ptr<net::connection> line,
                                                               lmtp_settings settings);

    lmtp_session(const lmtp_session&) = delete;
    lmtp_session& operator=(const lmtp_session&) = delete;

    [[nodiscard]] const smtp::extension_list& extensions() const noexcept { return extensions_; }
    [[nodiscard]] const lmtp_settings& settings() const noexcept { return settings_; }
    [[nodiscard]] std::string peer() const { return connection_->peer(); }
    [[nodiscard]] std::string tls_summary() const { return connection_->tls_summary(); }
    /// For the log: nobody logs in.
    [[nodiscard]] std::string_view login_method() const noexcept { return "its name as a recipient"; }
    [[nodiscard]] const std::string& greeting() const noexcept { return greeting_; }
    [[nodiscard]] const std::string& recipient() const noexcept { return recipient_; } ///< "<anna@example.org>"

    /// A command line without its end, for write().
    task<result<void>> command(std::string_view line);
    /// Octets as they are: several command lines, a message.
    task<result<void>> write(std::string_view octets, bool shown_in_trace);
    /// The next reply; waits at most answer_patience. 421 is a reply too: the line is dead behind it.
    task<result<smtp::reply>> read();
    /// Waits until another message may be brought (lmtp_settings::allowance). Throttled: a budget is spent.
    task<result<void>> pace();

    [[nodiscard]] const std::optional<error>& failure() const noexcept { return failure_; }
    void close() noexcept;
    /// See net::connection.
    void discard_unsent(bool on) noexcept { connection_->discard_unsent(on); }
    /// Waits for no more than a moment.
    task<> quit();

  private:
    explicit lmtp_session(lmtp_settings settings) : settings_(std::move(settings)) {}

    task<result<void>> start();
    task<result<void>> greet();
    task<result<void>> secure();
    task<result<void>> ask_for_recipient();
    /// One command and its reply.
    task<result<smtp::reply>> ask(std::string line);
    error dead(error why);

    lmtp_settings settings_;
    std::unique_ptr<net::connection> connection_;
    smtp::reply_parser parser_;
    smtp::extension_list extensions_;
    std::string greeting_, recipient_;
    wire_lines traced_;
    std::optional<error> failure_;
    pacing pacing_;
    bool greeted_ = false;
};

/// What a refusal means, by enhanced status first (RFC 3463), code second. Over quota: permanent, response code
/// OVERQUOTA. Too large: permanent, TOOBIG. 4xx is transient (421 too, which also ends the line), but 4.6.x, which is
/// about the message alone, permanent.
[[nodiscard]] error to_error(const smtp::reply& reply, phase where, std::string what);

} // namespace postferry::client

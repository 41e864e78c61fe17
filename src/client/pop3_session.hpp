#pragma once
#include "base/error.hpp"
#include "client/block.hpp"
#include "client/login.hpp"
#include "client/server_line.hpp"
#include "client/server_settings.hpp"
#include "net/connection.hpp"
#include "protocol/pop3/conversation.hpp"

#include <boost/asio/steady_timer.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace postferry::client {

using pop3_settings = server_settings;

/// Takes messages as they arrive. A call that waits holds the connection back: that is the back-pressure.
class pop3_body_sink {
  public:
    virtual ~pop3_body_sink() = default;
    virtual task<result<void>> body_begin(pop3::command_id command) = 0;
    /// The octets live as long as `owner`, or for ever.
    virtual task<result<void>> body_chunk(const block_ref& owner, std::string_view octets) = 0;
    /// The command's whole answer is there; without body_begin before it, it is a refusal.
    virtual task<result<void>> body_end(pop3::command_id command, const pop3::status_line& status) = 0;
};

/// One authenticated POP3 connection: a conversation over a net::connection. Commands are submitted; they are pipelined
/// where the server offers that. At most one coroutine receives and one writes at a time. Everything on one strand.
///
/// After any failure of flush() or receive() the session is dead; what failed is also in `failure()`.
class pop3_session {
  public:
    using line_handler = std::function<void(std::string_view line)>;
    using done_handler = std::function<void(const pop3::status_line& status)>;

    /// Connects, secures and logs in as settings say. Errors: as net::connection::open; login: auth (refused), config
    /// (nothing fits: what the server offers is named), transient ([IN-USE]: another session holds the maildrop),
    /// throttled ([LOGIN-DELAY], with the pause).
    static task<result<std::unique_ptr<pop3_session>>> open(executor ex, pop3_settings settings,
                                                            std::shared_ptr<block_pool> blocks);
    /// The same on a line that is already there (and, with tls_mode::implicit, encrypted).
    static task<result<std::unique_ptr<pop3_session>>>
    open_on(std::unique_ptr<net::connection> line, pop3_settings settings, std::shared_ptr<block_pool> blocks);

    ~pop3_session();
    pop3_session(const pop3_session&) = delete;
    pop3_session& operator=(const pop3_session&) = delete;

    /// As told behind the login.
    [[nodiscard]] const pop3::capability_list& capabilities() const noexcept { return capabilities_; }
    [[nodiscard]] const pop3_settings& settings() const noexcept { return settings_; }
    [[nodiscard]] std::string peer() const { return connection_->peer(); }
    [[nodiscard]] std::string tls_summary() const { return connection_->tls_summary(); }
    [[nodiscard]] const std::string& login_method() const noexcept { return login_method_; }
    [[nodiscard]] const std::string& greeting() const noexcept { return greeting_; }

    /// Queues a command. `on_line` gets a listing's lines. Bodies go to the body sink.
    pop3::command_id submit(pop3::command command, line_handler on_line = {}, done_handler on_done = {});
    /// Sends one command and waits for its end. The status is returned as it came, -ERR included.
    task<result<pop3::status_line>> run(pop3::command command, line_handler on_line = {});
    /// Sends and receives until every submitted command is finished.
    task<result<void>> settle();
    task<result<void>> flush();
    /// Reads once and hands everything that came to the handlers. Waits at most answer_patience.
    task<result<void>> receive();
    [[nodiscard]] std::size_t unfinished() const noexcept { return talk_.unfinished(); }

    /// Waits until so many messages may be asked for (pop3_settings::allowance). Throttled: a budget is spent.
    task<result<void>> pace(std::size_t messages);

    void set_body_sink(pop3_body_sink* sink) noexcept { sink_ = sink; }
    [[nodiscard]] const std::optional<error>& failure() const noexcept { return failure_; }
    void close() noexcept;
    /// QUIT, unless commands are still unanswered; waits for server_settings::goodbye_patience at most, and close()
    /// ends that. What was read is not marked as seen where that can be helped. Where `politely` is false the
    /// connection is just closed: then the server removes nothing, whatever its rules are (RFC 1939, section 6).
    task<> quit(bool politely);

  private:
    struct pending {
        pop3::command_id id = 0;
        bool body = false;
        line_handler on_line;
        done_handler on_done;
    };
    pop3_session(pop3_settings settings, std::shared_ptr<block_pool> blocks);

    task<> leave_no_trace();
    task<result<void>> start();
    task<result<void>> secure();
    task<result<void>> ask_capabilities();
    task<result<void>> log_in();
    task<result<bool>> try_mechanism(std::string_view name);
    task<result<bool>> try_user_and_pass();
    result<bool> judge_login(pop3::status_line status, std::string_view method);
    result<void> check_progress(const pop3::conversation::event& e);
    task<result<void>> dispatch(pop3::conversation::event e);
    task<result<void>> on_completed(pop3::conversation::completed done);
    void trace(std::string_view server_line);
    void trace(const pop3::status_line& status);
    error dead(error why);
    error closed_by_peer() const;

    pop3_settings settings_;
    std::unique_ptr<net::connection> connection_;
    pop3::conversation talk_;
    std::shared_ptr<block_pool> blocks_;
    block_ref block_;
    pop3::capability_list capabilities_;
    std::deque<pending> pending_; ///< oldest first: POP3 answers in order
    pop3_body_sink* sink_ = nullptr;
    std::function<std::string(std::string_view)> on_challenge_;
    pacing pacing_;
    std::optional<error> failure_, goodbye_;
    std::string greeting_, login_method_;
    said_secrets secrets_;
    talk_watch progress_;
    deadline last_word_ = deadline::never(); ///< behind QUIT
    std::uint64_t body_octets_ = 0;          ///< of the message that is arriving, for the trace
    bool greeted_ = false, retrieved_ = false;
};

/// What an -ERR means, by response code first (RFC 2449, section 8; RFC 3206) and known texts second.
/// @param login_delay seconds, as told by the capability LOGIN-DELAY; 0: not told
[[nodiscard]] error to_error(const pop3::status_line& status, phase where, std::string what,
                             std::uint32_t login_delay = 0);

/// Seconds between two logins that the server wants (RFC 2449, section 6.7); 0: it does not say.
[[nodiscard]] std::uint32_t login_delay(const pop3::capability_list& can);
/// The server may remove what was retrieved when the session ends by QUIT (RFC 2449, section 6.8: EXPIRE 0).
[[nodiscard]] bool removes_what_was_read(const pop3::capability_list& can);

} // namespace postferry::client

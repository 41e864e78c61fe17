#pragma once
#include "base/error.hpp"
#include "client/block.hpp"
#include "client/line_gauge.hpp"
#include "client/login.hpp"
#include "client/server_line.hpp"
#include "client/server_settings.hpp"
#include "client/wire_lines.hpp"
#include "net/allowance.hpp"
#include "net/connection.hpp"
#include "net/wire_trace.hpp"
#include "protocol/imap/command_encoder.hpp"
#include "protocol/imap/conversation.hpp"
#include "protocol/sasl/mechanism.hpp"

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::client {

using imap_settings = server_settings;

class capability_set {
  public:
    void assign(std::vector<std::string> upper_case);
    [[nodiscard]] bool has(std::string_view name) const noexcept; ///< upper case
    /// The rest of the first capability that begins with `prefix`: value_of("APPENDLIMIT=") -> "35651584".
    [[nodiscard]] std::optional<std::string_view> value_of(std::string_view prefix) const noexcept;
    [[nodiscard]] std::vector<std::string> auth_mechanisms() const;
    [[nodiscard]] imap::literal_mode literals() const noexcept;
    [[nodiscard]] const std::vector<std::string>& all() const noexcept { return names_; }
    [[nodiscard]] bool empty() const noexcept { return names_.empty(); }

  private:
    std::vector<std::string> names_;
};

/// Takes message bodies as they arrive. A call that waits holds the connection back: that is the back-pressure.
class body_sink {
  public:
    virtual ~body_sink() = default;
    virtual task<result<void>> body_begin(imap::command_id command, const imap::response_parser::body_begin& body) = 0;
    virtual task<result<void>> body_chunk(const block_ref& owner, std::string_view octets) = 0;
    /// Comes when the response has gone on behind the body as it should: a literal that was shorter than announced has
    /// swallowed what follows it, and such a body never ends.
    virtual task<result<void>> body_end() = 0;
};

/// One authenticated IMAP connection: a conversation over a net::connection. Commands are submitted and pipelined;
/// whoever wants answers calls flush() and receive() (or run() and settle(), which do both). At most one coroutine
/// receives and one writes at a time. Everything on one strand.
///
/// After any failure of flush() or receive() the session is dead; what failed is also in `failure()`.
class imap_session {
  public:
    using handler = std::function<void(imap::response&)>;
    using done_handler = std::function<void(imap::conversation::completed&)>;

    /// Connects, secures and logs in as settings say. Errors: as net::connection::open; login: auth (refused), config
    /// (nothing fits: what the server offers is named), transient ([UNAVAILABLE], too many connections).
    static task<result<std::unique_ptr<imap_session>>> open(executor ex, imap_settings settings,
                                                            std::shared_ptr<block_pool> blocks);
    /// The same on a line that is already there (and, with tls_mode::implicit, encrypted).
    static task<result<std::unique_ptr<imap_session>>>
    open_on(std::unique_ptr<net::connection> line, imap_settings settings, std::shared_ptr<block_pool> blocks);

    ~imap_session();
    imap_session(const imap_session&) = delete;
    imap_session& operator=(const imap_session&) = delete;

    [[nodiscard]] const capability_set& capabilities() const noexcept { return capabilities_; }
    [[nodiscard]] const imap_settings& settings() const noexcept { return settings_; }
    [[nodiscard]] std::string peer() const { return connection_->peer(); }
    [[nodiscard]] std::string tls_summary() const { return connection_->tls_summary(); }
    [[nodiscard]] const std::string& login_method() const noexcept { return login_method_; }
    [[nodiscard]] const std::string& greeting() const noexcept { return greeting_; }
    /// What the server said to ID (RFC 2971), once somebody has asked; keys in lower case.
    [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& id() const noexcept { return id_; }

    /// Queues a command. `on_data` gets the untagged answers that come while it is the oldest unfinished one.
    imap::command_id submit(std::vector<std::string> pieces, handler on_data = {}, done_handler on_done = {},
                            imap::conversation::options how = {});
    /// Sends one command and waits for its end. The status is returned as it came, NO and BAD included.
    task<result<imap::status_response>> run(std::vector<std::string> pieces, handler on_data = {},
                                            imap::conversation::options how = {});
    /// Sends and receives until every submitted command is finished.
    task<result<void>> settle();

    task<result<void>> flush();
    /// For the wire trace: text that goes out through write().
    void trace_sent(std::string_view text) {
        if (!settings_.trace) return;
        if (hides_all_)
            settings_.trace.secret_line(net::direction::sent);
        else
            settings_.trace.command(text);
    }
    /// Writes what the conversation has to say, then `body` (octets of announced literals), in one go.
    task<result<void>> write(std::span<const iovec> pieces);
    /// From when on so many messages may be asked for or brought: by the allowance, and for a server that answers
    /// OK [THROTTLED]. Class throttled: a budget is spent, no message is to be begun.
    [[nodiscard]] result<net::allowance::time> may_begin(std::size_t messages);
    /// close() ends the wait.
    task<> wait_until(net::allowance::time when) { return pacing_.wait_until(when); }
    /// Both of them.
    task<result<void>> pace(std::size_t messages);
    /// See net::allowance::messages_at_once.
    [[nodiscard]] std::size_t messages_at_once() const noexcept {
        return settings_.allowance ? settings_.allowance->messages_at_once() : SIZE_MAX;
    }
    /// Whether something has arrived that receive() would take without a wait.
    [[nodiscard]] bool readable() const noexcept { return connection_->readable(); }
    /// Reads once and hands everything that came to the handlers. Waits at most answer_patience.
    task<result<void>> receive();

    /// Whether the server offers compression, the user has not switched it off, and it was not tried yet.
    [[nodiscard]] bool may_compress() const noexcept {
        return !compress_tried_ && settings_.compress != compression::off && capabilities_.has("COMPRESS=DEFLATE");
    }
    [[nodiscard]] bool compressed() const noexcept { return compressed_; }
    /// Compresses both directions from here on. No command may be unfinished. A server that refuses goes on without.
    task<result<void>> compress();
    /// Listens to the pace at which octets come in.
    [[nodiscard]] line_gauge& gauge() noexcept { return gauge_; }
    /// The fastest answer to a command so far: about a round trip.
    [[nodiscard]] std::chrono::steady_clock::duration round_trip() const noexcept { return round_trip_; }

    void set_body_sink(body_sink* sink) noexcept { sink_ = sink; }
    void on_go_ahead(std::function<void()> f) { go_ahead_ = std::move(f); }
    /// Untagged data while no command is unfinished, and BYE, go here.
    [[nodiscard]] imap::conversation& talk() noexcept { return talk_; }
    /// Registers handlers for a streaming command that was opened on talk().
    void watch(imap::command_id id, done_handler on_done);

    [[nodiscard]] const std::optional<error>& failure() const noexcept { return failure_; }
    [[nodiscard]] imap::command_encoder encoder() const { return imap::command_encoder(capabilities_.literals()); }
    void close() noexcept;
    /// See net::connection.
    void discard_unsent(bool on) noexcept { connection_->discard_unsent(on); }
    /// LOGOUT; waits until the server has closed the connection, so that it counts it no more, or server_settings::
    /// goodbye_patience is over. Where answers are still to come nothing is waited for. close() ends the wait. The
    /// connection is closed in any case.
    task<> logout();

  private:
    struct pending {
        imap::command_id id = 0;
        handler on_data;
        done_handler on_done;
    };
    imap_session(imap_settings settings, std::shared_ptr<block_pool> blocks);

    task<result<void>> start();
    task<result<void>> secure();
    task<result<void>> ask_capabilities();
    task<result<void>> log_in();
    task<result<bool>> try_mechanism(std::string_view name);
    task<result<bool>> try_login_command();
    result<bool> judge_login(imap::status_response status, std::string_view method);
    task<result<void>> dispatch(imap::conversation::event e);
    void note_throttled_success(const imap::status_response& status) noexcept;
    void take_capabilities(const imap::response& r);
    error dead(const error& why);
    task<result<std::size_t>> read_once();
    result<void> check_progress(const imap::conversation::event& e);
    error closed_by_peer() const;
    pending* find(imap::command_id id);

    imap_settings settings_;
    std::unique_ptr<net::connection> connection_;
    imap::conversation talk_;
    std::shared_ptr<block_pool> blocks_;
    block_ref block_;
    capability_set capabilities_;
    std::deque<pending> pending_;
    body_sink* sink_ = nullptr;
    std::function<void()> go_ahead_;
    std::function<result<std::string>(std::string_view)> on_challenge_;
    std::optional<error> failure_;
    std::optional<error> bye_;
    std::string greeting_, login_method_;
    std::vector<std::pair<std::string, std::string>> id_;
    wire_lines traced_;
    said_secrets secrets_{traced_};
    talk_watch progress_;
    deadline last_word_ = deadline::never(); ///< behind LOGOUT
    bool hides_all_ = false;                 ///< from the wire trace
    bool greeted_ = false, preauth_ = false, capabilities_fresh_ = false;
    bool body_ended_ = false;               ///< and the sink is not told yet
    std::chrono::milliseconds courtesy_{0}; ///< pause before the next messages, after OK [THROTTLED]
    pacing pacing_;
    line_gauge gauge_;
    std::chrono::steady_clock::duration round_trip_ = std::chrono::seconds(10);
    bool compress_tried_ = false, compressed_ = false;
};

/// What a NO, BAD or BYE means, by response code first and known texts second (docs/quirks.md).
[[nodiscard]] error to_error(const imap::status_response& status, phase where, std::string what);
/// Whether fewer connections are what the server wants.
[[nodiscard]] bool means_too_many_connections(const error& why) noexcept;

} // namespace postferry::client

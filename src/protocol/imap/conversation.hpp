#pragma once
#include "protocol/imap/response.hpp"
#include "protocol/imap/response_parser.hpp"

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace postferry::imap {

/// Number of a command within its conversation; 0 = none.
using command_id = std::uint32_t;

/// The client's half of an IMAP connection as a state machine without I/O (RFC 3501, section 5.5): it gives out tags,
/// lets commands be pipelined, holds back what must wait for a continuation request, and says which command each
/// answer belongs to.
///
/// Driver's loop: write what take_output() gives; feed() what arrives; call next() until need_more.
///
/// Answers belong to the oldest unfinished command: servers carry pipelined commands out in order. Data that no
/// command asked for therefore reaches a command's handler as well, and handlers ignore what they did not ask for.
///
/// Safety of non-synchronising literals: when a server refuses the line that announces one, it may read the body as
/// commands (docs/adr/0006). Two rules close this here. First, a BAD to a command that carried such a literal, a BAD in
/// the middle of a command's octets or to no command while such a literal is unanswered, an answer to a command that
/// does not wait for one, or any line that cannot be parsed, poisons the conversation: it gives out not one octet more
/// and the driver must drop the connection. Second, literals are announced with literal() only, and the caller says
/// which arguments have been proven.
class conversation {
  public:
    struct options {
        bool interactive =
            false; ///< continuation requests are handed to the caller, who answers with respond() (AUTHENTICATE)
        bool exclusive = false; ///< nothing may follow on the wire before it is finished (STARTTLS, COMPRESS, LOGIN)
    };

    struct need_more {};
    struct greeting {
        status_response status;
    };
    struct untagged {
        command_id command = 0; ///< oldest unfinished command
        response data;
    };
    struct body_begin {
        command_id command = 0;
        response_parser::body_begin body;
    };
    struct body_chunk {
        command_id command = 0;
        std::string_view octets; ///< into the block last fed
    };
    struct body_end {
        command_id command = 0;
    };
    struct challenge { ///< for an interactive command
        command_id command = 0;
        std::string text;
    };
    struct go_ahead { ///< a synchronising literal was accepted: there is new output, or the streaming command may go on
        command_id command = 0;
    };
    struct completed {
        command_id command = 0;
        status_response status;
        bool cut_short = false; ///< finished before the whole command was sent (a synchronising literal was refused)
    };
    struct broken { ///< the stream cannot be trusted; drop the connection
        std::string what;
    };
    using event = std::variant<need_more, greeting, untagged, body_begin, body_chunk, body_end, challenge, go_ahead,
                               completed, broken>;

    explicit conversation(parser_limits limits = {}, std::string tag_prefix = "P");

    /// Queues a whole command: `pieces` as made by command_encoder, without tag and CRLF; a piece after the first is
    /// sent when the server asks for it.
    command_id submit(std::vector<std::string> pieces, options how);
    command_id submit(std::vector<std::string> pieces) { return submit(std::move(pieces), options{}); }

    /// Opens a command whose end is not known yet (APPEND). Until finish() no other command's octets are given out.
    /// Only when can_open(): everything queued before has been given out.
    /// `pieces` as for submit(): a name may need a literal; while the server has not asked for it, held().
    command_id open(std::vector<std::string> pieces);
    [[nodiscard]] bool can_open() const noexcept {
        return !streaming_ && !waiting_ && queue_.empty() && !exclusive_ && !poisoned_;
    }
    /// More text of the open command, from our own grammar.
    void more(std::string_view text);
    /// Announces a literal of the open command. Synchronising: the body may be written when go_ahead came; if the
    /// command completes instead, it is over and finish() must not be called. The body itself goes around the
    /// conversation: the driver writes its octets right after take_output()'s.
    void literal(std::uint64_t octets, bool synchronising, bool literal8 = false);
    /// Ends the open command with CRLF.
    void finish();
    /// The open command was already refused (NO in the middle of its octets). The server swallows what was announced
    /// (RFC 7888, section 4): write the rest of the current literal, then finish(); add no further one.
    [[nodiscard]] bool refused_early() const noexcept { return streaming_ && unfinished_.back().answered; }
    /// The server has sent a "+" that nothing asked for: some do after a non-synchronising literal. While such a
    /// literal is unanswered, a "+" then does not prove that the server wants a synchronising one that was announced
    /// later.
    [[nodiscard]] bool needless_plus() const noexcept { return needless_plus_; }
    /// The open command waits for go_ahead.
    [[nodiscard]] bool held() const noexcept { return waiting_; }
    [[nodiscard]] bool streaming() const noexcept { return streaming_; }

    /// The answer to a challenge, without CRLF.
    void respond(std::string_view line);

    /// What may be written now; empty when there is nothing. A poisoned conversation gives nothing.
    [[nodiscard]] std::string take_output();
    [[nodiscard]] bool has_output() const noexcept { return !out_.empty() && !poisoned_; }

    void feed(std::string_view octets) { parser_.feed(octets); }
    [[nodiscard]] event next();

    [[nodiscard]] std::size_t unfinished() const noexcept {
        return unfinished_.size();
    } ///< commands without tagged answer, queued ones included
    [[nodiscard]] bool poisoned() const noexcept { return poisoned_; }
    /// After STARTTLS: nothing that came in the clear may count (RFC 3501, section 11). False if octets were left over.
    [[nodiscard]] bool at_boundary() const noexcept { return parser_.between_responses(); }
    [[nodiscard]] std::string tag_of(command_id id) const;

  private:
    struct command {
        command_id id = 0;
        std::vector<std::string> pieces; ///< still to be sent
        std::size_t sent = 0;
        options how;
        bool carries_literal = false; ///< sent a non-synchronising literal
        bool answered = false;        ///< refused while its octets still flow; goes with finish()
    };

    void send_queued();
    event on_status(status_response status);
    event on_tagged(status_response status);
    event on_continuation(continuation_request request);
    event poison(std::string what);
    command* find(command_id id);

    response_parser parser_;
    std::string prefix_;
    command_id last_ = 0;
    std::deque<command> unfinished_; ///< sent or being sent, oldest first
    std::deque<command> queue_;      ///< nothing of them was given out yet
    std::string out_;
    bool greeted_ = false;
    bool streaming_ = false; ///< an open() command is not finished
    bool waiting_ = false;   ///< the newest of unfinished_ waits for a continuation request
    bool exclusive_ = false;
    bool poisoned_ = false;
    bool needless_plus_ = false;
    command_id body_of_ = 0;
};

} // namespace postferry::imap

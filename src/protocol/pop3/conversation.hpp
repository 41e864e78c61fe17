#pragma once
#include "protocol/pop3/command.hpp"
#include "protocol/pop3/reply_parser.hpp"
#include "protocol/pop3/response.hpp"

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <variant>

namespace postferry::pop3 {

/// Number of a command within its conversation; 0 = none.
using command_id = std::uint32_t;

/// The client's half of a POP3 connection as a state machine without I/O (RFC 1939): it says which reply belongs to
/// which command, and lets commands be pipelined where the server takes that (RFC 2449, section 6.6).
///
/// Driver's loop: write what take_output() gives; feed() what arrives; call next() until need_more.
///
/// A reply that nothing asked for, and any line that cannot be parsed, poisons the conversation: POP3 has no tags, so
/// from there on no reply could be trusted to belong to its command. It gives out not one octet more. For the same
/// reason a message counts as complete only if what has already arrived behind it looks like a reply.
class conversation {
  public:
    struct need_more {};
    struct greeting {
        status_line status;
    };
    struct line { ///< of a listing
        command_id command = 0;
        std::string text;
    };
    struct body_begin {
        command_id command = 0;
        status_line status;
    };
    struct body_chunk {
        command_id command = 0;
        std::string_view octets; ///< into the block last fed, or constant
    };
    struct challenge { ///< for an interactive command: answer with respond()
        command_id command = 0;
        std::string text;
    };
    struct completed { ///< with all that its reply holds
        command_id command = 0;
        status_line status;
    };
    struct goodbye { ///< an -ERR that no command asked for: the server is about to close
        status_line status;
    };
    struct broken { ///< the stream cannot be trusted; drop the connection
        std::string what;
    };
    using event =
        std::variant<need_more, greeting, line, body_begin, body_chunk, challenge, completed, goodbye, broken>;

    explicit conversation(parser_limits limits = {}) : parser_(limits) {}

    command_id submit(command c);
    /// Whether several commands may be on the wire at once. Off in the beginning.
    void set_pipelining(bool on);
    /// The answer to a challenge, without CRLF.
    void respond(std::string_view line);

    [[nodiscard]] std::string take_output();
    [[nodiscard]] bool has_output() const noexcept { return !out_.empty() && !poisoned_; }

    void feed(std::string_view octets) { parser_.feed(octets); }
    [[nodiscard]] event next();

    /// Commands without their whole reply, queued ones included.
    [[nodiscard]] std::size_t unfinished() const noexcept { return sent_.size() + queue_.size(); }
    [[nodiscard]] bool poisoned() const noexcept { return poisoned_; }
    /// After STLS: nothing that came in the clear may count (RFC 2595, section 4). False if octets were left over.
    [[nodiscard]] bool at_boundary() const noexcept { return parser_.at_boundary(); }

  private:
    struct pending {
        command_id id = 0;
        command what;
        status_line status; ///< of a reply that goes on
    };

    void send_queued();
    event on_status(reply_parser::status s);
    event complete(status_line status);
    event poison(std::string what);

    reply_parser parser_;
    command_id last_ = 0;
    std::deque<pending> sent_;  ///< oldest first
    std::deque<pending> queue_; ///< nothing of them was given out yet
    std::string out_;
    bool pipelining_ = false;
    bool greeted_ = false;
    bool poisoned_ = false;
};

} // namespace postferry::pop3

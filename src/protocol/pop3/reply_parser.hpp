#pragma once
#include "protocol/pop3/command.hpp"
#include "protocol/pop3/response.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace postferry::pop3 {

struct parser_limits {
    std::size_t line_octets = 64U << 10U;    ///< of a status line or a listing's line (docs/quirks.md#pop3-long-lines)
    std::size_t listing_lines = 2'000'000;   ///< of one LIST, UIDL or CAPA
    std::uint64_t body_octets = 4ULL << 30U; ///< of one message
};

/// Incremental, sans-I/O parser of POP3 replies (RFC 1939, section 3). A line ends at LF, CR before it belongs to the
/// end: servers that send LF alone exist (docs/quirks.md#pop3-bare-lf), and all clients have always read so.
///
/// Usage: feed() a block, then next() until it answers need_more; then the next block. What a reply looks like depends
/// on the command, so next() is told what the oldest unanswered one expects.
///
/// Bodies are streamed: chunks are views into the block last fed, without the dots that were added (a line that begins
/// with two loses one; a single dot with text behind it can only come from a server that adds none, and stays). Their
/// line ends stay as they are.
///
/// After `malformed` the stream cannot be trusted: every later next() gives the same answer.
class reply_parser {
  public:
    struct need_more {};
    struct status {
        status_line line;
        bool goes_on = false; ///< a listing or a body follows, then `end`
    };
    struct challenge {
        std::string text; ///< base64 as it came
    };
    struct listing_line {
        std::string text;
    };
    struct chunk {
        std::string_view octets; ///< valid until the next feed()
    };
    struct end {};
    struct malformed {
        std::string what; ///< for people; server octets in it are escaped and bounded
    };
    using event = std::variant<need_more, status, challenge, listing_line, chunk, end, malformed>;

    explicit reply_parser(parser_limits limits = {}) noexcept : limits_(limits) {}

    void feed(std::string_view octets) noexcept { rest_ = octets; }
    [[nodiscard]] event next(answer expects, bool interactive);

    /// Nothing is half read and nothing is left of the block.
    [[nodiscard]] bool at_boundary() const noexcept {
        return part_ == part::status && line_.empty() && rest_.empty() && what_is_wrong_.empty();
    }
    /// The next octet of this block that begins a reply, if it has arrived; 0: none yet.
    [[nodiscard]] char peek() noexcept;

  private:
    enum class part : std::uint8_t { status, listing, body };
    enum class at : std::uint8_t { line_start, within, dot, dot_cr }; ///< a dot that may be the end is held back

    bool take_line();
    void skip_blank() noexcept;
    event on_status(answer expects, bool interactive);
    event on_listing();
    event on_body();
    event body_run();
    event end_part();
    event give_up(std::string what);

    parser_limits limits_;
    std::string_view rest_;
    std::string line_; ///< what has come of a line; whole when take_line() said so
    part part_ = part::status;
    at at_ = at::line_start;
    std::size_t lines_ = 0;
    std::uint64_t octets_ = 0;
    std::string what_is_wrong_;
};

} // namespace postferry::pop3

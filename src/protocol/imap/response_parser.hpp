#pragma once
#include "protocol/imap/response.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

namespace postferry::imap {

struct parser_limits {
    std::size_t line_octets = 8U << 20U;      ///< one response without its literals (a SEARCH of 1,000,000 UIDs fits)
    std::size_t gathered_literal = 1U << 20U; ///< a literal that is not streamed (folder names, header fields)
    std::uint64_t streamed_literal = 4ULL << 30U; ///< a message
    std::size_t nesting = 64;                     ///< parentheses within one response
    std::size_t list_items = 2'000'000;           ///< flags, UIDs, capabilities of one response
};

/// Incremental, sans-I/O parser of server responses (RFC 3501 section 9 `response`, RFC 9051, and the extensions of
/// response.hpp). It is lenient where docs/quirks.md says real servers are wrong, strict about sizes.
///
/// Usage: feed() a block, then call next() until it answers need_more; then feed() the next block.
///
/// Bodies are streamed, never gathered: when a FETCH item whose section is BODY[], BINARY[] or RFC822 (whole message,
/// no sub-section) carries a literal -- or whose section carries a literal of more than `gathered_literal` octets --
/// next() gives body_begin (with every item of that FETCH read so far), then body_chunk once or more (views into the
/// block last fed, zero copy; none for an empty literal), then body_end, and at the end of the line the whole
/// fetch_data as `response` (its body_item says streamed). A quoted string or NIL as such a body is not streamed:
/// it is gathered into body_item.content.
///
/// After `malformed` the stream cannot be trusted: every later next() gives the same answer.
class response_parser {
  public:
    struct need_more {};
    struct body_begin {
        fetch_data head; ///< what the FETCH has told before the literal; bodies holds the item being streamed, last
        std::uint64_t octets = 0;
        bool literal8 = false; ///< ~{n} (RFC 3516)
    };
    struct body_chunk {
        std::string_view octets; ///< valid until the next feed()
    };
    struct body_end {};
    struct malformed {
        std::string what; ///< for people; server octets in it are escaped and bounded
    };
    using event = std::variant<need_more, response, body_begin, body_chunk, body_end, malformed>;

    explicit response_parser(parser_limits limits = {});
    ~response_parser();
    response_parser(response_parser&&) noexcept;
    response_parser& operator=(response_parser&&) noexcept;

    /// Gives the parser its next octets. Only after next() said need_more (everything before is consumed); the view
    /// must stay valid until next() says need_more again.
    void feed(std::string_view octets);
    [[nodiscard]] event next();

    /// Nothing is half read: the stream could end here without cutting a response.
    [[nodiscard]] bool between_responses() const noexcept;

  private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace postferry::imap

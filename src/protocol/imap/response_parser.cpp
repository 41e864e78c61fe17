#include "protocol/imap/response_parser.hpp"

#include "base/text.hpp"
#include "protocol/imap/detail/rules.hpp"

#include <fmt/format.h>

#include <limits>
#include <optional>

namespace postferry::imap {

using detail::cursor;
using detail::fetch_reader;

namespace {

// Every streamed body repeats what its FETCH has told so far; a server must not make that quadratic.
constexpr std::size_t max_streamed_bodies = 100;
// How often text that only looks like a whole body's section (a Gmail label "RFC822") may make us look twice.
constexpr std::size_t max_doubts = 16;

struct literal_header {
    std::size_t at = 0; ///< where "{" or "~{" begins
    std::uint64_t octets = 0;
    bool literal8 = false;
    bool too_large = false; ///< more than 64 bits hold
};

// literal = "{" number ["+" / "-"] "}", literal8 with "~", at the end of a line's part behind the last literal
std::optional<literal_header> literal_at_end(std::string_view line) noexcept {
    if (!line.ends_with('}')) return std::nullopt;
    const std::size_t open = line.rfind('{');
    if (open == std::string_view::npos) return std::nullopt;
    std::string_view digits = line.substr(open + 1, line.size() - open - 2);
    if (digits.ends_with('+') || digits.ends_with('-')) digits.remove_suffix(1);
    if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
    const auto octets = parse_u64(digits);
    literal_header out{.at = open, .octets = octets.value_or(0), .too_large = !octets};
    if (open > 0 && line[open - 1] == '~') {
        out.literal8 = true;
        --out.at;
    }
    // An unquoted name may end so; only behind a space, a parenthesis or a section it announces octets.
    if (out.at == 0 || std::string_view(" (]>").find(line[out.at - 1]) == std::string_view::npos) return std::nullopt;
    return out;
}

// Whether the text before a literal ends in a section that means the whole message.
bool ends_in_whole_message(std::string_view text) noexcept {
    while (text.ends_with(' ')) text.remove_suffix(1);
    if (text.ends_with('>')) text = text.substr(0, text.rfind('<'));
    for (const std::string_view name : {"BODY[]", "BINARY[]", "RFC822", "BODY.PEEK[]", "RFC822[]"})
        if (text.size() >= name.size() && iequals(text.substr(text.size() - name.size()), name)) return true;
    return false;
}

} // namespace

struct response_parser::state {
    enum class mode : std::uint8_t { line, gathering, streaming, failed };

    explicit state(parser_limits l) : limits(l) {}

    // Each does what its mode can do with the input: an event, or nothing when next() shall go on in the mode now set.
    std::optional<event> line();
    std::optional<event> gather();
    event stream();

    std::optional<event> line_end();
    std::optional<event> literal_begins(const literal_header& header);
    bool begin_stream(const literal_header& header);
    std::optional<event> response_ends();
    event fail(std::string what);
    void forget_response();

    parser_limits limits;
    std::string_view input;
    std::string text;            ///< the response so far, as detail::cursor wants it, without what `fetch` has read
    std::size_t part = 0;        ///< where in `text` the part behind the last gathered literal begins
    std::size_t line_octets = 0; ///< of this response, literals not counted
    std::size_t gathered = 0;    ///< octets of this response's gathered literals
    std::uint64_t remaining = 0; ///< of the literal under way
    std::optional<fetch_reader> fetch; ///< a FETCH that has streamed a body
    std::size_t streamed_bodies = 0;
    std::size_t doubts = 0;
    mode now = mode::line;
    std::string failure;
};

response_parser::event response_parser::state::fail(std::string what) {
    forget_response();
    text.shrink_to_fit();
    input = {};
    now = mode::failed;
    failure = std::move(what);
    return malformed{failure};
}

void response_parser::state::forget_response() {
    text.clear();
    part = 0;
    line_octets = 0;
    gathered = 0;
    fetch.reset();
    streamed_bodies = 0;
    doubts = 0;
}

// Gathers text up to a line feed; quirk bare-lf: CR before it is not insisted on.
std::optional<response_parser::event> response_parser::state::line() {
    const std::size_t feed = input.find('\n');
    const std::size_t octets = std::min(feed, input.size());
    if (octets > limits.line_octets - line_octets)
        return fail(fmt::format("a response longer than {} octets", limits.line_octets));
    line_octets += octets;
    text.append(input.substr(0, octets));
    input.remove_prefix(feed == std::string_view::npos ? octets : octets + 1);
    if (feed == std::string_view::npos) return need_more{};
    while (text.size() > part && text.back() == '\r') text.pop_back();
    return line_end();
}

std::optional<response_parser::event> response_parser::state::gather() {
    const auto octets = static_cast<std::size_t>(std::min<std::uint64_t>(remaining, input.size()));
    text.append(input.substr(0, octets));
    input.remove_prefix(octets);
    remaining -= octets;
    if (remaining > 0) return need_more{};
    part = text.size();
    now = mode::line;
    return std::nullopt;
}

std::optional<response_parser::event> response_parser::state::line_end() {
    auto header = literal_at_end(std::string_view(text).substr(part));
    if (!header || !(fetch || detail::may_hold_literals(text))) return response_ends();
    header->at += part;
    return literal_begins(*header);
}

std::optional<response_parser::event> response_parser::state::literal_begins(const literal_header& header) {
    if (header.octets <= limits.gathered_literal && !header.too_large) {
        const bool whole = ends_in_whole_message(std::string_view(text).substr(0, header.at));
        if (!whole || !begin_stream(header)) {
            if (header.octets > limits.line_octets + limits.gathered_literal - gathered)
                return fail(fmt::format("literals of more than {} octets in one response",
                                        limits.line_octets + limits.gathered_literal));
            gathered += header.octets;
            text += '\n';
            remaining = header.octets;
            now = mode::gathering;
            return std::nullopt;
        }
    } else {
        if (header.octets > limits.streamed_literal || header.too_large)
            return fail(fmt::format("a literal of more than {} octets", limits.streamed_literal));
        if (!begin_stream(header))
            return fail(fmt::format("a literal of {} octets where at most {} are taken", header.octets,
                                    limits.gathered_literal));
    }
    text.clear();
    part = 0;
    remaining = header.octets;
    now = mode::streaming;
    return body_begin{fetch->data(), header.octets, header.literal8};
}

// Whether the literal belongs to a body item of a FETCH; if so, the FETCH is read up to it.
bool response_parser::state::begin_stream(const literal_header& header) {
    if (streamed_bodies == max_streamed_bodies || doubts == max_doubts) return false;
    cursor at(std::string_view(text).substr(0, header.at), limits);
    std::optional<fetch_reader> attempt = fetch;
    if (!attempt) {
        const auto sequence_number = detail::fetch_prefix(at);
        if (!sequence_number) return false;
        attempt.emplace(*sequence_number);
    }
    if (attempt->read(at, true) != fetch_reader::outcome::literal_due) {
        ++doubts;
        return false;
    }
    attempt->body_is_streamed(header.octets);
    fetch = std::move(attempt);
    ++streamed_bodies;
    return true;
}

std::optional<response_parser::event> response_parser::state::response_ends() {
    cursor at(text, limits);
    if (!fetch) {
        if (text.empty()) { // quirk blank-line: some servers send one after a literal's response
            forget_response();
            return std::nullopt;
        }
        if (const auto sequence_number = detail::fetch_prefix(at)) fetch.emplace(*sequence_number);
    }
    if (fetch) {
        if (fetch->read(at, false) != fetch_reader::outcome::complete)
            return fail(fmt::format("FETCH response: {}", at.complaint()));
        event e = response(std::move(fetch->data()));
        forget_response();
        return e;
    }
    auto read = detail::read_response(text, limits);
    if (!read) return fail(std::move(read.error()));
    forget_response();
    return std::move(*read);
}

response_parser::event response_parser::state::stream() {
    if (remaining == 0) {
        now = mode::line;
        return body_end{};
    }
    if (input.empty()) return need_more{};
    const std::string_view chunk =
        input.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(remaining, input.size())));
    input.remove_prefix(chunk.size());
    remaining -= chunk.size();
    return body_chunk{chunk};
}

response_parser::response_parser(parser_limits limits) : state_(std::make_unique<state>(limits)) {}
response_parser::~response_parser() = default;
response_parser::response_parser(response_parser&&) noexcept = default;
response_parser& response_parser::operator=(response_parser&&) noexcept = default;

void response_parser::feed(std::string_view octets) {
    if (state_->now != state::mode::failed) state_->input = octets;
}

response_parser::event response_parser::next() {
    state& s = *state_;
    while (true) {
        std::optional<event> e;
        switch (s.now) {
        case state::mode::failed: return malformed{s.failure};
        case state::mode::streaming: return s.stream();
        case state::mode::gathering: e = s.gather(); break;
        case state::mode::line: e = s.line(); break;
        }
        if (e) return std::move(*e);
    }
}

bool response_parser::between_responses() const noexcept {
    const state& s = *state_;
    return s.now == state::mode::line && s.text.empty() && !s.fetch && s.input.empty();
}

} // namespace postferry::imap

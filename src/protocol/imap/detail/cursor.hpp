#pragma once
// The lexical rules of RFC 3501 section 9 over the gathered text of one response.
#include "protocol/imap/response_parser.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::imap::detail {

/// Walks through the text of one response: its line without the line end, a literal standing where it came as "{n}", a
/// line feed and its octets (so a line feed outside a literal's octets is always preceded by a literal's header).
/// Functions that answer bool answer false after fail(); the first failure is kept. Every function is linear in what it
/// consumes and either consumes something or fails.
class cursor {
  public:
    cursor(std::string_view text, const parser_limits& limits) : text_(text), limits_(&limits) {}

    [[nodiscard]] bool at_end() const noexcept { return pos_ == text_.size(); }
    [[nodiscard]] bool next_is(char c) const noexcept { return pos_ < text_.size() && text_[pos_] == c; }
    [[nodiscard]] std::string_view rest() const noexcept { return text_.substr(pos_); }
    [[nodiscard]] std::size_t position() const noexcept { return pos_; }
    void go_to(std::size_t position) noexcept { pos_ = position; }
    void advance(std::size_t octets) noexcept { pos_ += octets; }
    bool skip(char c) noexcept;
    void spaces() noexcept; ///< any number of SP, where the grammar has one or none
    bool expect(char c);    ///< after spaces

    bool fail(std::string_view expected); ///< always false
    [[nodiscard]] bool failed() const noexcept { return !expected_.empty(); }
    void forgive() noexcept { expected_ = {}; }  ///< for a rule that has another way to read the same text
    [[nodiscard]] std::string complaint() const; ///< "expected X at octet n, near ..."

    /// Octets up to SP, a parenthesis, a line feed or the end. May be empty.
    std::string_view atom() noexcept;
    /// Letters of a name up to SP, parenthesis, bracket, quote or brace. May be empty.
    std::string_view word() noexcept;
    /// Whether NIL comes next; consumes it.
    bool nil() noexcept;
    [[nodiscard]] bool at_literal() const noexcept; ///< "{" or "~{" with digits, here
    [[nodiscard]] bool at_string() const noexcept { return next_is('"') || at_literal(); }

    bool quoted(std::string& out);
    bool literal(std::string& out);
    bool string(std::string& out);
    bool astring(std::string& out);
    bool nstring(std::optional<std::string>& out);
    /// A number; nothing in `out` when it is one that we cannot use (negative, NIL, too large).
    bool number(std::optional<std::uint64_t>& out);
    bool number(std::optional<std::uint32_t>& out);
    /// "(" flags or astrings ")"; NIL is taken for an empty list.
    bool list(std::vector<std::string>& out);
    /// Any value: atom, string, or parenthesised list of values. Nothing is consumed before ")" or the end.
    bool skip_value();
    /// Octets up to the "]" that closes what began before; that "]" is consumed, and not part of the answer. Nothing
    /// when there is none; then it has looked at all that is left, so that must end the response.
    std::optional<std::string_view> bracketed() noexcept;

    /// False (and failed) when `items` more would be beyond the limit.
    bool room_for(std::size_t items) { return items < limits_->list_items || fail("fewer items"); }
    [[nodiscard]] const parser_limits& limits() const noexcept { return *limits_; }

  private:
    bool quoted(std::string* out);
    bool literal(std::string_view& out);
    [[nodiscard]] bool quote_closes(std::size_t at) const noexcept;

    std::string_view text_;
    std::size_t pos_ = 0;
    const parser_limits* limits_;
    std::string_view expected_; // of static storage
    std::size_t failed_at_ = 0;
};

/// The number in `token`, read as real servers write it.
/// First: it is a number at all. Second: its value, if it fits.
[[nodiscard]] std::pair<bool, std::optional<std::uint64_t>> lenient_number(std::string_view token) noexcept;

} // namespace postferry::imap::detail

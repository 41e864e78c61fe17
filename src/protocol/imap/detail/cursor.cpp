#include "protocol/imap/detail/cursor.hpp"

#include "base/error.hpp"
#include "base/text.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>

namespace postferry::imap::detail {

namespace {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

} // namespace

bool cursor::skip(char c) noexcept {
    if (!next_is(c)) return false;
    ++pos_;
    return true;
}

// quirk extra-spaces: Office 365 puts two spaces where the grammar has one, Cyrus and iCloud one before a line's end.
void cursor::spaces() noexcept {
    while (next_is(' ')) ++pos_;
}

bool cursor::expect(char c) {
    spaces();
    if (skip(c)) return true;
    return fail(c == '(' ? "'('" : c == ')' ? "')'" : c == ']' ? "']'" : "another character");
}

bool cursor::fail(std::string_view expected) {
    if (expected_.empty()) {
        expected_ = expected;
        failed_at_ = pos_;
    }
    return false;
}

std::string cursor::complaint() const {
    const std::string_view near = text_.substr(std::min(failed_at_, text_.size()));
    return fmt::format("expected {} at octet {}, found {}", expected_, failed_at_,
                       near.empty() ? std::string("the end") : fmt::format("\"{}\"", quote_server_text(near, 60)));
}

std::string_view cursor::atom() noexcept {
    const std::size_t from = pos_;
    while (pos_ < text_.size()) {
        const char c = text_[pos_];
        if (c == ' ' || c == '(' || c == ')' || c == '\n') break;
        ++pos_;
    }
    return text_.substr(from, pos_ - from);
}

std::string_view cursor::word() noexcept {
    const std::size_t from = pos_;
    while (pos_ < text_.size()) {
        const char c = text_[pos_];
        if (c == ' ' || c == '(' || c == ')' || c == '[' || c == '"' || c == '{' || c == '\n') break;
        ++pos_;
    }
    return text_.substr(from, pos_ - from);
}

bool cursor::nil() noexcept {
    const std::string_view ahead = rest();
    if (!istarts_with(ahead, "NIL")) return false;
    if (ahead.size() > 3 && ahead[3] != ' ' && ahead[3] != ')' && ahead[3] != '(') return false;
    pos_ += 3;
    return true;
}

bool cursor::at_literal() const noexcept {
    std::string_view ahead = rest();
    if (ahead.starts_with('~')) ahead.remove_prefix(1);
    return ahead.size() >= 2 && ahead[0] == '{' && is_digit(ahead[1]);
}

// quirk unescaped-quotes (MailKit #485): a quote closes only where the grammar lets something else begin, so that
// "a "b" c.pdf" inside BODYSTRUCTURE costs at most this item. A quote before a quote closes unless that one does.
bool cursor::quote_closes(std::size_t at) const noexcept {
    const auto ends = [&](std::size_t i) {
        if (i >= text_.size()) return true;
        const char c = text_[i];
        return c == ' ' || c == ')' || c == '(' || c == ']';
    };
    if (ends(at + 1)) return true;
    return text_[at + 1] == '"' && !ends(at + 2);
}

bool cursor::quoted(std::string* out) {
    if (!skip('"')) return fail("a quoted string");
    std::size_t from = pos_;
    const auto keep = [&](std::size_t end) {
        if (out != nullptr) out->append(text_, from, end - from);
    };
    for (; pos_ < text_.size(); ++pos_) {
        const char c = text_[pos_];
        if (c == '"' && quote_closes(pos_)) {
            keep(pos_++);
            return true;
        }
        if (c == '\n') break;
        // Only \" and \\ are escapes (quoted-specials); another backslash was not escaped by the server and stays.
        if (c == '\\' && pos_ + 1 < text_.size() && (text_[pos_ + 1] == '"' || text_[pos_ + 1] == '\\')) {
            keep(pos_++);
            from = pos_;
        }
    }
    return fail("the end of a quoted string");
}

bool cursor::quoted(std::string& out) {
    out.clear();
    return quoted(&out);
}

bool cursor::literal(std::string_view& out) {
    skip('~');
    skip('{');
    std::uint64_t octets = 0;
    const char* const end = text_.data() + text_.size();
    const auto [at, ec] = std::from_chars(text_.data() + pos_, end, octets);
    if (ec != std::errc{}) return fail("a literal");
    pos_ = static_cast<std::size_t>(at - text_.data());
    // quirk literal-sign: {n+} belongs to clients (RFC 7888); a server that sends it means {n}.
    if (!skip('+')) skip('-');
    if (!skip('}') || !skip('\n') || octets > text_.size() - pos_) return fail("a literal");
    out = text_.substr(pos_, octets);
    pos_ += octets;
    return true;
}

bool cursor::literal(std::string& out) {
    std::string_view octets;
    if (!literal(octets)) return false;
    out = octets;
    return true;
}

bool cursor::string(std::string& out) { return at_literal() ? literal(out) : quoted(out); }

bool cursor::astring(std::string& out) {
    if (at_string()) return string(out);
    const std::string_view text = atom();
    if (text.empty()) return fail("a name or string");
    out = text;
    return true;
}

bool cursor::nstring(std::optional<std::string>& out) {
    out.reset();
    if (nil()) return true;
    return string(out.emplace());
}

std::pair<bool, std::optional<std::uint64_t>> lenient_number(std::string_view token) noexcept {
    if (const auto plain = parse_u64(token)) return {true, plain};
    // quirk nil-number (Kopano sends RFC822.SIZE NIL): known to be unknown.
    if (iequals(token, "NIL")) return {true, std::nullopt};
    // quirk float-number (mail.ru, MailKit #1838): 9.3736e+06. quirk negative-number (Zoho MODSEQ -1, RFC822.SIZE -1).
    double value = 0;
    const char* const begin = token.data();
    const char* const end = begin + token.size();
    const auto [at, ec] = std::from_chars(begin, end, value);
    if (token.empty() || at != end || ec == std::errc::invalid_argument ||
        token.find_first_of("0123456789") == std::string_view::npos)
        return {false, std::nullopt};
    const bool usable = ec == std::errc{} && value >= 0 && value < 0x1p53 && std::isfinite(value);
    if (!usable) return {true, std::nullopt};
    return {true, static_cast<std::uint64_t>(std::llround(value))};
}

bool cursor::number(std::optional<std::uint64_t>& out) {
    spaces();
    const std::size_t from = pos_;
    const auto [is_number, value] = lenient_number(atom());
    if (!is_number) {
        pos_ = from;
        return fail("a number");
    }
    out = value;
    return true;
}

bool cursor::number(std::optional<std::uint32_t>& out) {
    std::optional<std::uint64_t> wide;
    if (!number(wide)) return false;
    out.reset();
    if (wide && *wide <= std::numeric_limits<std::uint32_t>::max()) out = static_cast<std::uint32_t>(*wide);
    return true;
}

bool cursor::list(std::vector<std::string>& out) {
    spaces();
    if (nil()) return true;
    if (!expect('(')) return false;
    while (true) {
        spaces();
        if (skip(')')) return true;
        if (at_end()) return fail("')'");
        if (!room_for(out.size())) return false;
        if (at_string()) {
            if (!string(out.emplace_back())) return false;
            continue;
        }
        // quirk odd-flags (Gmail): keywords with "]", "(", "{", quotes or 8-bit octets inside.
        const std::size_t from = pos_;
        while (pos_ < text_.size() && text_[pos_] != ' ' && text_[pos_] != ')' && text_[pos_] != '\n') ++pos_;
        if (pos_ == from) return fail("a flag");
        out.emplace_back(text_.substr(from, pos_ - from));
    }
}

bool cursor::skip_value() {
    std::size_t depth = 0;
    do {
        spaces();
        if (next_is(')') && depth == 0) return true;
        if (at_end()) return depth == 0 || fail("')'");
        if (skip('(')) {
            if (++depth > limits_->nesting) return fail("fewer nested parentheses");
        } else if (skip(')')) {
            --depth;
        } else if (next_is('"')) {
            if (!quoted(nullptr)) return false;
        } else if (at_literal()) {
            std::string_view ignored;
            if (!literal(ignored)) return false;
        } else if (atom().empty()) {
            return fail("a value");
        }
    } while (depth > 0);
    return true;
}

std::optional<std::string_view> cursor::bracketed() noexcept {
    // "]" may stand in quotes (BADCHARSET) or in a list of flags (quirk odd-flags).
    const std::string_view ahead = rest();
    std::size_t end = std::string_view::npos;
    bool in_quotes = false;
    std::size_t depth = 0;
    for (std::size_t i = 0; i < ahead.size() && end == std::string_view::npos; ++i) {
        const char c = ahead[i];
        if (in_quotes) {
            if (c == '\\')
                ++i;
            else if (c == '"')
                in_quotes = false;
        } else if (c == '"' && i > 0 && (ahead[i - 1] == ' ' || ahead[i - 1] == '(')) {
            in_quotes = true;
        } else if (c == '(') {
            ++depth;
        } else if (c == ')' && depth > 0) {
            --depth;
        } else if (c == ']' && depth == 0) {
            end = i;
        }
    }
    if (end == std::string_view::npos) return std::nullopt;
    pos_ += end + 1;
    return ahead.substr(0, end);
}

} // namespace postferry::imap::detail

// Headers that strict servers refuse (docs/quirks.md#broken-header): Cyrus wants lines that are fields, and an empty
// line behind them; some want no 8-bit octets in it.
#include "base/text.hpp"
#include "message/detail/repair_stages.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace postferry::message::detail {

namespace {

constexpr std::size_t most_header = 256 * 1024; ///< what lies behind passes unchanged
constexpr std::size_t longest_name = 900;       ///< of a field; a longer one could not be folded behind it

bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }
bool is_8bit(char c) noexcept { return static_cast<unsigned char>(c) >= 0x80; }

/// One line with its end; taken off `rest`.
std::string_view take_line(std::string_view& rest) noexcept {
    const std::size_t lf = rest.find('\n');
    const std::string_view line = rest.substr(0, lf == std::string_view::npos ? rest.size() : lf + 1);
    rest.remove_prefix(line.size());
    return line;
}

/// Nothing but CRs before its LF.
bool is_empty_line(std::string_view line) noexcept {
    return line.ends_with('\n') && line.find_first_not_of('\r') == line.size() - 1;
}

/// Gathers the header of a message, with its empty line, and hands it to rewrite().
class header_block_stage : public repair_stage {
  public:
    void take(std::string_view octets, std::string& out) override {
        while (!octets.empty() && !past_header_) {
            const std::size_t n =
                std::min({octets.size(), octets.find('\n') + 1 == 0 ? octets.size() : octets.find('\n') + 1,
                          most_header - block_.size()});
            block_ += octets.substr(0, n);
            octets.remove_prefix(n);
            if (is_empty_line(std::string_view(block_).substr(line_)))
                release({.empty_line = true, .whole_message = false}, out);
            else if (block_.size() == most_header)
                release({.empty_line = false, .whole_message = false}, out);
            else if (block_.back() == '\n')
                line_ = block_.size();
        }
        out += octets;
    }
    void end(std::string& out) override {
        if (!past_header_) release({.empty_line = false, .whole_message = true}, out);
    }

  protected:
    struct extent {
        bool empty_line = false;    ///< the block ends with it
        bool whole_message = false; ///< there is nothing behind the block
    };
    virtual std::string rewrite(std::string_view block, extent how) = 0;

  private:
    void release(extent how, std::string& out) {
        past_header_ = true;
        std::string_view block = block_;
        // What was cut off in the middle of a line is left alone.
        if (!how.empty_line && !how.whole_message) block = block.substr(0, block.rfind('\n') + 1);
        const std::string mended = rewrite(block, how);
        changed_ = mended != block;
        out += mended;
        out += std::string_view(block_).substr(block.size());
        block_ = {};
    }

    std::string block_;
    std::size_t line_ = 0; ///< where the last line of block_ begins
    bool past_header_ = false;
};

// Lines ---------------------------------------------------------------------------------------------------------

enum class line_kind : std::uint8_t { field, spaced_field, continuation, separator, broken, empty };

struct header_line {
    std::string_view text; ///< with its end
    line_kind kind = line_kind::broken;
    std::size_t name_size = 0;
};

header_line classify(std::string_view text, bool first, bool after_field) noexcept {
    if (is_empty_line(text)) return {.text = text, .kind = line_kind::empty, .name_size = 0};
    if (is_blank(text.front()))
        return {.text = text, .kind = after_field ? line_kind::continuation : line_kind::broken, .name_size = 0};
    std::size_t name = 0;
    while (name < text.size() && text[name] > ' ' && text[name] < 0x7f && text[name] != ':') ++name;
    std::size_t colon = name;
    while (colon < text.size() && is_blank(text[colon])) ++colon;
    const bool has_colon = name > 0 && name <= longest_name && colon < text.size() && text[colon] == ':';
    if (has_colon)
        return {.text = text, .kind = colon == name ? line_kind::field : line_kind::spaced_field, .name_size = name};
    if (first && (text.starts_with("From ") || text.starts_with(">From ")))
        return {.text = text, .kind = line_kind::separator, .name_size = 0};
    return {.text = text, .kind = line_kind::broken, .name_size = 0};
}

/// Whether it is a field by its name too: text that happens to have a colon ("Note: ...") is none.
bool is_surely_field(const header_line& line) noexcept {
    static constexpr std::array<std::string_view, 17> known{
        "from",     "to",       "cc",   "bcc",  "date",         "subject", "sender",     "received", "comments",
        "keywords", "priority", "xref", "path", "organization", "lines",   "newsgroups", "status"};
    if (line.kind != line_kind::field && line.kind != line_kind::spaced_field) return false;
    const std::string_view name = line.text.substr(0, line.name_size);
    const std::size_t dash = name.find('-');
    if (dash != std::string_view::npos) return dash > 0 && dash + 1 < name.size();
    return std::ranges::any_of(known, [name](std::string_view k) { return iequals(k, name); });
}

class header_stage final : public header_block_stage {
  private:
    // Nothing is thrown away: what is no field becomes one (X-From-Line is what Gnus makes of an mbox separator). Where
    // no field follows any more, the empty line before the body is missing.
    std::string rewrite(std::string_view block, extent how) override {
        const std::size_t body = body_begin(block);
        std::string out;
        std::string_view rest = block;
        bool first = true, any_field = false;
        while (!rest.empty() && block.size() - rest.size() < body) {
            const header_line line = classify(take_line(rest), first, any_field);
            first = false;
            if (line.kind == line_kind::empty) {
                if (!any_field) out += no_header;
                out += line.text.substr(line.text.size() - std::min<std::size_t>(line.text.size(), 2));
                return out;
            }
            any_field = true;
            write(line, out);
        }
        if (!rest.empty() || how.whole_message) {
            if (!any_field) out += no_header;
            if (!out.ends_with('\n')) out += "\r\n";
            out += "\r\n";
        }
        out += rest;
        return out;
    }

    static constexpr std::string_view no_header = "X-Postferry-Repair: header\r\n"; ///< the message has no field at all

    static void write(const header_line& line, std::string& out) {
        switch (line.kind) {
        case line_kind::separator:
            out += "X-From-Line: ";
            out += line.text.substr(line.text.find(' ') + 1);
            break;
        case line_kind::broken:
            out += "X-Broken-Header: ";
            out += line.text;
            break;
        case line_kind::spaced_field:
            out += line.text.substr(0, line.name_size);
            out += line.text.substr(line.text.find(':'));
            break;
        case line_kind::field:
        case line_kind::continuation:
        case line_kind::empty: out += line.text; break;
        }
    }

    /// Where the first line stands that is no field and has none behind it; the block's size when there is none.
    static std::size_t body_begin(std::string_view block) noexcept {
        std::size_t begin = block.size();
        bool first = true, any_field = false, found = false;
        for (std::string_view rest = block; !rest.empty(); first = false) {
            const std::size_t at = block.size() - rest.size();
            const header_line line = classify(take_line(rest), first, any_field);
            any_field = any_field || line.kind != line_kind::broken;
            if (is_surely_field(line)) found = false;
            if (line.kind != line_kind::broken || found) continue;
            found = true;
            begin = at;
        }
        return found ? begin : block.size();
    }
};

// 8-bit ---------------------------------------------------------------------------------------------------------

constexpr std::size_t longest_word = 75; ///< RFC 2047, 2

/// What may stand within an encoded word's text: not the characters that structure a field.
bool is_word_char(char c) noexcept {
    const auto u = static_cast<unsigned char>(c);
    return u > ' ' && u != 0x7f && std::string_view("\"<>(),;:@\\[]=?").find(c) == std::string_view::npos;
}

void append_q(std::string& out, std::string_view octets) {
    static constexpr std::string_view hex = "0123456789ABCDEF";
    for (const char c : octets) {
        const auto u = static_cast<unsigned char>(c);
        const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
        if (plain)
            out.push_back(c);
        else if (c == ' ')
            out.push_back('_');
        else
            (out += '=').append({hex[u >> 4U], hex[u & 15U]});
    }
}

// RFC 1428's unknown-8bit says what we know about octets that are no UTF-8. A character is never cut in two.
void append_encoded(std::string& out, std::string_view text) {
    const bool utf8 = is_utf8(text);
    const std::string_view begin = utf8 ? "=?utf-8?Q?" : "=?unknown-8bit?Q?";
    std::string word;
    bool first = true;
    const auto flush = [&] {
        if (!first) out += "\r\n ";
        first = false;
        ((out += begin) += word) += "?=";
        word.clear();
    };
    while (!text.empty()) {
        const std::size_t n = utf8 ? std::max<std::size_t>(utf8_sequence_length(text), 1) : 1;
        std::string one;
        append_q(one, text.substr(0, n));
        text.remove_prefix(n);
        if (begin.size() + word.size() + one.size() + 2 > longest_word) flush();
        word += one;
    }
    flush();
}

class header_8bit_stage final : public header_block_stage {
  private:
    std::string rewrite(std::string_view block, extent) override {
        if (std::ranges::none_of(block, is_8bit)) return std::string(block);
        std::string out;
        while (!block.empty()) {
            const std::size_t skip = skip_plain(block);
            out += block.substr(0, skip);
            block.remove_prefix(skip);
            if (block.empty()) break;
            const std::size_t n = run_length(block);
            append_encoded(out, block.substr(0, n));
            block.remove_prefix(n);
        }
        return out;
    }

    /// Octets before the first word that has an 8-bit octet in it.
    static std::size_t skip_plain(std::string_view text) noexcept {
        std::size_t at = 0;
        while (at < text.size() && !is_8bit(text[at])) ++at;
        if (at == text.size()) return at;
        while (at > 0 && is_word_char(text[at - 1])) --at;
        return at;
    }
    /// The word that text begins with and those that follow it behind blanks, as far as they need to be encoded, too:
    /// the white space between two encoded words does not count (RFC 2047, 6.2).
    static std::size_t run_length(std::string_view text) noexcept {
        std::size_t end = 0;
        while (true) {
            while (end < text.size() && is_word_char(text[end])) ++end;
            std::size_t next = end;
            while (next < text.size() && is_blank(text[next])) ++next;
            std::size_t stop = next;
            bool needs = false;
            while (stop < text.size() && is_word_char(text[stop])) needs = is_8bit(text[stop++]) || needs;
            if (next == end || !needs) return end;
            end = next;
        }
    }
};

} // namespace

std::unique_ptr<repair_stage> make_header_stage() { return std::make_unique<header_stage>(); }
std::unique_ptr<repair_stage> make_header_8bit_stage() { return std::make_unique<header_8bit_stage>(); }

} // namespace postferry::message::detail

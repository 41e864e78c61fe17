// Lines over 998 octets (docs/quirks.md#long-lines): text becomes quoted-printable where MIME allows it, what is
// encoded already is broken where its encoding does not mind; only what is left is broken for good, and that is said.
#include "base/text.hpp"
#include "message/detail/mime_walk.hpp"
#include "message/detail/repair_stages.hpp"

#include <algorithm>
#include <array>

namespace postferry::message::detail {

namespace {

constexpr std::size_t break_before = 990;    ///< octets of a line that is broken: also with a fold's blank it is short
constexpr std::size_t nicest_break = 790;    ///< between two words, if there are two behind here
constexpr std::size_t longest_quoted = 75;   ///< RFC 2045, 6.7, with the "=" of a soft line break 76
constexpr std::size_t most_encoded = 10'000; ///< entities; further ones are broken instead

bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

std::string_view without_end(std::string_view line) noexcept {
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

/// Quoted-printable (RFC 2045, 6.7) of whole lines; what is decoded is the same to the octet.
class quoted_writer {
  public:
    void line(std::string_view piece, bool ends, std::string& out) {
        std::string_view text = piece, line_end;
        if (ends && piece.ends_with('\n')) {
            line_end = piece.ends_with("\r\n") ? "\r\n" : "\n";
            text.remove_suffix(line_end.size());
        }
        for (std::size_t i = 0; i < text.size(); ++i) octet(text[i], ends && i + 1 == text.size(), out);
        if (line_end == "\n") { // a bare LF is content
            hex('\n', out);
            out += "=";
        }
        if (line_end.empty()) return;
        out += "\r\n";
        column_ = 0;
    }

  private:
    void octet(char c, bool last, std::string& out) {
        const bool plain = (c > ' ' && c < 0x7f && c != '=') || (is_blank(c) && !last);
        if (!plain) return hex(c, out);
        make_room(1, out);
        out.push_back(c);
        ++column_;
    }
    void hex(char c, std::string& out) {
        static constexpr std::string_view digits = "0123456789ABCDEF";
        make_room(3, out);
        const auto u = static_cast<unsigned char>(c);
        out.append({'=', digits[u >> 4U], digits[u & 15U]});
        column_ += 3;
    }
    void make_room(std::size_t n, std::string& out) {
        if (column_ + n <= longest_quoted) return;
        out += "=\r\n";
        column_ = 0;
    }
    std::size_t column_ = 0;
};

/// How an entity's octets are written: as they are, with long lines broken, or quoted-printable.
class entity_writer {
  public:
    explicit entity_writer(bool quoted) : quoted_(quoted) {}
    bool wrapped = false; ///< a line was broken where a reader sees it

    void header(const mime_piece& p, bool breaks, std::string& out) {
        if (p.begins && !is_blank(p.text.front())) {
            in_encoding_field_ = field_is(p.text, "content-transfer-encoding");
            has_version_ = has_version_ || field_is(p.text, "mime-version");
        }
        if (quoted_ && in_encoding_field_) return;
        out += p.text;
        if (!breaks) return;
        out += "\r\n";
        wrapped = wrapped || !is_blank(p.next);
    }
    void header_end(const mime_piece& p, bool of_message, std::string& out) {
        if (quoted_) {
            if (of_message && !has_version_) out += "MIME-Version: 1.0\r\n";
            out += "Content-Transfer-Encoding: quoted-printable\r\n";
        }
        out += p.text;
    }
    void body(const mime_piece& p, body_encoding encoding, bool breaks, std::string& out) {
        if (quoted_) return quoted_text_.line(p.text, p.ends, out);
        other(p, encoding, breaks, out);
    }
    void other(const mime_piece& p, body_encoding encoding, bool breaks, std::string& out) {
        out += p.text;
        if (!breaks) return;
        out += encoding == body_encoding::quoted_printable ? "=\r\n" : "\r\n";
        wrapped = wrapped || (encoding != body_encoding::quoted_printable && encoding != body_encoding::base64);
    }

  private:
    static bool field_is(std::string_view line, std::string_view name) {
        if (!istarts_with(line, name)) return false;
        line.remove_prefix(name.size());
        return line.substr(std::min(line.find_first_not_of(" \t"), line.size())).starts_with(':');
    }

    bool quoted_;
    bool in_encoding_field_ = false, has_version_ = false;
    quoted_writer quoted_text_;
};

class long_lines final : public long_lines_stage, private mime_walker {
  public:
    explicit long_lines(bool survey, std::vector<std::uint32_t> encoded)
        : survey_(survey), encoded_(std::move(encoded)) {}

    void take(std::string_view octets, std::string& out) override {
        out_ = &out;
        while (!octets.empty()) {
            const std::size_t lf = octets.find('\n');
            const std::size_t n = std::min(
                {octets.size(), lf == std::string_view::npos ? octets.size() : lf + 1, most_kept - line_.size()});
            line_ += octets.substr(0, n);
            octets.remove_prefix(n);
            if (line_.ends_with('\n'))
                end_line();
            else if (line_.size() == most_kept)
                break_line();
        }
    }
    void end(std::string& out) override {
        out_ = &out;
        if (!line_.empty()) end_line();
        settle();
    }
    [[nodiscard]] std::uint64_t octets() const noexcept override { return octets_; }
    [[nodiscard]] bool wrapped() const noexcept override { return wrapped_; }
    [[nodiscard]] std::vector<std::uint32_t> encoded() const override { return encoded_; }

  private:
    static constexpr std::size_t most_kept = longest_line + 3; ///< more than a line end beyond the longest line

    void end_line() {
        while (without_end(line_).size() > longest_line) break_line();
        pass({.text = line_, .begins = begins_, .ends = true});
        line_.clear();
        begins_ = true;
    }
    void break_line() {
        changed_ = long_ = true;
        const std::size_t n = break_point();
        std::string kept = line_.substr(n);
        line_.resize(n);
        const char next = kept.front();
        // A fold stands before a blank; where there is none, one comes in.
        if (in_header() && !is_blank(next)) kept.insert(kept.begin(), ' ');
        pass({.text = line_, .begins = begins_, .ends = false, .next = next});
        line_ = std::move(kept);
        begins_ = false;
    }

    /// Where a line of more than 998 octets is broken, in the way of the place it stands in.
    [[nodiscard]] std::size_t break_point() const noexcept {
        if (in_header()) {
            const std::size_t first = line_.find_first_not_of(" \t");
            for (std::size_t at = break_before; at > first && first != std::string::npos; --at)
                if (is_blank(line_[at]) && !is_blank(line_[at - 1])) return at;
            return whole_character(break_before);
        }
        switch (encoding()) {
        case body_encoding::base64: return break_before / 4 * 4;
        case body_encoding::quoted_printable: {
            std::size_t at = break_before;
            while (at > break_before - 2 && line_[at - 1] != '=') --at;
            return line_[at - 1] == '=' ? at - 1 : break_before;
        }
        case body_encoding::identity:
        case body_encoding::other: break;
        }
        for (std::size_t at = break_before; at > nicest_break; --at)
            if (line_[at - 1] == ' ') return at;
        return whole_character(break_before);
    }
    /// Not within a UTF-8 character.
    [[nodiscard]] std::size_t whole_character(std::size_t at) const noexcept {
        for (std::size_t n = at; n > at - 4; --n)
            if ((static_cast<unsigned char>(line_[n]) & 0xc0U) != 0x80U) return n;
        return at;
    }

    // Where the walker says what a piece is.
    void on_entity(std::uint32_t number) override {
        settle();
        number_ = number;
        long_ = false;
        const bool quoted = !survey_ && std::ranges::binary_search(encoded_, number);
        writers_.clear();
        writers_.emplace_back(quoted);
        if (survey_) writers_.emplace_back(true);
        counts_ = {0, 0};
        encodable_ = false;
    }
    void on_header(const mime_piece& p) override {
        write([&](entity_writer& w, std::string& out) { w.header(p, !p.ends, out); });
    }
    void on_header_end(const mime_piece& p, bool of_message, bool encodable) override {
        encodable_ = encodable && encoded_.size() < most_encoded;
        long_ = false; // its lines are folded whatever becomes of the body
        write([&](entity_writer& w, std::string& out) { w.header_end(p, of_message, out); });
    }
    void on_body(const mime_piece& p) override {
        write([&](entity_writer& w, std::string& out) { w.body(p, encoding(), !p.ends, out); });
    }
    void on_other(const mime_piece& p) override {
        settle();
        if (outside_ == nullptr) outside_ = std::make_unique<entity_writer>(false);
        std::string& out = survey_ ? scratch_ : *out_;
        scratch_.clear();
        outside_->other(p, body_encoding::identity, !p.ends, out);
        octets_ += survey_ ? scratch_.size() : 0;
        wrapped_ = wrapped_ || outside_->wrapped;
    }

    template <class F> void write(F f) {
        for (std::size_t i = 0; i < writers_.size(); ++i) {
            scratch_.clear();
            f(writers_[i], survey_ ? scratch_ : *out_);
            counts_[i] += scratch_.size();
        }
    }
    /// The entity is at its end: now it is known in which way it is written.
    void settle() {
        if (writers_.empty()) return;
        if (survey_) {
            const bool quoted = encodable_ && long_;
            octets_ += counts_[quoted ? 1 : 0];
            wrapped_ = wrapped_ || writers_[quoted ? 1 : 0].wrapped;
            if (quoted) encoded_.push_back(number_);
        }
        writers_.clear();
    }

    bool survey_;
    std::vector<std::uint32_t> encoded_;
    std::string line_, scratch_;
    std::string* out_ = nullptr;
    bool begins_ = true; ///< line_ is the first piece of its line
    std::uint32_t number_ = 0;
    std::vector<entity_writer> writers_; ///< as it is; in a survey also quoted
    std::array<std::uint64_t, 2> counts_{};
    std::unique_ptr<entity_writer> outside_; ///< of preambles, boundaries and epilogues
    bool encodable_ = false, long_ = false;
    std::uint64_t octets_ = 0;
    bool wrapped_ = false;
};

} // namespace

std::unique_ptr<long_lines_stage> make_long_lines_survey() {
    return std::make_unique<long_lines>(true, std::vector<std::uint32_t>{});
}
std::unique_ptr<long_lines_stage> make_long_lines_stage(std::vector<std::uint32_t> encoded) {
    return std::make_unique<long_lines>(false, std::move(encoded));
}

} // namespace postferry::message::detail

#include "message/mbox_writer.hpp"

#include "message/detail/mbox_line.hpp"
#include "message/mbox_from.hpp"

#include <utility>

namespace postferry::message {

namespace {

constexpr std::string_view room_for_word = "       "; // " no-eol"

bool has_bare_lf(std::string_view text) noexcept {
    for (std::size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1))
        if (at == 0 || text[at - 1] != '\r') return true;
    return false;
}

} // namespace

mbox_writer::mbox_writer(std::string_view flags, std::optional<message_date> date, std::string_view beginning,
                         bool whole)
    : flags_(flags), date_(date), verbatim_(has_bare_lf(beginning)), reserve_(!whole),
      lacks_line_end_(whole && !beginning.ends_with('\n')) {}

std::string mbox_writer::from_line() const {
    std::string line = make_mbox_from(date_, verbatim_, lacks_line_end_);
    if (reserve_ && !lacks_line_end_) line.insert(line.size() - 1, room_for_word);
    return line;
}

std::string mbox_writer::opening() const { return from_line() + make_mbox_fields(flags_); }

void mbox_writer::put(std::string_view octets, std::string& out) {
    while (!octets.empty()) {
        const std::size_t lf = octets.find('\n');
        const bool ends = lf != std::string_view::npos;
        const std::string_view text = octets.substr(0, lf);
        octets.remove_prefix(ends ? lf + 1 : octets.size());
        if (begun_) {
            rest_of_line(text, out);
        } else if (prefix_.empty() && (ends || text.size() >= detail::line_prefix_octets)) {
            begin_line(text, !ends, out);
        } else {
            prefix_ += text;
            if (ends || prefix_.size() >= detail::line_prefix_octets)
                begin_line(std::exchange(prefix_, {}), !ends, out);
        }
        if (ends) end_line(out);
    }
}

void mbox_writer::begin_line(std::string_view prefix, bool more, std::string& out) {
    const detail::line_shape shape = detail::shape_of(prefix);
    if (more && shape.undecided()) {
        out.append(shape.quotes - 1, '>');
        prefix_ = prefix.substr(shape.quotes - 1);
        return;
    }
    if (shape.special(in_header_)) out += '>';
    if (!more && (prefix.empty() || prefix == "\r")) in_header_ = false;
    begun_ = true;
    rest_of_line(prefix, out);
}

void mbox_writer::rest_of_line(std::string_view text, std::string& out) {
    if (text.empty()) return;
    if (held_cr_) out += '\r';
    held_cr_ = text.ends_with('\r');
    if (held_cr_) text.remove_suffix(1);
    out += text;
}

void mbox_writer::end_line(std::string& out) {
    if (verbatim_ && held_cr_) out += '\r';
    if (!verbatim_ && !held_cr_) altered_ = true;
    out += '\n';
    held_cr_ = begun_ = false;
}

void mbox_writer::finish(std::string& out) {
    const std::string last = std::exchange(prefix_, {});
    if (!last.empty()) {
        const bool in_header = in_header_; // a last line without its end is not the empty one
        begin_line(last, false, out);
        in_header_ = in_header;
    }
    if (begun_) {
        if (held_cr_) out += '\r';
        lacks_line_end_ = true;
        out += '\n';
    }
    out += '\n';
}

} // namespace postferry::message

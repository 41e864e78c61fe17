#include "message/mbox_reader.hpp"

#include "base/text.hpp"
#include "message/detail/mbox_line.hpp"

#include <algorithm>
#include <utility>

namespace postferry::message {

namespace {

constexpr std::size_t push_octets = 65'536;
constexpr std::size_t probe_octets = 1024; // of a line: a From_ line, or what quoting looks at
constexpr std::size_t field_octets = 16'384;
static_assert(probe_octets > mbox_from_octets && probe_octets > detail::line_prefix_octets);

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

bool looks_like_header(std::string_view line) noexcept {
    const std::size_t colon = line.substr(0, 100).find(':');
    return colon != std::string_view::npos && colon > 0 &&
           std::ranges::all_of(line.substr(0, colon), [](char c) { return c > ' ' && c < 0x7f; });
}

bool is_empty_line(std::string_view text) noexcept { return text.empty() || text == "\r"; }

} // namespace

mbox_reader::mbox_reader(mbox_reading how, mbox_sink& sink) : how_(std::move(how)), sink_(sink), at_(how_.offset) {}

void mbox_reader::feed(std::string_view octets) {
    while (!octets.empty()) {
        if (place_ == place::counted) {
            octets.remove_prefix(counted_part(octets));
            continue;
        }
        if (!begun_ && prefix_.empty()) {
            line_ = at_;
            if (octets.front() == '\0' && place_ != place::outside && !message_.ours) {
                octets.remove_prefix(hole(octets));
                continue;
            }
        }
        const std::size_t lf = octets.find('\n');
        const bool ends = lf != std::string_view::npos;
        const std::string_view text = octets.substr(0, lf);
        at_ += text.size() + (ends ? 1 : 0);
        octets.remove_prefix(text.size() + (ends ? 1 : 0));
        if (begun_) {
            rest_of_line(text);
        } else if (prefix_.empty() && (ends || text.size() >= probe_octets)) {
            begin_line(text, ends);
        } else {
            prefix_ += text;
            if (ends || prefix_.size() >= probe_octets) begin_line(std::exchange(prefix_, {}), ends);
        }
        if (ends) end_line();
    }
}

void mbox_reader::finish() {
    no_more_ = true;
    if (!prefix_.empty()) begin_line(std::exchange(prefix_, {}), false);
    if (candidate_) settle_candidate({});
    if (place_ != place::outside) end_message(at_);
    push();
}

// A body whose length is known: nothing in it means anything but a line end.
std::size_t mbox_reader::counted_part(std::string_view octets) {
    const std::size_t n = static_cast<std::size_t>(std::min<std::uint64_t>(octets.size(), counted_until_ - at_));
    std::string_view part = octets.substr(0, n);
    at_ += n;
    while (!part.empty()) {
        const std::size_t lf = part.find('\n');
        rest_of_line(part.substr(0, lf));
        if (lf == std::string_view::npos) break;
        part.remove_prefix(lf + 1);
        held_cr_ = false;
        emit("\r\n");
    }
    if (at_ == counted_until_) end_message(at_);
    return n;
}

// NULs at the beginning of a line: what a crash of the machine leaves of octets that never reached the disk. What
// stands behind them may be a From_ line.
std::size_t mbox_reader::hole(std::string_view octets) {
    if (candidate_) settle_candidate({});
    const std::size_t n = std::min(octets.find_first_not_of('\0'), octets.size());
    flush_held();
    emit(octets.substr(0, n));
    at_ += n;
    after_hole_ = true;
    return n;
}

void mbox_reader::begin_line(std::string_view text, bool ends) {
    begun_ = true;
    dropping_ = true; // a From_ line, or an empty line outside
    if (candidate_) settle_candidate(text);
    if (place_ == place::outside) {
        if (line_ == 0 && text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
        if (ends && is_empty_line(text)) return;
        const auto from = parse_mbox_from(text);
        begin_message(line_, from ? &*from : nullptr);
        if (from || text.starts_with("From ")) return;
        if (!looks_like_header(text)) message_.what = mbox_message::kind::junk;
    } else if (is_separator(text, ends)) {
        return;
    }
    if (ends || no_more_ || !defer(text)) classify(text, ends);
}

// A line of very many ">": all but one are content whatever comes behind them.
bool mbox_reader::defer(std::string_view text) {
    const detail::line_shape shape = detail::shape_of(text);
    if (!shape.undecided()) return false;
    dropping_ = false;
    close_field();
    content(text.substr(0, shape.quotes - 1));
    prefix_ = text.substr(shape.quotes - 1);
    begun_ = false;
    return true;
}

bool mbox_reader::is_separator(std::string_view text, bool ends) {
    if (!text.starts_with("From ")) return false;
    const auto from = parse_mbox_from(text);
    if (!from) return false;
    const bool nothing_yet = place_ == place::header && message_.octets == 0 && !held_end_ && !held_blank_ && !field_;
    if (held_blank_ || after_hole_ || message_.ours || nothing_yet) {
        end_message(line_);
        begin_message(line_, &*from);
    } else if (ends) {
        candidate_ = candidate{.from = *from, .text = std::string(text), .offset = line_};
    } else {
        return false;
    }
    return true;
}

// Decides by the line behind it what a From_ line without an empty line before it was.
void mbox_reader::settle_candidate(std::string_view next) {
    const candidate c = *std::exchange(candidate_, std::nullopt);
    if (looks_like_header(next)) {
        end_message(c.offset);
        begin_message(c.offset, &c.from);
        return;
    }
    const bool dropping = std::exchange(dropping_, false);
    content(c.text);
    held_cr_ = false;
    held_end_ = true;
    dropping_ = dropping;
}

void mbox_reader::begin_message(std::uint64_t offset, const mbox_from_line* from) {
    message_ = {};
    message_.begin = offset;
    message_.without_from = from == nullptr;
    from_ = from != nullptr ? *from : mbox_from_line{};
    if (from != nullptr) message_.date = from->date;
    message_.zone_told = from_.zone_told;
    message_.ours = from_.ours;
    fields_ = {};
    field_.reset();
    internal_ = unquotes_ = false;
    held_cr_ = held_end_ = held_blank_ = after_hole_ = false;
    place_ = place::header;
    sink_.begin(offset);
}

void mbox_reader::end_message(std::uint64_t offset) {
    close_field();
    // The empty line before a From_ line, or at the end of the file, belongs to the mbox.
    held_blank_ = false;
    if (message_.ours && from_.no_line_end) held_end_ = false;
    flush_held();
    if (std::exchange(held_cr_, false)) emit("\r");
    push();
    message_.end = offset;
    message_.flags = fields_.flags();
    if (message_.octets == 0) message_.what = mbox_message::kind::empty;
    if (first_ && internal_ && fields_.has_imap_base())
        message_.what = mbox_message::kind::internal_data;
    else
        first_ = false;
    place_ = place::outside;
    sink_.end(std::move(message_));
}

void mbox_reader::classify(std::string_view text, bool ends) {
    dropping_ = false;
    blank_ = ends && (message_.ours ? text.empty() : is_empty_line(text)); // a CR in ours belongs to the message
    ends_header_ = blank_ || (from_.verbatim && ends && is_empty_line(text));
    if (blank_) {
        if (held_blank_) flush_held();
        return;
    }
    if (place_ == place::header && take_field(text, ends)) return;
    const detail::line_shape shape = detail::shape_of(text);
    const bool quoted = shape.quotes > 0 && shape.special(message_.ours && place_ == place::header);
    if (quoted && (message_.ours || (unquotes_ && shape.from))) text.remove_prefix(1);
    content(text);
}

bool mbox_reader::take_field(std::string_view text, bool ends) {
    // Our own fields have one line each; what is folded below them is the message's.
    const bool folded = field_ && !message_.ours && (text.starts_with(' ') || text.starts_with('\t'));
    if (folded) {
        dropping_ = true;
        rest_of_line(text);
        return true;
    }
    close_field();
    const auto field = mbox_field_at(text);
    if (!field) {
        if (istarts_with(text, "Subject:")) internal_ = text.find("FOLDER INTERNAL DATA") != std::string_view::npos;
        constexpr std::string_view mozilla = "X-Mozilla-Status:";
        if (ends && istarts_with(text, mozilla)) fields_.take_mozilla(text.substr(mozilla.size()));
        return false;
    }
    field_ = field;
    field_body_.clear();
    dropping_ = true;
    rest_of_line(text.substr(text.find(':') + 1));
    return true;
}

void mbox_reader::close_field() {
    if (!field_) return;
    fields_.take(*field_, field_body_);
    field_.reset();
}

void mbox_reader::end_of_header() {
    close_field();
    place_ = place::body;
    unquotes_ = !message_.ours && (how_.format == mbox_format::automatic || how_.format == mbox_format::mboxrd);
    const bool may_count = how_.format == mbox_format::automatic || how_.format == mbox_format::mboxcl2;
    const auto length = fields_.content_length();
    if (!may_count || !length || message_.ours || !how_.separator_at || at_ + *length < at_) return;
    if (!how_.separator_at(at_ + *length)) return;
    // A message that arrives with such a field must not swallow those behind it: it counts only in the file of a
    // program that writes one for each, and then the first message has one, too.
    if (first_ && how_.offset == 0) how_.lengths_hold = true;
    if (!how_.lengths_hold && how_.format != mbox_format::mboxcl2) return;
    flush_held();
    place_ = place::counted;
    counted_until_ = at_ + *length;
    if (*length == 0) end_message(at_);
}

void mbox_reader::content(std::string_view text) {
    flush_held();
    rest_of_line(text);
}

void mbox_reader::rest_of_line(std::string_view text) {
    if (dropping_) {
        if (field_) field_body_ += text.substr(0, field_octets - std::min(field_octets, field_body_.size()));
        return;
    }
    if (text.empty()) return;
    if (held_cr_) emit("\r");
    held_cr_ = text.ends_with('\r');
    if (held_cr_) text.remove_suffix(1);
    emit(text);
}

void mbox_reader::end_line() {
    begun_ = false;
    if (std::exchange(dropping_, false)) return;
    after_hole_ = false;
    if (std::exchange(blank_, false)) {
        held_blank_ = true;
    } else {
        // The end of a line may turn out to be the mbox's; a CR before it never does.
        if (message_.ours && std::exchange(held_cr_, false)) emit("\r");
        held_cr_ = false;
        held_end_ = true;
    }
    if (std::exchange(ends_header_, false) && place_ == place::header) end_of_header();
}

void mbox_reader::flush_held() {
    const std::string_view line_end = from_.verbatim ? "\n" : "\r\n";
    if (std::exchange(held_end_, false)) emit(line_end);
    if (std::exchange(held_blank_, false)) emit(line_end);
}

void mbox_reader::emit(std::string_view octets) {
    out_ += octets;
    message_.octets += octets.size();
    if (out_.size() >= push_octets) push();
}

void mbox_reader::push() {
    if (!out_.empty()) sink_.octets(out_);
    out_.clear();
}

} // namespace postferry::message

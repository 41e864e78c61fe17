#include "message/fingerprint.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "message/header_fields.hpp"

#include <algorithm>
#include <array>

namespace postferry::message {

namespace {

// In lower case and sorted: the order in which they are digested.
constexpr std::array<std::string_view, 6> field_names{"cc", "date", "from", "message-id", "subject", "to"};
constexpr std::size_t message_id_field = 3;
constexpr std::size_t message_id_octets = 200;
constexpr std::size_t digest_piece = 16 * 1024;
constexpr std::string_view mbsync_field = "X-TUID:";

bool is_space(unsigned char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// Appends `body` as it is compared: white space goes first, so that a run of "?" is one whatever stood between.
void append_normalised(std::string& out, std::string_view body) {
    const std::size_t start = out.size();
    for (const char octet : body) {
        const auto c = static_cast<unsigned char>(octet);
        if (is_space(c)) continue;
        // Cyrus writes an X for each octet of 8 bits in a header: docs/quirks.md#header-8bit.
        const char folded = c < ' ' || c >= 0x7f || c == 'X' ? '?' : octet;
        if (folded == '?' && out.size() > start && out.back() == '?') continue;
        out.push_back(folded);
    }
}

/// For people: without white space, escaped, cut. The cut mark and a last escape may not lead over the bound.
std::string readable_id(std::string_view body) {
    std::string id;
    for (const char c : body) {
        if (!is_space(static_cast<unsigned char>(c))) id.push_back(c);
        if (id.size() > message_id_octets) break;
    }
    return quote_server_text(id, message_id_octets - 7);
}

/// "<>" and what folding leaves of garbage name no message.
bool names_a_message(std::string_view normalised_id) noexcept {
    return normalised_id.find_first_not_of("<>?") != std::string_view::npos;
}

} // namespace

std::string_view fingerprint_fields() noexcept { return "DATE FROM TO CC SUBJECT MESSAGE-ID"; }

fingerprint fingerprint_of(std::string_view header) {
    fingerprint out;
    // One text per name, in the order of the fields: that is sorting by name and order without keeping a list of them.
    std::array<std::string, field_names.size()> texts;
    header_fields fields(header);
    while (const auto field = fields.next()) {
        const auto* const name =
            std::ranges::find_if(field_names, [&](std::string_view n) { return iequals(n, field->name); });
        if (name == field_names.end()) continue;
        const auto index = static_cast<std::size_t>(name - field_names.begin());
        std::string& text = texts[index];
        const std::size_t start = text.size();
        text.append(*name).push_back(':');
        const std::size_t value = text.size();
        append_normalised(text, field->body);
        // Some servers leave an empty field out when they store a message.
        if (text.size() == value) {
            text.resize(start);
            continue;
        }
        if (index == message_id_field && !out.strong && names_a_message(std::string_view(text).substr(value))) {
            out.strong = true;
            out.message_id = readable_id(field->body);
        }
        text.push_back('\n'); // never part of a normalised value
    }
    std::string all;
    for (const std::string& text : texts) all += text;
    out.digest = sha256::of(all);
    return out;
}

void tolerant_digest::header_octet(char c) {
    if (at_ != place::line_start) {
        if (at_ == place::kept_line) scratch_.push_back(c);
        if (c == '\n') at_ = place::line_start;
        return;
    }
    line_.push_back(c);
    if (c != '\n' && line_.size() < mbsync_field.size()) return;
    if (c == '\n')
        at_ = line_.size() == 1 ? place::body : place::line_start;
    else
        at_ = iequals(line_, mbsync_field) ? place::dropped_line : place::kept_line;
    if (at_ != place::dropped_line) scratch_ += line_;
    line_.clear();
}

void tolerant_digest::take(std::string_view text) {
    const std::size_t end = text.find_last_not_of('\n') + 1; // 0: nothing but line ends
    if (end > 0) {
        for (; held_line_ends_ > 0; --held_line_ends_) hash_.update("\n");
        hash_.update(text.substr(0, end));
    }
    held_line_ends_ += text.size() - end;
}

void tolerant_digest::update(std::string_view octets) {
    while (!octets.empty() && at_ != place::body) {
        scratch_.clear();
        std::size_t n = 0;
        for (; n < std::min(octets.size(), digest_piece) && at_ != place::body; ++n)
            if (octets[n] != '\r')
                header_octet(octets[n] == '\0' || static_cast<unsigned char>(octets[n]) >= 0x80 ? 'X' : octets[n]);
        take(scratch_);
        octets.remove_prefix(n);
    }
    while (!octets.empty()) {
        const std::string_view piece = octets.substr(0, digest_piece);
        octets.remove_prefix(piece.size());
        if (scratch_.size() < piece.size()) scratch_.resize(piece.size());
        char* out = scratch_.data();
        for (const char c : piece) {
            *out = c == '\0' ? '\x80' : c;
            out += c != '\r' ? 1 : 0;
        }
        take(std::string_view(scratch_.data(), static_cast<std::size_t>(out - scratch_.data())));
    }
}

sha256_digest tolerant_digest::finish() {
    take(line_);
    line_.clear();
    at_ = place::line_start;
    held_line_ends_ = 0;
    return hash_.finish();
}

} // namespace postferry::message

#include "message/detail/mime_walk.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace postferry::message::detail {

namespace {

constexpr std::size_t most_levels = 50;
constexpr std::size_t most_field = 8'192;    ///< octets of a field that are looked at
constexpr std::size_t most_boundary = 1'000; ///< RFC 2046 allows 70

std::string_view trimmed(std::string_view text) noexcept {
    constexpr std::string_view blanks = " \t\r\n";
    const std::size_t from = text.find_first_not_of(blanks);
    if (from == std::string_view::npos) return {};
    return text.substr(from, text.find_last_not_of(blanks) - from + 1);
}

std::string_view field_body(std::string_view field) noexcept {
    return trimmed(field.substr(std::min(field.find(':'), field.size() - 1) + 1));
}

/// A parameter of a Content-Type (RFC 2045, 5.1), unquoted; empty when there is none.
std::string parameter(std::string_view value, std::string_view name) {
    while (true) {
        const std::size_t semicolon = value.find(';');
        if (semicolon == std::string_view::npos) return {};
        value = trimmed(value.substr(semicolon + 1));
        if (!istarts_with(value, name)) continue;
        std::string_view rest = trimmed(value.substr(name.size()));
        if (!rest.starts_with('=')) continue;
        rest = trimmed(rest.substr(1));
        if (!rest.starts_with('"')) return std::string(trimmed(rest.substr(0, rest.find_first_of("; \t\r\n"))));
        std::string out;
        for (std::size_t i = 1; i < rest.size() && rest[i] != '"'; ++i) {
            if (rest[i] == '\\' && i + 1 < rest.size()) ++i;
            if (rest[i] != '\r' && rest[i] != '\n') out.push_back(rest[i]);
        }
        return out;
    }
}

body_encoding encoding_named(std::string_view name) noexcept {
    if (name.empty() || iequals(name, "7bit") || iequals(name, "8bit") || iequals(name, "binary"))
        return body_encoding::identity;
    if (iequals(name, "quoted-printable")) return body_encoding::quoted_printable;
    if (iequals(name, "base64")) return body_encoding::base64;
    return body_encoding::other;
}

} // namespace

void mime_walker::pass(const mime_piece& p) {
    if (at_ == place::start) begin_header(true);
    if (p.begins && cross_boundary(p)) return;
    switch (at_) {
    case place::start:
    case place::header: header_piece(p); break;
    case place::body: on_body(p); break;
    case place::outside: on_other(p); break;
    }
}

void mime_walker::begin_header(bool of_message) {
    at_ = place::header;
    of_message_ = of_message;
    field_.clear();
    type_.clear();
    transfer_encoding_.clear();
    on_entity(entities_++);
}

bool mime_walker::cross_boundary(const mime_piece& p) {
    if (!p.ends || !p.text.starts_with("--")) return false;
    std::string_view line = p.text.substr(2);
    line = line.substr(0, line.find_last_not_of(" \t\r\n") + 1);
    for (std::size_t i = levels_.size(); i-- > 0;) {
        const std::string& boundary = levels_[i].boundary;
        if (!line.starts_with(boundary)) continue;
        const bool closes = line.substr(boundary.size()) == "--";
        if (!closes && line.size() != boundary.size()) continue;
        levels_.resize(closes ? i : i + 1);
        at_ = place::outside;
        on_other(p);
        in_digest_ = !closes && levels_.back().digest;
        if (!closes) begin_header(false);
        return true;
    }
    return false;
}

void mime_walker::header_piece(const mime_piece& p) {
    const bool empty = p.begins && p.ends && p.text.find_first_not_of("\r\n") == std::string_view::npos;
    if (empty) return end_header(p);
    if (p.begins && p.text.front() != ' ' && p.text.front() != '\t') {
        end_field();
        if (istarts_with(p.text, "content-t")) field_ = p.text;
    } else if (!field_.empty() && field_.size() < most_field) {
        field_ += p.text;
    }
    on_header(p);
}

void mime_walker::end_field() {
    const std::string_view name = trimmed(std::string_view(field_).substr(0, field_.find(':')));
    // Readers differ about which of two counts; the first is what most take.
    if (type_.empty() && iequals(name, "content-type")) type_ = field_body(field_);
    if (transfer_encoding_.empty() && iequals(name, "content-transfer-encoding"))
        transfer_encoding_ = field_body(field_);
    field_.clear();
}

void mime_walker::end_header(const mime_piece& p) {
    end_field();
    // A comment behind the word is allowed and rare.
    encoding_ = encoding_named(
        trimmed(std::string_view(transfer_encoding_).substr(0, transfer_encoding_.find_first_of("; \t("))));
    const std::string type = ascii_lower(trimmed(std::string_view(type_).substr(0, type_.find(';'))));
    const bool message = type == "message/rfc822" || type == "message/global" || (type.empty() && in_digest_);
    const bool multipart = type.starts_with("multipart/");
    std::string boundary = multipart ? parameter(type_, "boundary") : std::string{};
    const bool inner =
        encoding_ == body_encoding::identity &&
        (message || (!boundary.empty() && boundary.size() < most_boundary && levels_.size() < most_levels));
    // RFC 2045, 6.4: multipart and message have no encoding of their own.
    const bool encodable =
        !inner && encoding_ == body_encoding::identity && !multipart && !message && !type.starts_with("message/");
    on_header_end(p, of_message_, encodable);
    at_ = place::body;
    if (!inner) return;
    if (message) {
        in_digest_ = false;
        return begin_header(true);
    }
    levels_.push_back({.boundary = std::move(boundary), .digest = type == "multipart/digest"});
    at_ = place::outside;
}

} // namespace postferry::message::detail

#include "base/text.hpp"
#include "protocol/imap/detail/rules.hpp"

namespace postferry::imap::detail {

namespace {

bool is_body(std::string_view name, bool has_section) noexcept {
    if (has_section)
        return iequals(name, "BODY") || iequals(name, "BINARY") || iequals(name, "BODY.PEEK") ||
               iequals(name, "RFC822");
    return iequals(name, "RFC822") || iequals(name, "RFC822.HEADER") || iequals(name, "RFC822.TEXT");
}

// The item as body_item::section names it. quirk echoed-names: BODY.PEEK[] is BODY[], RFC822[] is RFC822.
std::string section_name(std::string_view name, std::optional<std::string_view> section, std::string_view origin) {
    std::string out = ascii_upper(name);
    if (out == "BODY.PEEK") out = "BODY";
    if (section && (out != "RFC822" || !section->empty())) {
        out += '[';
        out += ascii_upper(*section);
        out += ']';
    }
    out += origin;
    return out;
}

} // namespace

fetch_reader::outcome fetch_reader::read(cursor& at, bool literal_follows) {
    if (!opened_ && !at.expect('(')) return outcome::failed;
    opened_ = true;
    // quirk short-literal (MailKit #954): a server that counts too few octets must not have the rest taken for items.
    const bool behind_literal = !data_.bodies.empty() && data_.bodies.back().streamed;
    if (behind_literal && !at.next_is(' ') && !at.next_is(')'))
        return at.fail("' ' or ')' behind a literal"), outcome::failed;
    while (true) {
        at.spaces();
        if (at.skip(')')) break;
        if (at.at_end()) return at.fail("')'"), outcome::failed;
        if (!msg_att_item(at, literal_follows)) return outcome::failed;
        if (literal_due_) return outcome::literal_due;
    }
    at.spaces();
    if (!at.at_end()) return at.fail("the end"), outcome::failed;
    return literal_follows ? outcome::failed : outcome::complete;
}

void fetch_reader::body_is_streamed(std::uint64_t octets) {
    body_item& item = data_.bodies.back();
    item.content.emplace();
    item.streamed = true;
    item.octets = octets;
    literal_due_ = false;
}

// msg-att-dynamic / msg-att-static: a name and its value
bool fetch_reader::msg_att_item(cursor& at, bool literal_follows) {
    const std::string_view name = at.word();
    // quirk double-parentheses (Domino, MailKit #943): an item within parentheses of its own.
    if (name.empty()) return at.next_is('(') ? at.skip_value() : at.fail("a FETCH item");
    std::optional<std::string_view> section;
    std::string_view origin;
    if (at.skip('[')) {
        section = at.bracketed();
        if (!section) return at.fail("a section with ']'");
        if (at.next_is('<')) {
            origin = at.rest().substr(0, at.rest().find('>') + 1);
            if (origin.empty()) return at.fail("an origin with '>'");
            at.advance(origin.size());
        }
    }
    if (is_body(name, section.has_value())) return body_value(at, section_name(name, section, origin), literal_follows);
    return msg_att_value(at, name);
}

bool fetch_reader::msg_att_value(cursor& at, std::string_view name) {
    if (iequals(name, "UID")) {
        if (!at.number(data_.uid)) return false;
        if (data_.uid == 0U) data_.uid.reset(); // 0 is no UID (RFC 3501, 2.3.1.1)
        return true;
    }
    if (iequals(name, "FLAGS")) {
        data_.flags.emplace();
        return at.list(*data_.flags);
    }
    if (iequals(name, "INTERNALDATE")) {
        at.spaces();
        data_.date_present = true;
        data_.date.reset();
        std::optional<std::string> text;
        if (!at.nstring(text)) return false;
        if (text) data_.date = internal_date::parse(*text);
        return true;
    }
    if (iequals(name, "RFC822.SIZE")) return at.number(data_.rfc822_size);
    if (iequals(name, "MODSEQ")) return modseq(at);
    if (iequals(name, "EMAILID")) return email_id(at);
    if (iequals(name, "X-GM-MSGID")) return at.number(data_.gmail_msgid);
    if (iequals(name, "X-GM-LABELS")) {
        data_.gmail_labels.clear();
        return at.list(data_.gmail_labels);
    }
    return at.skip_value();
}

// "MODSEQ" SP "(" permsg-modsequence ")" (RFC 7162)
bool fetch_reader::modseq(cursor& at) {
    at.spaces();
    const bool parenthesised = at.skip('(');
    return at.number(data_.modseq) && (!parenthesised || at.expect(')'));
}

// "EMAILID" SP "(" objectid ")" (RFC 8474)
bool fetch_reader::email_id(cursor& at) {
    std::vector<std::string> id;
    if (!at.list(id)) return false;
    if (!id.empty()) data_.email_id = std::move(id.front());
    return true;
}

bool fetch_reader::body_value(cursor& at, std::string section, bool literal_follows) {
    if (!at.room_for(data_.bodies.size())) return false;
    body_item& item = data_.bodies.emplace_back();
    item.section = std::move(section);
    at.spaces();
    if (at.at_end() && literal_follows) return literal_due_ = true;
    // quirk absent-body (Yandex, MailKit #1708): the item's name and then the next item or ")". It counts as NIL.
    if (!at.at_string()) {
        at.nil();
        return true;
    }
    if (!at.string(item.content.emplace())) return false;
    if (!at.next_is(' ') && !at.next_is(')')) return at.fail("' ' or ')' behind a body");
    item.octets = item.content->size();
    return true;
}

} // namespace postferry::imap::detail

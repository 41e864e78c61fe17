#include "base/text.hpp"
#include "protocol/imap/detail/rules.hpp"

namespace postferry::imap::detail {

namespace {

// The names in LIST and STATUS come last or before a parenthesis, so that what servers forgot to quote or to escape
// can still be told apart (quirk unescaped-quotes; quirk unquoted-name: Exchange 2003, MailKit #945, TAB in a name).
void salvage_mailbox(cursor& at, std::string& name) {
    std::string_view text = at.rest();
    const bool quoted = text.starts_with('"');
    const std::size_t tail = text.find(quoted ? "\" (" : " (");
    if (tail != std::string_view::npos) text = text.substr(0, tail + (quoted ? 1 : 0));
    at.advance(text.size());
    while (text.ends_with(' ')) text.remove_suffix(1);
    if (!quoted || text.size() < 2 || !text.ends_with('"')) {
        name = text;
        return;
    }
    name.clear();
    text = text.substr(1, text.size() - 2);
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == '"' || text[i + 1] == '\\')) ++i;
        name += text[i];
    }
}

// mailbox = "INBOX" / astring
bool mailbox(cursor& at, std::string& name) {
    at.spaces();
    if (at.at_literal()) return at.literal(name);
    const std::size_t from = at.position();
    if (at.next_is('"') && at.quoted(name)) {
        at.spaces();
        if (at.at_end() || at.next_is('(')) return true;
    }
    at.forgive();
    at.go_to(from);
    if (at.rest().find('\n') != std::string_view::npos) return at.astring(name);
    salvage_mailbox(at, name);
    return true;
}

// mbox-list-extended (RFC 5258): "(" tag SP value ... ")"
bool mbox_list_extended(cursor& at, list_data& out) {
    at.skip('(');
    while (true) {
        at.spaces();
        if (at.skip(')')) return true;
        if (!at.room_for(out.extended.size())) return false;
        std::string name;
        if (!at.astring(name)) return false;
        at.spaces();
        const std::string_view before = at.rest();
        if (!at.skip_value()) return false;
        out.extended.emplace_back(ascii_upper(name), before.substr(0, before.size() - at.rest().size()));
    }
}

// status-att-val
bool status_att_val(cursor& at, mailbox_status& out) {
    at.spaces();
    const std::string_view name = at.word();
    if (name.empty()) return at.fail("a STATUS item");
    if (iequals(name, "MESSAGES")) return at.number(out.messages);
    if (iequals(name, "RECENT")) return at.number(out.recent);
    if (iequals(name, "UIDNEXT")) return at.number(out.uid_next);
    if (iequals(name, "UIDVALIDITY")) return at.number(out.uid_validity);
    if (iequals(name, "UNSEEN")) return at.number(out.unseen);
    if (iequals(name, "DELETED")) return at.number(out.deleted);
    if (iequals(name, "SIZE")) return at.number(out.size);
    if (iequals(name, "HIGHESTMODSEQ")) return at.number(out.highest_modseq);
    if (iequals(name, "APPENDLIMIT")) return at.number(out.append_limit);
    if (iequals(name, "MAILBOXID")) {
        std::vector<std::string> id;
        if (!at.list(id)) return false;
        if (!id.empty()) out.mailbox_id = std::move(id.front());
        return true;
    }
    return at.skip_value();
}

} // namespace

bool delimiter(cursor& at, std::optional<char>& out) {
    at.spaces();
    out.reset();
    if (at.nil()) return true;
    // quirk bare-backslash-delimiter (Domino): "\" for "\\".
    if (at.rest().starts_with(R"("\" )")) {
        at.advance(3);
        out = '\\';
        return true;
    }
    std::string text;
    if (!at.astring(text)) return false;
    // quirk empty-delimiter (MailKit's transcripts): "" means NIL.
    if (text.size() > 1) return at.fail("a hierarchy delimiter");
    if (!text.empty()) out = text.front();
    return true;
}

bool mailbox_list(cursor& at, list_data& out) {
    if (!at.list(out.attributes) || !delimiter(at, out.delimiter) || !mailbox(at, out.name)) return false;
    at.spaces();
    return !at.next_is('(') || mbox_list_extended(at, out);
}

bool status_att_list(cursor& at, mailbox_status& out) {
    if (!mailbox(at, out.name)) return false;
    at.spaces();
    // quirk empty-status (163, modern-email #15): no list, or nothing in it.
    if (at.at_end()) return !out.name.empty() || at.fail("a mailbox");
    if (!at.expect('(')) return false;
    while (true) {
        at.spaces();
        if (at.skip(')')) return true;
        if (!status_att_val(at, out)) return false;
    }
}

// "SEARCH" *(SP nz-number) [SP "(MODSEQ" SP mod-sequence-value ")"] (RFC 7162)
bool search(cursor& at, search_data& out) {
    while (true) {
        at.spaces();
        if (at.at_end()) return true;
        if (at.skip('(')) {
            if (!iequals(at.word(), "MODSEQ")) return at.fail("MODSEQ");
            if (!at.number(out.modseq) || !at.expect(')')) return false;
            continue;
        }
        if (!at.room_for(out.numbers.size())) return false;
        std::optional<std::uint32_t> number;
        if (!at.number(number)) return false;
        if (number) out.numbers.push_back(*number);
    }
}

namespace {

bool sequence_set(cursor& at, uid_set& out) {
    at.spaces();
    const std::string_view text = at.atom();
    if (text.empty()) return true;
    auto set = uid_set::parse(text);
    if (!set) return at.fail("a set of numbers");
    out = std::move(*set);
    return true;
}

// search-correlator = "(" "TAG" SP tag-string ")"; RFC 7377 adds MAILBOX and UIDVALIDITY.
bool search_correlator(cursor& at, std::string& tag) {
    at.skip('(');
    while (true) {
        at.spaces();
        if (at.skip(')')) return true;
        const std::string_view name = at.word();
        if (name.empty()) return at.fail("TAG");
        at.spaces();
        if (iequals(name, "TAG") ? !at.astring(tag) : !at.skip_value()) return false;
    }
}

// search-return-data (RFC 4731; the rest, PARTIAL for one, is skipped)
bool search_return_data(cursor& at, esearch_data& out) {
    const std::string_view name = at.word();
    if (name.empty()) return at.fail("a search return item");
    if (iequals(name, "MIN")) return at.number(out.min);
    if (iequals(name, "MAX")) return at.number(out.max);
    if (iequals(name, "COUNT")) return at.number(out.count);
    if (iequals(name, "MODSEQ")) return at.number(out.modseq);
    if (iequals(name, "ALL")) return sequence_set(at, out.all.emplace());
    return at.skip_value();
}

} // namespace

bool esearch_response(cursor& at, esearch_data& out) {
    at.spaces();
    if (at.next_is('(') && !search_correlator(at, out.tag)) return false;
    while (true) {
        at.spaces();
        if (at.at_end()) return true;
        const std::size_t from = at.position();
        if (iequals(at.word(), "UID")) {
            out.uid = true;
            continue;
        }
        at.go_to(from);
        if (!search_return_data(at, out)) return false;
    }
}

bool flags(cursor& at, flags_data& out) { return at.list(out.flags); }

// expunged-resp = "VANISHED" [SP "(EARLIER)"] SP known-uids (RFC 7162)
bool expunged_resp(cursor& at, vanished_data& out) {
    at.spaces();
    if (at.skip('(')) {
        if (!iequals(at.word(), "EARLIER")) return at.fail("EARLIER");
        out.earlier = true;
        if (!at.expect(')')) return false;
    }
    return sequence_set(at, out.uids);
}

} // namespace postferry::imap::detail

#include "client/quirks.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace postferry::client {

namespace {

void like_gmail(server_habits& h) {
    h.gmail = true;
    h.case_insensitive = true;
    h.trailing_spaces = false;
}
void like_exchange(server_habits& h) {
    h.placeholders = true;
    h.keeps_flagged = false;
    h.case_insensitive = true;
    h.trailing_spaces = false;
}
void like_yahoo(server_habits& h) {
    h.command_octets = 1'000;
    h.visible_messages = 10'000;
}
void like_zimbra(server_habits& h) {
    h.list_extended = false;
    h.halves = false;
}

// Servers. Each row is docs/quirks.md#NAME.
constexpr std::array<quirk, 33> catalogue{{
    {"gmail", "labels are folders: All Mail is copied last, and only what has no label that is copied", like_gmail},
    {"exchange-2003", "drops the connection at NAMESPACE: it is not asked",
     [](server_habits& h) { h.namespaces = false; }},
    {"exchange",
     "loses \\Flagged in APPEND, and sends notices in place of messages it cannot render: the flag is set "
     "again, a notice counts as failed",
     like_exchange},
    {"exchange-online", "throttles by the minute, and wants OAuth 2", nullptr},
    {"yahoo", "takes commands of 1,000 octets and shows about 10,000 messages of a folder", like_yahoo},
    {"icloud", "has answers with two spaces and an empty ENABLED", nullptr},
    {"courier",
     "leaves UIDNEXT out of some answers: such folders are scanned; refuses characters beyond U+FFFF in folder names: "
     "they are written as U+1F4EC",
     [](server_habits& h) { h.supplementary_in_names = false; }},
    {"cyrus",
     "has an empty ENABLED, and refuses ! \" % ; < > \\ ^ ` { | } in folder names: they are written full-width",
     [](server_habits& h) { h.refused_in_names = "!\"%;<>\\^`{|}"; }},
    {"dovecot", "takes commands of 64 kB", [](server_habits& h) { h.command_octets = 60'000; }},
    {"zimbra", "old versions crash on extended LIST: plain LIST is used", like_zimbra},
    {"domino", "has no folders below INBOX, and rewrites the domain of Message-IDs",
     [](server_habits& h) { h.children_of_inbox = false; }},
    {"hmailserver", "rejects descending sets and answers partial FETCH wrongly: neither is used", nullptr},
    {"yandex", "searches unreliably: messages are listed by FETCH", [](server_habits& h) { h.search = false; }},
    {"mailru", "writes numbers as 9.3736e+06", nullptr},
    {"netease", "serves nobody who has not sent ID after the login", [](server_habits& h) { h.id_unasked = true; }},
    {"qq", "rejects descending sets: none is used", nullptr},
    {"uw", "keeps a pseudo-message of its own in a folder: it is skipped",
     [](server_habits& h) { h.internal_data = true; }},
    {"zoho", "says MODSEQ -1: CONDSTORE is not used", [](server_habits& h) { h.condstore = false; }},
    {"strato", "leaves INBOX out of extended LIST: plain LIST is used",
     [](server_habits& h) { h.list_extended = false; }},
    {"proton", "rejects SPECIAL-USE in LIST: plain LIST is used; may say OK to APPEND and store nothing: verify",
     [](server_habits& h) { h.list_extended = false; }},
    {"davmail", "swaps the numbers of APPENDUID: it is not used", [](server_habits& h) { h.append_uid = false; }},
    {"ionos", "rejects MODSEQ: CONDSTORE is not used", [](server_habits& h) { h.condstore = false; }},
    {"kopano", "says RFC822.SIZE NIL and INTERNALDATE NIL", nullptr},
    // Single habits, to be forced where a server needs one and is not known here.
    {"no-list-extended", "plain LIST, LSUB and STATUS", [](server_habits& h) { h.list_extended = false; }},
    {"no-namespace", "NAMESPACE is not asked", [](server_habits& h) { h.namespaces = false; }},
    {"no-condstore", "CONDSTORE is not used", [](server_habits& h) { h.condstore = false; }},
    {"no-search", "messages are listed by FETCH, not by SEARCH", [](server_habits& h) { h.search = false; }},
    {"no-append-uid", "APPENDUID is not believed", [](server_habits& h) { h.append_uid = false; }},
    {"one-by-one", "one message per FETCH", [](server_habits& h) { h.many_per_fetch = false; }},
    {"short-commands", "command lines of at most 1,000 octets", [](server_habits& h) { h.command_octets = 1'000; }},
    {"flag-again", "\\Flagged is set again after APPEND", [](server_habits& h) { h.keeps_flagged = false; }},
    {"case-insensitive", "folder names that differ only in case are one folder",
     [](server_habits& h) { h.case_insensitive = true; }},
    {"send-id", "ID is sent also where it is not offered", [](server_habits& h) { h.id_unasked = true; }},
}};

enum class place : std::uint8_t { greeting, id, capability, host };
struct mark {
    std::string_view quirk;
    place where;
    std::string_view text; ///< part of the greeting or of an ID value, a capability, the host's end; without case
};

// A greeting may be changed by whoever runs the server, and often is; ID and capabilities hardly ever. Hosts are for
// those that tell nothing of themselves.
constexpr std::array<mark, 45> marks{{
    {"gmail", place::capability, "X-GM-EXT-1"},
    {"exchange-2003", place::greeting, "Microsoft Exchange Server 2003"},
    {"exchange-2003", place::greeting, "Microsoft Exchange 2000"},
    {"exchange", place::greeting, "Microsoft Exchange"},
    {"exchange", place::id, "Microsoft.Exchange"},
    {"exchange-online", place::greeting, "Microsoft Exchange IMAP4 service is ready. ["},
    {"exchange-online", place::host, ".office365.com"},
    {"exchange-online", place::host, ".outlook.com"},
    {"yahoo", place::capability, "XYMHIGHESTMODSEQ"},
    {"yahoo", place::host, ".yahoo.com"},
    {"yahoo", place::host, ".aol.com"},
    {"icloud", place::greeting, "iscream"},
    {"icloud", place::greeting, "iCloud"},
    {"icloud", place::host, ".me.com"},
    {"courier", place::greeting, "Courier-IMAP"},
    {"cyrus", place::greeting, "Cyrus IMAP"},
    {"cyrus", place::id, "Cyrus IMAP"},
    {"dovecot", place::greeting, "Dovecot"},
    {"dovecot", place::id, "Dovecot"},
    {"zimbra", place::greeting, "Zimbra IMAP4"},
    {"zimbra", place::id, "Zimbra"},
    {"domino", place::greeting, "Domino IMAP4"},
    {"hmailserver", place::greeting, "IMAPrev1"},
    {"hmailserver", place::greeting, "hMailServer"},
    {"yandex", place::greeting, "Yandex IMAP4rev1"},
    {"mailru", place::host, ".mail.ru"},
    {"netease", place::greeting, "Coremail System"},
    {"netease", place::host, ".163.com"},
    {"netease", place::host, ".126.com"},
    {"netease", place::host, ".188.com"},
    {"qq", place::greeting, "QQMail"},
    {"uw", place::greeting, " IMAP4rev1 200"},
    {"uw", place::greeting, "Panda IMAP"},
    {"zoho", place::greeting, "Zoho"},
    {"zoho", place::host, ".zoho.com"},
    {"strato", place::id, "RZimapd"},
    {"strato", place::host, ".strato.de"},
    {"proton", place::greeting, "Proton Mail Bridge"},
    {"proton", place::greeting, "gluon session"},
    {"proton", place::id, "gluon"},
    {"davmail", place::greeting, "DavMail"},
    {"ionos", place::host, ".ionos.de"},
    {"ionos", place::host, ".ionos.com"},
    {"ionos", place::host, ".1und1.de"},
    {"kopano", place::greeting, "Kopano IMAP"},
}};

bool contains_nocase(std::string_view text, std::string_view part) {
    return ascii_lower(text).contains(ascii_lower(part));
}

// Why the mark holds for the server.
std::optional<std::string> holds(const mark& m, const server_words& server) {
    switch (m.where) {
    case place::greeting:
        if (contains_nocase(server.greeting, m.text)) return fmt::format("its greeting says \"{}\"", m.text);
        break;
    case place::id:
        for (const auto& [key, value] : server.id)
            if ((key == "name" || key == "vendor") && contains_nocase(value, m.text))
                return fmt::format("its ID says {} \"{}\"", key, quote_server_text(value, 60));
        break;
    case place::capability:
        if (std::ranges::find(server.capabilities, m.text) != server.capabilities.end())
            return fmt::format("it offers {}", m.text);
        break;
    case place::host:
        if (ascii_lower(server.host).ends_with(m.text) || iequals(server.host, m.text.substr(1)))
            return fmt::format("its name ends in {}", m.text);
        break;
    }
    return std::nullopt;
}

} // namespace

std::span<const quirk> all_quirks() noexcept { return catalogue; }

const quirk* find_quirk(std::string_view name) noexcept {
    const auto* const at = std::ranges::find(catalogue, name, &quirk::name);
    return at == catalogue.end() ? nullptr : &*at;
}

result<quirk_wishes> parse_quirks(std::string_view text) {
    quirk_wishes out;
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        std::string_view name = text.substr(0, comma);
        text.remove_prefix(std::min(comma + 1, text.size()));
        const bool off = name.starts_with('-');
        if (off) name.remove_prefix(1);
        const quirk* const found = find_quirk(name);
        if (found == nullptr) {
            std::string known;
            for (const quirk& q : catalogue) known += (known.empty() ? "" : ", ") + std::string(q.name);
            return fail(retry_class::config, phase::usage,
                        fmt::format("quirks= knows no quirk \"{}\"", quote_server_text(name, 40)),
                        fmt::format("Known are {}; with \"-\" in front one is left off", known));
        }
        (off ? out.off : out.force).push_back(found);
    }
    return out;
}

std::vector<applied_quirk> choose_quirks(const server_words& server, const quirk_wishes& wishes) {
    std::vector<applied_quirk> out;
    for (const quirk& q : catalogue) {
        if (std::ranges::find(wishes.off, &q) != wishes.off.end()) continue;
        if (std::ranges::find(wishes.force, &q) != wishes.force.end()) {
            out.push_back({&q, "quirks= asks for it"});
            continue;
        }
        for (const mark& m : marks) {
            if (m.quirk != q.name) continue;
            auto why = holds(m, server);
            if (!why) continue;
            out.push_back({&q, std::move(*why)});
            break;
        }
    }
    return out;
}

server_habits habits_of(std::span<const applied_quirk> quirks) noexcept {
    server_habits out;
    for (const applied_quirk& q : quirks)
        if (q.what->change != nullptr) q.what->change(out);
    return out;
}

} // namespace postferry::client

#include "mailbox/detail/imap_names.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "protocol/imap/mailbox_name.hpp"

#include <fmt/format.h>

namespace postferry::mailbox::detail {

namespace {

constexpr std::string_view division_slash = "\u2215";

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
    std::string out;
    while (true) {
        const std::size_t at = text.find(from);
        out += text.substr(0, at);
        if (at == std::string_view::npos) return out;
        out += to;
        text.remove_prefix(at + from.size());
    }
}

// One level of a name from the wire. quirk bad-utf-7 (Yandex, ME#46): what is no valid modified UTF-7 is kept as it is
// if it is UTF-8, else escaped.
std::string decode_level(std::string_view wire, bool utf8, bool& undecodable) {
    std::optional<std::string> name = utf8 ? std::nullopt : imap::decode_mutf7(wire);
    if (!name) {
        const bool escape = !is_utf8(wire);
        undecodable = undecodable || escape;
        name = escape ? quote_server_text(wire, 1000) : std::string(wire);
    }
    return replace_all(*name, "/", division_slash);
}

// INBOX at the beginning of a prefix has no case.
bool has_prefix(std::string_view wire, std::string_view prefix) {
    return istarts_with(prefix, "INBOX") ? istarts_with(wire, prefix) : wire.starts_with(prefix);
}

} // namespace

bool is_inbox(std::string_view wire) noexcept { return iequals(wire, "INBOX"); }

bool in_namespace(std::string_view wire, const imap::namespace_data::entry& space) {
    std::string_view parent = space.prefix;
    if (space.delimiter && parent.ends_with(*space.delimiter)) parent.remove_suffix(1);
    return wire.starts_with(space.prefix) || wire == parent;
}

std::string without_trailing_delimiter(std::string_view wire, std::optional<char> delimiter) {
    // quirk trailing-delimiter: some servers write it behind the name of a folder that only holds others.
    if (delimiter && wire.size() > 1 && wire.ends_with(*delimiter)) wire.remove_suffix(1);
    return std::string(wire);
}

std::string folder_key(std::string_view wire, std::optional<char> delimiter) {
    return is_inbox(wire) ? "INBOX" : without_trailing_delimiter(wire, delimiter);
}

decoded_name decode_name(std::string_view wire, const name_form& form) {
    decoded_name out;
    if (is_inbox(wire)) {
        out.name = "INBOX";
        return out;
    }
    // A folder called INBOX below the prefix INBOX. is not the inbox: it keeps the prefix.
    if (!form.prefix.empty() && has_prefix(wire, form.prefix) && !is_inbox(wire.substr(form.prefix.size())))
        wire.remove_prefix(form.prefix.size());
    const std::string levels = without_trailing_delimiter(wire, form.delimiter);
    std::string_view rest = levels;
    while (true) {
        const std::size_t cut = form.delimiter ? rest.find(*form.delimiter) : std::string_view::npos;
        out.name += decode_level(rest.substr(0, cut), form.utf8, out.undecodable);
        if (cut == std::string_view::npos) break;
        out.name += '/';
        rest.remove_prefix(cut + 1);
    }
    // INBOX has no case (RFC 3501, 5.1), and neither has the first level of its children.
    if (istarts_with(out.name, "INBOX/")) out.name.replace(0, 5, "INBOX");
    return out;
}

std::string encode_name(std::string_view name, const name_form& form) {
    if (is_inbox(name)) return "INBOX";
    std::string wire = form.prefix;
    while (true) {
        const std::size_t slash = name.find('/');
        const std::string_view level = name.substr(0, slash);
        wire += form.utf8 ? std::string(level) : imap::encode_mutf7(level).value_or(std::string(level));
        if (slash == std::string_view::npos) return wire;
        wire += form.delimiter.value_or('/');
        name.remove_prefix(slash + 1);
    }
}

std::string unique_name(std::string name, std::string_view wire, std::optional<char> delimiter,
                        const std::set<std::string, std::less<>>& taken) {
    if (!taken.contains(name)) return name;
    // As the server spells it: "Inbox/x" beside "INBOX/x", "&AGE-" beside "a".
    std::string plain(wire);
    if (delimiter && *delimiter != '/') plain = replace_all(plain, "/", division_slash);
    if (delimiter) plain = replace_all(plain, std::string_view(&*delimiter, 1), "/");
    if (!is_utf8(plain)) plain = quote_server_text(plain, 1000);
    if (!is_inbox(plain) && !taken.contains(plain)) return plain;
    for (unsigned n = 2;; ++n)
        if (std::string numbered = fmt::format("{} ({})", name, n); !taken.contains(numbered)) return numbered;
}

std::string hidden_prefix(const std::vector<imap::list_data>& folders) {
    // Only with "." as delimiter, as Courier and its like have it: elsewhere nobody may have made a folder beside INBOX
    // yet, and names must not change on the day when somebody does.
    std::string prefix;
    for (const imap::list_data& l : folders) {
        if (is_inbox(l.name)) continue;
        constexpr std::size_t inbox = 5;
        if (l.delimiter != '.' || l.name.size() <= inbox + 1 || !istarts_with(l.name, "INBOX") ||
            l.name[inbox] != *l.delimiter)
            return {};
        if (prefix.empty()) prefix = l.name.substr(0, inbox + 1);
    }
    return prefix;
}

} // namespace postferry::mailbox::detail

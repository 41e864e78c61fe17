#include "base/text.hpp"
#include "protocol/imap/detail/rules.hpp"

namespace postferry::imap::detail {

// capability-data, enable-data: atoms. quirk empty-enabled (Cyrus, iCloud): "* ENABLED" with nothing.
bool capability_data_rule(cursor& at, std::vector<std::string>& out) {
    while (true) {
        at.spaces();
        if (at.at_end()) return true;
        if (!at.room_for(out.size())) return false;
        const std::string_view name = at.atom();
        if (name.empty()) return at.fail("a capability");
        // quirk literal-plus-apart (MailKit #1654): "LITERAL +".
        if ((name == "+" || name == "-") && !out.empty() && out.back() == "LITERAL")
            out.back() += name;
        else
            out.push_back(ascii_upper(name));
    }
}

namespace {

// Namespace-Descr = "(" string SP (QUOTED-CHAR / nil) *(Namespace-Response-Extension) ")"
bool namespace_descr(cursor& at, namespace_data::entry& out) {
    if (!at.expect('(')) return false;
    at.spaces();
    if (!at.nil() && !at.astring(out.prefix)) return false;
    if (!delimiter(at, out.delimiter)) return false;
    while (true) {
        at.spaces();
        if (at.skip(')')) return true;
        if (at.at_end()) return at.fail("')'");
        if (!at.skip_value()) return false;
    }
}

// Namespace = nil / "(" 1*Namespace-Descr ")"
bool namespace_rule(cursor& at, std::vector<namespace_data::entry>& out) {
    at.spaces();
    if (at.at_end() || at.nil()) return true;
    if (!at.expect('(')) return false;
    while (true) {
        at.spaces();
        if (at.skip(')')) return true;
        if (!at.room_for(out.size()) || !namespace_descr(at, out.emplace_back())) return false;
    }
}

} // namespace

bool namespace_response(cursor& at, namespace_data& out) {
    return namespace_rule(at, out.personal) && namespace_rule(at, out.other_users) && namespace_rule(at, out.shared);
}

// id-response = "ID" SP (nil / "(" *(string SP nstring) ")") (RFC 2971)
bool id_response(cursor& at, id_data& out) {
    at.spaces();
    if (at.at_end() || at.nil()) return true;
    if (!at.expect('(')) return false;
    while (true) {
        at.spaces();
        if (at.skip(')')) return true;
        if (!at.room_for(out.fields.size())) return false;
        auto& [key, value] = out.fields.emplace_back();
        if (!at.astring(key)) return false;
        key = ascii_lower(key);
        at.spaces();
        if (!at.next_is(')') && !at.nil() && !at.astring(value)) return false;
    }
}

// quota-response = "QUOTA" SP quota-root-name SP "(" *(resource SP usage SP limit) ")" (RFC 9208)
bool quota_response(cursor& at, quota_data& out) {
    at.spaces();
    if (!at.astring(out.root) || !at.expect('(')) return false;
    while (true) {
        at.spaces();
        if (at.skip(')')) return true;
        if (!at.room_for(out.resources.size())) return false;
        const std::string_view name = at.atom();
        if (name.empty()) return at.fail("a quota resource");
        std::optional<std::uint64_t> usage;
        std::optional<std::uint64_t> limit;
        if (!at.number(usage) || !at.number(limit)) return false;
        out.resources.push_back({ascii_upper(name), usage.value_or(0), limit.value_or(0)});
    }
}

bool quotaroot_response(cursor& at, quota_root_data& out) {
    at.spaces();
    if (!at.astring(out.mailbox)) return false;
    while (true) {
        at.spaces();
        if (at.at_end()) return true;
        if (!at.room_for(out.roots.size()) || !at.astring(out.roots.emplace_back())) return false;
    }
}

} // namespace postferry::imap::detail

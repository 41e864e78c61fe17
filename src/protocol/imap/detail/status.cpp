#include "base/text.hpp"
#include "protocol/imap/detail/rules.hpp"

#include <algorithm>

namespace postferry::imap::detail {

std::optional<status_kind> status_keyword(std::string_view word) noexcept {
    if (iequals(word, "OK")) return status_kind::ok;
    if (iequals(word, "NO")) return status_kind::no;
    if (iequals(word, "BAD")) return status_kind::bad;
    if (iequals(word, "PREAUTH")) return status_kind::preauth;
    if (iequals(word, "BYE")) return status_kind::bye;
    return std::nullopt;
}

namespace {

constexpr std::size_t max_uids_in_order = 100'000;

void expand(std::string_view set, std::vector<std::uint32_t>& out) {
    while (!set.empty()) {
        const std::string_view item = set.substr(0, set.find(','));
        const std::size_t colon = item.find(':');
        std::uint32_t first = parse_u32(item.substr(0, colon)).value_or(0);
        std::uint32_t last = colon == std::string_view::npos ? first : parse_u32(item.substr(colon + 1)).value_or(0);
        // "2:4 and 4:2 are equivalent" (RFC 4315 uid-range): the order is that of the ranges, not within one.
        if (first > last) std::swap(first, last);
        for (std::uint64_t uid = first; uid <= last; ++uid) {
            if (out.size() == max_uids_in_order) return out.clear();
            out.push_back(static_cast<std::uint32_t>(uid));
        }
        set.remove_prefix(std::min(set.size(), item.size() + 1));
    }
}

// resp-code-apnd, resp-code-copy (RFC 4315)
std::optional<response_code::copy_uid> uids(cursor& at, bool with_source) {
    std::optional<std::uint32_t> uid_validity;
    if (!at.number(uid_validity) || !uid_validity) return std::nullopt;
    response_code::copy_uid out;
    out.uid_validity = *uid_validity;
    const auto set = [&](uid_set& into) {
        at.spaces();
        const std::string_view text = at.atom();
        // quirk empty-copyuid (Office 365, MailKit #555): [COPYUID 701  ] names no UIDs at all.
        if (text.empty()) return std::optional(text);
        auto parsed = uid_set::parse(text);
        if (!parsed) return std::optional<std::string_view>();
        into = std::move(*parsed);
        return std::optional(text);
    };
    if (with_source) {
        const auto source = set(out.source);
        if (!source) return std::nullopt;
        expand(*source, out.source_in_order);
    }
    const auto target = set(out.target);
    if (!target) return std::nullopt;
    expand(*target, out.target_in_order);
    return out;
}

// resp-text-code. A code whose arguments we cannot read keeps them as text.
void typed_members(response_code& code, const parser_limits& limits) {
    cursor at(code.args, limits);
    const std::string_view name = code.name;
    if (name == "UIDVALIDITY" || name == "UIDNEXT" || name == "UNSEEN" || name == "HIGHESTMODSEQ") {
        at.number(code.number);
    } else if (name == "PERMANENTFLAGS" || name == "BADCHARSET") {
        std::vector<std::string> list;
        if (at.list(list)) code.flags = std::move(list);
    } else if (name == "CAPABILITY") {
        std::vector<std::string> list;
        if (capability_data_rule(at, list)) code.capabilities = std::move(list);
    } else if (name == "APPENDUID" || name == "COPYUID") {
        code.uids = uids(at, name == "COPYUID");
    }
}

std::optional<response_code> resp_text_code(cursor& at) {
    const std::size_t from = at.position();
    at.skip('[');
    auto inside = at.bracketed();
    if (!inside) {
        // A quote or parenthesis inside was only text, or there is no "]" and all of it is.
        const std::size_t end = at.rest().find(']');
        if (end == std::string_view::npos) {
            at.go_to(from);
            return std::nullopt;
        }
        inside = at.rest().substr(0, end);
        at.advance(end + 1);
    }
    std::string_view text = *inside;
    while (text.starts_with(' ')) text.remove_prefix(1);
    while (text.ends_with(' ')) text.remove_suffix(1);
    if (text.empty()) return std::nullopt; // quirk empty-code: "* OK [] hello"
    response_code code;
    const std::size_t space = text.find(' ');
    code.name = ascii_upper(text.substr(0, space));
    if (space != std::string_view::npos) {
        text.remove_prefix(std::min(text.find_first_not_of(' ', space), text.size()));
        code.args = text;
    }
    typed_members(code, at.limits());
    return code;
}

} // namespace

// resp-text = ["[" resp-text-code "]" SP] text. quirk missing-text: each of the spaces, the code and the text may be
// absent (Gmail and others send "* OK [HIGHESTMODSEQ 1]", some servers "A1 OK[READ-WRITE]done").
status_response resp_text(std::string_view tag, status_kind kind, cursor& at) {
    status_response out;
    out.tag = tag;
    out.kind = kind;
    at.spaces();
    if (at.next_is('[')) out.code = resp_text_code(at);
    at.spaces();
    out.text = at.rest();
    std::ranges::replace(out.text, '\r', ' ');
    return out;
}

} // namespace postferry::imap::detail

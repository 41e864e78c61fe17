#include "base/error.hpp"
#include "base/text.hpp"
#include "protocol/imap/detail/rules.hpp"

#include <fmt/format.h>

#include <limits>

namespace postferry::imap::detail {

namespace {

using answer = std::expected<response, std::string>;

answer bad(std::string_view what, std::string_view line) {
    return std::unexpected(fmt::format("{}: \"{}\"", what, quote_server_text(line, 100)));
}

// Literals become quoted strings, so that a person or a rule can read the text in one piece. Those with octets that
// no quoted string may hold stay as they are.
std::string flattened(std::string_view text, const parser_limits& limits) {
    if (text.find('\n') == std::string_view::npos) return std::string(text);
    std::string out;
    cursor at(text, limits);
    while (!at.at_end()) {
        const std::string_view before = at.rest();
        std::string value;
        if (!at.at_literal() || !at.literal(value)) {
            at.forgive();
            at.go_to(text.size() - before.size() + 1);
            out += before.front();
        } else if (value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos) {
            out += '"';
            for (const char c : value) {
                if (c == '"' || c == '\\') out += '\\';
                out += c;
            }
            out += '"';
        } else {
            out += before.substr(0, before.size() - at.rest().size());
        }
    }
    return out;
}

response other(std::string_view keyword, cursor& at) {
    at.spaces();
    return other_data{ascii_upper(keyword), flattened(at.rest(), at.limits())};
}

template <class Data, class Rule> answer typed(std::string_view keyword, cursor& at, Data data, Rule rule) {
    if (!rule(at, data) || (at.spaces(), !at.at_end() && !at.fail("the end")))
        return std::unexpected(fmt::format("{} response: {}", keyword, at.complaint()));
    return response(std::move(data));
}

// What tells about the server but holds no mail: if it cannot be read, it is no reason to give the connection up.
template <class Data, class Rule>
answer optional_knowledge(std::string_view keyword, cursor& at, Data data, Rule rule) {
    const std::size_t from = at.position();
    if (rule(at, data) && (at.spaces(), at.at_end())) return response(std::move(data));
    at.forgive();
    at.go_to(from);
    return other(keyword, at);
}

list_data list_of(list_data::verb kind) {
    list_data out;
    out.kind = kind;
    return out;
}

constexpr auto capabilities = [](cursor& at, auto& out) { return capability_data_rule(at, out.capabilities); };

// mailbox-data, capability-data, enable-data and the like, behind "* "
answer untagged_keyword(std::string_view word, cursor& at) {
    const std::string key = ascii_upper(word);
    if (key == "CAPABILITY") return typed(key, at, capability_data{}, capabilities);
    if (key == "ENABLED") return typed(key, at, enabled_data{}, capabilities);
    if (key == "LIST") return typed(key, at, list_data{}, mailbox_list);
    if (key == "LSUB") return typed(key, at, list_of(list_data::verb::lsub), mailbox_list);
    if (key == "XLIST") return typed(key, at, list_of(list_data::verb::xlist), mailbox_list);
    if (key == "STATUS") return typed(key, at, mailbox_status{}, status_att_list);
    if (key == "SEARCH") return typed(key, at, search_data{}, search);
    if (key == "ESEARCH") return typed(key, at, esearch_data{}, esearch_response);
    if (key == "FLAGS") return typed(key, at, flags_data{}, flags);
    if (key == "VANISHED") return typed(key, at, vanished_data{}, expunged_resp);
    if (key == "NAMESPACE") return optional_knowledge(key, at, namespace_data{}, namespace_response);
    if (key == "ID") return optional_knowledge(key, at, id_data{}, id_response);
    if (key == "QUOTA") return optional_knowledge(key, at, quota_data{}, quota_response);
    if (key == "QUOTAROOT") return optional_knowledge(key, at, quota_root_data{}, quotaroot_response);
    return other(key, at);
}

// message-data = nz-number SP ("EXPUNGE" / "EXISTS" / "RECENT" ...)
answer untagged_number(std::optional<std::uint64_t> number, std::string_view from_number, cursor& at) {
    at.spaces();
    const std::string_view word = at.word();
    std::optional<number_data::verb> kind;
    if (iequals(word, "EXISTS")) kind = number_data::verb::exists;
    if (iequals(word, "RECENT")) kind = number_data::verb::recent;
    if (iequals(word, "EXPUNGE")) kind = number_data::verb::expunge;
    if (kind) {
        if (!number || *number > std::numeric_limits<std::uint32_t>::max())
            return bad("a message number out of range", from_number);
        return response(number_data{*kind, static_cast<std::uint32_t>(*number)});
    }
    if (word.empty()) return bad("a number without a keyword", from_number);
    other_data data = std::get<other_data>(other(word, at));
    data.text.insert(0, std::string(from_number.substr(0, from_number.find(' '))) + ' ');
    return response(std::move(data));
}

answer untagged(cursor& at) {
    at.spaces();
    const std::string_view after_star = at.rest();
    // quirk code-without-status (Office 365, MailKit #115): "* [COPYUID ...]" without its OK.
    if (at.next_is('[')) return resp_text({}, status_kind::ok, at);
    const std::string_view word = at.word();
    if (word.empty()) return bad("an untagged response without a keyword", after_star);
    if (const auto kind = status_keyword(word)) return resp_text({}, *kind, at);
    if (word.front() >= '0' && word.front() <= '9') {
        if (const auto [is_number, value] = lenient_number(word); is_number)
            return untagged_number(value, after_star, at);
    }
    return untagged_keyword(word, at);
}

} // namespace

std::expected<response, std::string> read_response(std::string_view line, const parser_limits& limits) {
    cursor at(line, limits);
    // continue-req; quirk bare-plus (modern-email #7): "+" without space or text.
    if (at.skip('+')) {
        at.skip(' ');
        return response(continuation_request{std::string(at.rest())});
    }
    if (at.skip('*')) return untagged(at);
    if (at.next_is('[')) return resp_text({}, status_kind::ok, at); // quirk code-without-status
    at.spaces();
    const std::string_view tag = at.word();
    // quirk missing-star (Exchange): "NO Server Unavailable. 15" without "* ". Our tags are never such words.
    if (const auto kind = status_keyword(tag)) return resp_text({}, *kind, at);
    if (!tag.empty() && at.next_is(' ')) {
        at.spaces();
        if (const auto kind = status_keyword(at.word())) return resp_text(tag, *kind, at);
    }
    return bad("no IMAP response", line);
}

bool may_hold_literals(std::string_view line) noexcept {
    if (!line.starts_with('*')) return false;
    line.remove_prefix(1);
    while (line.starts_with(' ')) line.remove_prefix(1);
    if (line.starts_with('[')) return false;
    return !status_keyword(line.substr(0, line.find_first_of(" ["))).has_value();
}

std::optional<std::uint32_t> fetch_prefix(cursor& at) noexcept {
    if (!at.skip('*')) return std::nullopt;
    at.spaces();
    const std::string_view token = at.word();
    if (token.empty() || token.front() < '0' || token.front() > '9') return std::nullopt;
    const auto [is_number, value] = lenient_number(token);
    at.spaces();
    if (!is_number || !iequals(at.word(), "FETCH")) return std::nullopt;
    // quirk absurd-sequence-number (Courier "* 0 FETCH", MailKit #428; Exchange beyond EXISTS): FETCH is keyed by UID.
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(value.value_or(0), std::numeric_limits<std::uint32_t>::max()));
}

} // namespace postferry::imap::detail

#pragma once
// What the parser said, as lines of text: for tests and fuzzers, which compare them. No part of the product.
#include "protocol/imap/response_parser.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace postferry::imap::detail {

template <class T> std::string text_of(const std::optional<T>& value) {
    return value ? fmt::format("{}", *value) : std::string("-");
}

inline std::string text_of(const std::optional<internal_date>& d) {
    return d ? fmt::format("{}@{}", d->unix_seconds, d->zone_minutes) : std::string("-");
}

inline std::string text_of(const std::optional<response_code>& code) {
    if (!code) return "-";
    std::string out = fmt::format("[{}|{}|{}", code->name, code->args, text_of(code->number));
    if (code->flags) out += fmt::format("|flags {}", *code->flags);
    if (code->capabilities) out += fmt::format("|capabilities {}", *code->capabilities);
    if (code->uids) {
        const auto& order = code->uids->target_in_order;
        out += fmt::format("|uids {} {} {} {}", code->uids->uid_validity, code->uids->source.to_string(),
                           code->uids->target.to_string(), order.size());
        if (order.size() < 100) out += fmt::format(" {}", order);
    }
    return out + "]";
}

inline std::string text_of(const status_response& r) {
    return fmt::format("status tag={} kind={} code={} text={}", r.tag, static_cast<int>(r.kind), text_of(r.code),
                       r.text);
}

inline std::string text_of(const continuation_request& r) { return "+ " + r.text; }
inline std::string text_of(const capability_data& r) { return fmt::format("capability {}", r.capabilities); }
inline std::string text_of(const enabled_data& r) { return fmt::format("enabled {}", r.capabilities); }

inline std::string text_of(const list_data& r) {
    return fmt::format("list {} {} {} name={} {}", static_cast<int>(r.kind), r.attributes, text_of(r.delimiter), r.name,
                       r.extended);
}

inline std::string text_of(const mailbox_status& r) {
    return fmt::format("mailbox_status {} m={} r={} n={} v={} u={} d={} s={} h={} a={} i={}", r.name,
                       text_of(r.messages), text_of(r.recent), text_of(r.uid_next), text_of(r.uid_validity),
                       text_of(r.unseen), text_of(r.deleted), text_of(r.size), text_of(r.highest_modseq),
                       text_of(r.append_limit), text_of(r.mailbox_id));
}

inline std::string text_of(const search_data& r) {
    return fmt::format("search {} modseq={}", r.numbers, text_of(r.modseq));
}

inline std::string text_of(const esearch_data& r) {
    return fmt::format("esearch tag={} uid={} min={} max={} count={} all={} modseq={}", r.tag, r.uid, text_of(r.min),
                       text_of(r.max), text_of(r.count), r.all ? r.all->to_string() : "-", text_of(r.modseq));
}

inline std::string text_of(const flags_data& r) { return fmt::format("flags {}", r.flags); }
inline std::string text_of(const number_data& r) {
    return fmt::format("number {} {}", static_cast<int>(r.kind), r.number);
}
inline std::string text_of(const vanished_data& r) {
    return fmt::format("vanished earlier={} {}", r.earlier, r.uids.to_string());
}

inline std::string text_of(const fetch_data& r) {
    std::string out =
        fmt::format("fetch {} uid={} date={}/{} size={} modseq={} email={} gm={} labels={}", r.sequence_number,
                    text_of(r.uid), r.date_present, text_of(r.date), text_of(r.rfc822_size), text_of(r.modseq),
                    text_of(r.email_id), text_of(r.gmail_msgid), r.gmail_labels);
    if (r.flags) out += fmt::format(" flags={}", *r.flags);
    for (const body_item& b : r.bodies)
        out += fmt::format(" {} streamed={} octets={} content={}", b.section, b.streamed, b.octets, text_of(b.content));
    return out;
}

inline std::string text_of(const namespace_data& r) {
    std::string out = "namespace";
    for (const auto* list : {&r.personal, &r.other_users, &r.shared}) {
        out += " (";
        for (const auto& e : *list) out += fmt::format("({} {})", e.prefix, text_of(e.delimiter));
        out += ")";
    }
    return out;
}

inline std::string text_of(const id_data& r) { return fmt::format("id {}", r.fields); }

inline std::string text_of(const quota_data& r) {
    std::string out = "quota " + r.root;
    for (const auto& q : r.resources) out += fmt::format(" {} {}/{}", q.name, q.usage, q.limit);
    return out;
}

inline std::string text_of(const quota_root_data& r) { return fmt::format("quotaroot {} {}", r.mailbox, r.roots); }
inline std::string text_of(const other_data& r) { return fmt::format("other {}: {}", r.keyword, r.text); }

inline std::string text_of(const response& r) {
    return std::visit([](const auto& alternative) { return text_of(alternative); }, r);
}

/// Feeds `wire` in pieces that end at the ascending offsets `cuts`. One line per event but need_more; the octets of
/// neighbouring body_chunks are joined, since how they are cut is up to the pieces. Ends at the first malformed.
inline std::vector<std::string> events_of(std::string_view wire, const std::vector<std::size_t>& cuts,
                                          parser_limits limits = {}) {
    using parser = response_parser;
    parser p(limits);
    std::vector<std::string> out;
    std::size_t from = 0;
    for (std::size_t i = 0; i <= cuts.size(); ++i) {
        const std::size_t to = i < cuts.size() ? cuts[i] : wire.size();
        // A copy of exactly this size, so that the address sanitizer sees a step beyond the piece.
        const std::vector<char> piece(wire.begin() + static_cast<std::ptrdiff_t>(from),
                                      wire.begin() + static_cast<std::ptrdiff_t>(to));
        from = to;
        p.feed({piece.data(), piece.size()});
        for (bool more = true; more;) {
            parser::event e = p.next();
            if (std::holds_alternative<parser::need_more>(e)) {
                more = false;
            } else if (auto* r = std::get_if<response>(&e)) {
                out.push_back(text_of(*r));
            } else if (auto* b = std::get_if<parser::body_begin>(&e)) {
                out.push_back(fmt::format("begin {} literal8={} {}", b->octets, b->literal8, text_of(b->head)));
                out.emplace_back("chunk ");
            } else if (auto* c = std::get_if<parser::body_chunk>(&e)) {
                out.back() += c->octets;
            } else if (std::holds_alternative<parser::body_end>(e)) {
                out.emplace_back("end");
            } else {
                out.push_back("malformed: " + std::get<parser::malformed>(e).what);
                return out;
            }
        }
    }
    out.emplace_back(p.between_responses() ? "between responses" : "half read");
    return out;
}

} // namespace postferry::imap::detail

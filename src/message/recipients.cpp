#include "message/recipients.hpp"

#include "base/text.hpp"
#include "message/header_fields.hpp"
#include "message/received_date.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace postferry::message {

namespace {

constexpr std::size_t longest_address = 254, longest_local = 64;

/// What mail servers write when they deliver: Postfix, Dovecot, qmail; Postfix; Exim; Cyrus and others.
constexpr std::array<std::string_view, 5> delivery_fields{"Delivered-To", "X-Original-To", "Envelope-To",
                                                          "X-Envelope-To", "Received-For"};

bool is_space(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// Outside of it, so that whoever is asked may be an account of a mail server (directory/address.hpp is stricter).
bool is_address(std::string_view text) noexcept {
    const std::size_t at = text.find('@');
    if (at == std::string_view::npos || at == 0 || at > longest_local || at + 1 == text.size()) return false;
    if (text.size() > longest_address || text.find('@', at + 1) != std::string_view::npos) return false;
    return std::ranges::none_of(text, [](char c) {
        const auto octet = static_cast<unsigned char>(c);
        return octet <= ' ' || octet == 0x7f || std::string_view("()<>[]:;\\,\"").contains(c);
    });
}

/// A list's text, word by word.
class words {
  public:
    enum class kind : std::uint8_t { end, atom, angle, comma, colon, semicolon };
    struct word {
        kind what = kind::end;
        std::string_view text = {}; ///< of atom, and what stands within "<" and ">"
    };

    explicit words(std::string_view text) noexcept : text_(text) {}

    word next() noexcept {
        for (; at_ < text_.size(); ++at_) {
            const char c = text_[at_];
            if (c == '(') {
                skip_comment();
            } else if (c == '"') {
                skip_quoted();
            } else if (c == '<') {
                const std::size_t from = at_ + 1;
                at_ = std::min(text_.find('>', from), text_.size());
                const std::string_view inside = text_.substr(from, at_ - from);
                at_ += at_ < text_.size() ? 1U : 0U;
                return {.what = kind::angle, .text = inside};
            } else if (const auto mark = mark_of(c); mark != kind::end) {
                ++at_;
                return {.what = mark};
            } else if (!is_space(c) && c != '>') {
                return atom();
            }
        }
        return {};
    }

  private:
    static kind mark_of(char c) noexcept {
        return c == ',' ? kind::comma : c == ':' ? kind::colon : c == ';' ? kind::semicolon : kind::end;
    }

    word atom() noexcept {
        const std::size_t from = at_;
        while (at_ < text_.size() && !is_space(text_[at_]) && !std::string_view("(\"<>,:;").contains(text_[at_])) ++at_;
        // A quoted local part: what follows it is no address by itself, and begins with "@".
        return {.what = kind::atom, .text = text_.substr(from, at_ - from)};
    }

    // Both leave at_ on the last octet that they have passed; what is not closed takes the rest.
    void skip_comment() noexcept {
        for (std::size_t depth = 0; at_ < text_.size(); ++at_) {
            if (text_[at_] == '\\')
                ++at_;
            else if (text_[at_] == '(')
                ++depth;
            else if (text_[at_] == ')' && --depth == 0)
                return;
        }
    }
    void skip_quoted() noexcept {
        for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_)
            if (text_[at_] == '\\') ++at_;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

/// What "<" and ">" enclose: addr-spec, perhaps behind a route ("@a,@b:", RFC 5322, 4.4).
std::string_view without_route(std::string_view inside) noexcept {
    if (const std::size_t colon = inside.rfind(':'); colon != std::string_view::npos) inside.remove_prefix(colon + 1);
    while (!inside.empty() && is_space(inside.front())) inside.remove_prefix(1);
    while (!inside.empty() && is_space(inside.back())) inside.remove_suffix(1);
    return inside;
}

} // namespace

std::string_view recipient_fields(bool deliveries) noexcept {
    return deliveries ? "TO CC FROM LIST-ID MESSAGE-ID DELIVERED-TO X-ORIGINAL-TO ENVELOPE-TO X-ENVELOPE-TO "
                        "RECEIVED-FOR RECEIVED"
                      : "TO CC FROM LIST-ID MESSAGE-ID";
}

std::vector<std::string_view> addresses_in(std::string_view body, std::size_t most) {
    using kind = words::kind;
    std::vector<std::string_view> out;
    std::string_view bare; // an atom with "@", unless it turns out to be part of a display name
    const auto put = [&](std::string_view text) {
        if (out.size() < most && is_address(text)) out.push_back(text);
    };
    words all(body);
    for (words::word w = all.next(); w.what != kind::end && out.size() < most; w = all.next()) {
        switch (w.what) {
        case kind::atom:
            if (is_address(w.text)) bare = w.text;
            break;
        case kind::angle:
            bare = {};
            put(without_route(w.text));
            break;
        case kind::colon: bare = {}; break; // the name of a group
        case kind::comma:
        case kind::semicolon: put(std::exchange(bare, {})); break;
        case kind::end: break;
        }
    }
    put(bare);
    return out;
}

std::optional<std::string_view> received_for(std::string_view body) {
    using kind = words::kind;
    bool behind = false;
    words all(body);
    for (words::word w = all.next(); w.what != kind::end && w.what != kind::semicolon; w = all.next()) {
        if (behind) {
            const std::string_view text = w.what == kind::angle ? without_route(w.text) : w.text;
            return is_address(text) ? std::optional(text) : std::nullopt;
        }
        behind = w.what == kind::atom && iequals(w.text, "for");
    }
    return std::nullopt;
}

/// Of one message.
struct recipient_tally::header_facts {
    struct delivery {
        std::string_view field, address;
    };
    std::vector<std::string_view> to, others; ///< others: Cc and From
    std::vector<delivery> deliveries;         ///< topmost first, as in the header
    std::string_view message_id;
    bool from_list = false;
};

recipient_tally::header_facts recipient_tally::read(std::string_view header) {
    header_facts out;
    const auto append = [](std::vector<std::string_view>& to, std::string_view body) {
        if (to.size() >= most_of_a_field) return;
        for (const std::string_view one : addresses_in(body, most_of_a_field - to.size())) to.push_back(one);
    };
    header_fields fields(header);
    while (const auto f = fields.next()) {
        if (iequals(f->name, "To"))
            append(out.to, f->body);
        else if (iequals(f->name, "Cc") || iequals(f->name, "From"))
            append(out.others, f->body);
        else if (iequals(f->name, "List-Id"))
            out.from_list = true;
        else if (iequals(f->name, "Message-ID"))
            out.message_id = f->body;
        if (out.deliveries.size() >= most_of_a_field) continue;
        if (iequals(f->name, "Received")) {
            if (const auto whom = received_for(f->body)) out.deliveries.push_back({"Received", *whom});
            continue;
        }
        const auto known = std::ranges::find_if(delivery_fields, [&](auto name) { return iequals(f->name, name); });
        if (known == delivery_fields.end()) continue;
        for (const std::string_view one : addresses_in(f->body, 1)) out.deliveries.push_back({*known, one});
    }
    return out;
}

recipient_tally::recipient_tally(const recipient_wish& wish) : deliveries_(wish.deliveries) {
    for (const std::string& one : wish.own) own_.insert(ascii_lower(one));
}

bool recipient_tally::is_own(std::string_view address) const {
    std::string plain = ascii_lower(address);
    if (own_.contains(plain)) return true;
    const std::size_t plus = plain.find('+'), at = plain.find('@');
    if (plus == std::string::npos || plus == 0 || plus > at) return false;
    return own_.contains(plain.erase(plus, at - plus));
}

void recipient_tally::count(std::string_view address, std::string_view field, bool delivered,
                            std::unordered_set<std::string>& of_this_message, std::optional<std::int64_t> when) {
    if (is_own(address)) return;
    std::string key = ascii_lower(address);
    auto at = all_.find(key);
    if (at == all_.end()) {
        if (all_.size() >= most_addresses) {
            full_ = true;
            return;
        }
        at = all_.emplace(key, recipient{.address = key, .fields = {}, .newest_unix = {}}).first;
    }
    recipient& r = at->second;
    (delivered ? r.delivered : r.in_to) = true;
    if (std::ranges::find(r.fields, field) == r.fields.end()) r.fields.push_back(field);
    if (!of_this_message.insert(std::move(key)).second) return;
    ++r.messages;
    if (when && (!r.newest_unix || *when > *r.newest_unix)) r.newest_unix = when;
}

void recipient_tally::add(std::string_view header, std::optional<std::int64_t> received_unix) {
    header = header.substr(0, most_header);
    const header_facts facts = read(header);
    ++messages_;
    if (!facts.message_id.empty() && !seen_.insert(std::hash<std::string_view>{}(facts.message_id)).second) return;
    if (!received_unix)
        if (const auto date = received_date(header)) received_unix = date->unix_seconds;
    const auto own = [this](std::string_view one) { return is_own(one); };
    std::unordered_set<std::string> here;
    if (!facts.from_list && std::ranges::none_of(facts.to, own) && std::ranges::none_of(facts.others, own))
        for (const std::string_view one : facts.to) count(one, "To", false, here, received_unix);
    if (!deliveries_) return;
    std::vector<std::string_view> topmost;
    for (const header_facts::delivery& d : facts.deliveries) {
        if (facts.from_list && std::ranges::find(topmost, d.field) != topmost.end()) continue;
        topmost.push_back(d.field);
        count(d.address, d.field, true, here, received_unix);
    }
}

std::vector<recipient> recipient_tally::found() const {
    std::vector<recipient> out;
    for (const auto& [address, r] : all_)
        if (r.delivered || r.messages >= least_in_to) out.push_back(r);
    std::ranges::sort(out, [](const recipient& a, const recipient& b) {
        return a.messages != b.messages ? a.messages > b.messages : a.address < b.address;
    });
    return out;
}

} // namespace postferry::message

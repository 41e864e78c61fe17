#include "message/mbox_fields.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace postferry::message {

namespace {

constexpr std::array<std::string_view, 7> names{
    "Status:", "X-Status:", "X-Keywords:", "X-UID:", "X-IMAP:", "X-IMAPbase:", "Content-Length:"};
constexpr std::array<std::string_view, 5> system_flags{"\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"};
constexpr std::size_t most_keywords = 100;
constexpr std::size_t room_for_keywords = 400;
constexpr std::uint32_t mozilla_read = 1, mozilla_replied = 2, mozilla_marked = 4, mozilla_expunged = 8;

template <class F> void for_each_word(std::string_view text, F f) {
    while (!text.empty()) {
        text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
        const std::size_t end = std::min(text.find_first_of(" \t\r\n"), text.size());
        if (end > 0) f(text.substr(0, end));
        text.remove_prefix(end);
    }
}

std::string_view first_word(std::string_view text) {
    std::string_view out;
    for_each_word(text, [&out](std::string_view word) {
        if (out.empty()) out = word;
    });
    return out;
}

} // namespace

std::optional<mbox_field> mbox_field_at(std::string_view line) noexcept {
    const char c = line.empty() ? '\0' : ascii_lower(line.front());
    if (c != 's' && c != 'x' && c != 'c') return std::nullopt;
    for (std::size_t i = 0; i < names.size(); ++i)
        if (istarts_with(line, names[i])) return static_cast<mbox_field>(i);
    return std::nullopt;
}

void mbox_flags::letters(std::string_view body) {
    for (const char c : body) {
        switch (c) {
        case 'R': set_[0] = true; break;
        case 'A': set_[1] = true; break;
        case 'F': set_[2] = true; break;
        case 'D': set_[3] = true; break;
        case 'T': set_[4] = true; break;
        default: break; // "O" is old, which nobody keeps
        }
    }
}

void mbox_flags::take(mbox_field field, std::string_view body) {
    switch (field) {
    case mbox_field::status: status_seen_ = true; [[fallthrough]];
    case mbox_field::x_status: letters(body); break;
    case mbox_field::x_keywords:
        for_each_word(body, [this](std::string_view word) {
            if (keywords_.size() < most_keywords && std::ranges::find(keywords_, word) == keywords_.end())
                keywords_.emplace_back(word);
        });
        break;
    case mbox_field::x_uid: break; // numbers are the name book's business
    case mbox_field::x_imap:
    case mbox_field::x_imapbase: imap_base_ = true; break;
    case mbox_field::content_length:
        // Two that differ are worth nothing.
        if (const auto value = parse_u64(first_word(body)); !content_length_ || content_length_ == value)
            content_length_ = value;
        else
            content_length_ = UINT64_MAX;
        break;
    }
}

void mbox_flags::take_mozilla(std::string_view body) {
    const std::string_view word = first_word(body);
    (void)std::from_chars(word.data(), word.data() + word.size(), mozilla_, 16);
}

std::vector<std::string> mbox_flags::flags() const {
    std::array<bool, 5> set = set_;
    if (!status_seen_) {
        set[0] = set[0] || (mozilla_ & mozilla_read) != 0;
        set[1] = set[1] || (mozilla_ & mozilla_replied) != 0;
        set[2] = set[2] || (mozilla_ & mozilla_marked) != 0;
    }
    // Deleted in Thunderbird, and there only because nobody has compacted the folder yet.
    set[3] = set[3] || (mozilla_ & mozilla_expunged) != 0;
    std::vector<std::string> out;
    for (std::size_t i = 0; i < set.size(); ++i)
        if (set[i]) out.emplace_back(system_flags[i]);
    out.insert(out.end(), keywords_.begin(), keywords_.end());
    return out;
}

std::string make_mbox_fields(std::string_view flags) {
    std::string x_status, keywords;
    bool seen = false;
    for_each_word(flags, [&](std::string_view flag) {
        if (iequals(flag, "\\Seen")) seen = true;
        if (iequals(flag, "\\Answered")) x_status += 'A';
        if (iequals(flag, "\\Flagged")) x_status += 'F';
        if (iequals(flag, "\\Deleted")) x_status += 'D';
        if (iequals(flag, "\\Draft")) x_status += 'T';
        if (flag.starts_with('\\')) return;
        if (!keywords.empty()) keywords += ' ';
        keywords += flag;
    });
    std::string out = seen ? "Status: RO\n" : "Status: O\n";
    if (!x_status.empty()) out += fmt::format("X-Status: {}\n", x_status);
    if (!keywords.empty()) out += fmt::format("X-Keywords: {}\n", keywords);
    return out;
}

std::string make_imap_base(std::uint32_t uid_validity) {
    return fmt::format("X-IMAPbase: {} 0000000000{:{}}\n", uid_validity, "", room_for_keywords);
}

imap_base_change name_keywords(std::string_view beginning, const std::vector<std::string>& keywords) {
    imap_base_change out;
    std::string_view line;
    for (std::size_t at = 0; line.empty();) {
        const std::size_t end = beginning.find('\n', at);
        if (end == std::string_view::npos || end == at) break; // the header has ended, or is not known any further
        const auto field = mbox_field_at(beginning.substr(at, end - at));
        if (field == mbox_field::x_imapbase) {
            line = beginning.substr(at, end - at);
            out.offset = at;
        }
        at = end + 1;
    }
    std::vector<std::string_view> known;
    for_each_word(line, [&known](std::string_view word) { known.push_back(word); });
    const std::size_t used = line.find_last_not_of(' ') + 1; // 0 where there is none
    std::string added;
    for (const std::string& keyword : keywords) {
        if (std::ranges::find(known, keyword) != known.end()) continue;
        if (used + added.size() + 1 + keyword.size() < line.size())
            added += " " + keyword;
        else
            out.no_room.push_back(keyword);
    }
    out.offset += used;
    out.text = std::move(added);
    return out;
}

} // namespace postferry::message

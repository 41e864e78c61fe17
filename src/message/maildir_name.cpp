#include "message/maildir_name.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "protocol/imap/mailbox_name.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace postferry::message {

namespace {

constexpr std::size_t max_keyword_lines = 1000;
constexpr std::size_t max_host_octets = 100;
constexpr std::string_view division_slash = "\u2215";
constexpr std::string_view hint_mark = "_pf";

constexpr std::array<std::pair<char, std::string_view>, 5> system_flags{
    {{'D', "\\Draft"}, {'F', "\\Flagged"}, {'R', "\\Answered"}, {'S', "\\Seen"}, {'T', "\\Deleted"}}};

/// The number after `mark`, up to the next "," or the end.
std::optional<std::uint64_t> size_field(std::string_view unique, std::string_view mark) noexcept {
    const std::size_t at = unique.find(mark);
    if (at == std::string_view::npos) return std::nullopt;
    unique.remove_prefix(at + mark.size());
    return parse_u64(unique.substr(0, unique.find(',')));
}

std::string sorted_letters(std::string_view letters) {
    std::string out(letters);
    std::ranges::sort(out);
    out.erase(std::ranges::unique(out).begin(), out.end());
    return out;
}

bool is_keyword(std::string_view text) noexcept {
    return !text.empty() && text.size() <= 255 && text.front() != '\\' &&
           std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; });
}

std::string decode_level(std::string_view wire, bool& undecodable) {
    std::optional<std::string> level = imap::decode_mutf7(wire);
    if (!level) {
        const bool escape = !is_utf8(wire);
        undecodable = undecodable || escape;
        level = escape ? quote_server_text(wire, 1000) : std::string(wire);
    }
    std::string out;
    for (const char c : *level) {
        if (c == '/')
            out += division_slash;
        else
            out += c;
    }
    return out;
}

} // namespace

maildir_file parse_maildir_file(std::string_view name) noexcept {
    maildir_file out;
    const std::size_t colon = name.find(':');
    out.unique = name.substr(0, colon);
    if (colon != std::string_view::npos && name.substr(colon).starts_with(":2,")) {
        out.letters = name.substr(colon + 3);
        // Dovecot appended further fields behind the letters once: ":2,S,x".
        out.letters = out.letters.substr(0, out.letters.find(','));
    }
    out.stored_octets = size_field(out.unique, ",S=");
    out.octets = size_field(out.unique, ",W=");
    return out;
}

std::string maildir_file_name(std::string_view unique, std::string_view letters) {
    return fmt::format("{}:2,{}", unique, sorted_letters(letters));
}

std::string to_string(const maildir_unique& u) {
    std::string host;
    for (const char c : u.host.empty() ? std::string_view("localhost") : std::string_view(u.host)) {
        if (host.size() >= max_host_octets) break;
        if (c == '/')
            host += "\\057";
        else if (c == ':')
            host += "\\072";
        else if (static_cast<unsigned char>(c) > ' ' && c != ',' && static_cast<unsigned char>(c) < 0x7f)
            host += c;
    }
    std::string hint;
    if (u.uid != 0 && u.uid_validity != 0) hint = fmt::format("{}{}-{}", hint_mark, u.uid, u.uid_validity);
    return fmt::format("{}.M{}P{}Q{}{}.{}", u.unix_seconds, u.microseconds, u.process, u.delivery, hint, host);
}

std::optional<uid_hint> uid_hint_of(std::string_view name) noexcept {
    const std::size_t first = name.find('.');
    if (first == std::string_view::npos) return std::nullopt;
    std::string_view middle = name.substr(first + 1);
    middle = middle.substr(0, middle.find('.'));
    const std::size_t at = middle.find(hint_mark);
    if (at == std::string_view::npos) return std::nullopt;
    middle.remove_prefix(at + hint_mark.size());
    const std::size_t dash = middle.find('-');
    if (dash == std::string_view::npos) return std::nullopt;
    const auto uid = parse_u32(middle.substr(0, dash));
    const auto validity = parse_u32(middle.substr(dash + 1));
    if (!uid || !validity || *uid == 0 || *validity == 0) return std::nullopt;
    return uid_hint{.uid = *uid, .uid_validity = *validity};
}

std::optional<char> maildir_keywords::letter_of(std::string_view keyword, bool& added) {
    if (!is_keyword(keyword)) return std::nullopt;
    auto at = std::ranges::find_if(names, [&](const std::string& n) { return iequals(n, keyword); });
    if (at == names.end()) {
        at = std::ranges::find(names, std::string());
        if (at == names.end()) return std::nullopt;
        *at = keyword;
        added = true;
    }
    return static_cast<char>('a' + (at - names.begin()));
}

std::size_t maildir_keywords::free_letters() const noexcept {
    return static_cast<std::size_t>(std::ranges::count(names, std::string()));
}

maildir_keywords parse_maildir_keywords(std::string_view text) {
    maildir_keywords out;
    for (std::size_t lines = 0; !text.empty() && lines < max_keyword_lines; ++lines) {
        const std::size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        const std::size_t space = line.find(' ');
        if (space == std::string_view::npos) continue;
        const auto number = parse_u32(line.substr(0, space));
        const std::string_view keyword = line.substr(space + 1);
        if (!number || *number >= out.names.size() || !is_keyword(keyword) || !out.names[*number].empty()) continue;
        out.names[*number] = keyword;
    }
    return out;
}

std::string to_string(const maildir_keywords& k) {
    std::string out;
    for (std::size_t i = 0; i < k.names.size(); ++i)
        if (!k.names[i].empty()) out += fmt::format("{} {}\n", i, k.names[i]);
    return out;
}

std::vector<std::string> flags_of_letters(std::string_view letters, const maildir_keywords& keywords) {
    std::vector<std::string> out;
    for (const char c : sorted_letters(letters)) {
        const auto* const system = std::ranges::find(system_flags, c, &std::pair<char, std::string_view>::first);
        if (system != system_flags.end())
            out.emplace_back(system->second);
        else if (c == 'P')
            out.emplace_back("$Forwarded");
        else if (c >= 'a' && c <= 'z' && !keywords.names[static_cast<std::size_t>(c - 'a')].empty())
            out.push_back(keywords.names[static_cast<std::size_t>(c - 'a')]);
    }
    return out;
}

std::optional<char> letter_of_system_flag(std::string_view flag) noexcept {
    for (const auto& [letter, name] : system_flags)
        if (iequals(name, flag)) return letter;
    return std::nullopt;
}

std::optional<std::string> folder_of_directory(std::string_view directory, bool& undecodable) {
    if (directory.size() < 2 || directory.front() != '.' || directory == "..") return std::nullopt;
    if (directory.find('/') != std::string_view::npos) return std::nullopt;
    directory.remove_prefix(1);
    if (iequals(directory, "INBOX")) return "INBOX/INBOX";
    std::string out;
    while (true) {
        const std::size_t dot = directory.find('.');
        out += decode_level(directory.substr(0, dot), undecodable);
        if (dot == std::string_view::npos) break;
        out += '/';
        directory.remove_prefix(dot + 1);
    }
    // INBOX has no case (RFC 3501, 5.1), and neither has the first level of its children.
    if (istarts_with(out, "INBOX/")) out.replace(0, 5, "INBOX");
    return out;
}

std::string directory_of_folder(std::string_view name) {
    if (iequals(name, "INBOX")) return {};
    std::string out;
    while (true) {
        const std::size_t slash = name.find('/');
        const std::string_view level = name.substr(0, slash);
        out += '.';
        out += imap::encode_mutf7(level).value_or(std::string(level));
        if (slash == std::string_view::npos) return out;
        name.remove_prefix(slash + 1);
    }
}

} // namespace postferry::message

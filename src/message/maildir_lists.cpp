#include "message/maildir_lists.hpp"

#include "base/text.hpp"
#include "message/maildir_name.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace postferry::message {

namespace {

constexpr std::size_t max_line = 2000;
constexpr std::size_t max_records = 20'000'000;
constexpr std::size_t max_uidl = 200;
constexpr std::size_t max_subscriptions = 1'000'000;
constexpr std::string_view version_2 = "V\t2\n\n";

/// The next line without its LF; `whole` is false when it has none.
std::string_view take_line(std::string_view& text, bool& whole) noexcept {
    const std::size_t end = text.find('\n');
    whole = end != std::string_view::npos;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(whole ? end + 1 : text.size());
    return line;
}

std::string_view take_word(std::string_view& line) noexcept {
    const std::size_t end = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    return word;
}

/// What stands for a file: not empty, no directory's name, no path.
bool is_file_name(std::string_view name) noexcept {
    return !name.empty() && name.size() <= 255 && name.front() != '.' && name.find('/') == std::string_view::npos;
}

std::string_view unique_of(std::string_view name) noexcept { return name.substr(0, name.find(':')); }

std::unexpected<error> no_header(std::string_view what) {
    return fail(retry_class::permanent, phase::scan, fmt::format("{} has no readable header", what));
}

/// "V123 N45 Gabc": any order, unknown ones are passed over.
bool read_header_v3(std::string_view line, uidlist& out) {
    while (!line.empty()) {
        const std::string_view word = take_word(line);
        if (word.size() < 2) continue;
        const std::string_view value = word.substr(1);
        if (word.front() == 'V') out.uid_validity = parse_u32(value).value_or(0);
        if (word.front() == 'N') out.uid_next = std::max(parse_u32(value).value_or(1), 1U);
        if (word.front() == 'G' && value.size() <= 64) out.guid = value;
    }
    return out.uid_validity != 0;
}

bool read_header_v1(std::string_view line, uidlist& out) {
    out.uid_validity = parse_u32(take_word(line)).value_or(0);
    out.uid_next = std::max(parse_u32(take_word(line)).value_or(1), 1U);
    return out.uid_validity != 0;
}

/// "45 W2481 :name" (version 3) or "45 name" (version 1).
bool read_record(std::string_view line, bool v3, uidlist_record& out) {
    const auto uid = parse_u32(take_word(line));
    if (!uid || *uid == 0 || *uid == UINT32_MAX) return false;
    out.uid = *uid;
    if (v3) {
        const std::size_t colon = line.starts_with(':') ? 0 : line.find(" :");
        if (colon == std::string_view::npos) return false;
        out.fields = line.substr(0, colon);
        line.remove_prefix(colon + (line.starts_with(':') ? 1 : 2));
    }
    out.unique = unique_of(line);
    return is_file_name(out.unique);
}

result<uidlist> read_list(std::string_view text, std::string_view what) {
    uidlist out;
    bool whole = false;
    std::string_view header = take_line(text, whole);
    const std::string_view version = take_word(header);
    const bool v3 = version == "3";
    if (!whole || header.size() > max_line ||
        !(v3 ? read_header_v3(header, out) : version == "1" && read_header_v1(header, out)))
        return no_header(what);
    while (!text.empty()) {
        const std::string_view line = take_line(text, whole);
        if (!whole) {
            out.torn = true;
            break;
        }
        uidlist_record record;
        const std::uint32_t last = out.records.empty() ? 0 : out.records.back().uid;
        if (line.size() > max_line || out.records.size() >= max_records || !read_record(line, v3, record) ||
            record.uid <= last) {
            ++out.skipped_lines;
            continue;
        }
        out.records.push_back(record);
    }
    if (!out.records.empty()) out.uid_next = std::max(out.uid_next, out.records.back().uid + 1);
    return out;
}

bool is_uidl(std::string_view text) noexcept {
    return !text.empty() && text.size() <= max_uidl &&
           std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

bool is_version_2(std::string_view text) noexcept { return text == "V\t2" || text.starts_with("V\t2\n"); }

std::optional<std::string> folder_of_line(std::string_view line, char separator) {
    if (line.empty() || line.size() > max_line) return std::nullopt;
    if (iequals(line, "INBOX")) return "INBOX";
    std::string directory = ".";
    for (const char c : line) directory += c == separator ? '.' : c;
    bool undecodable = false;
    return folder_of_directory(directory, undecodable);
}

std::string line_of_folder(std::string_view folder, char separator) {
    if (iequals(folder, "INBOX")) return "INBOX";
    std::string line = directory_of_folder(folder).substr(1);
    std::ranges::replace(line, '.', separator);
    return line;
}

void add_lines(std::string& text, const std::vector<std::string>& known, std::span<const std::string> folders,
               const auto& line_of) {
    std::set<std::string_view> there(known.begin(), known.end());
    if (!text.empty() && text.back() != '\n') text += '\n';
    for (const std::string& folder : folders)
        if (there.insert(folder).second) text += line_of(folder) + "\n";
}

} // namespace

std::string_view uidlist_record::uidl() const noexcept {
    std::string_view rest = fields;
    while (!rest.empty()) {
        const std::string_view word = take_word(rest);
        if (word.size() > 1 && word.front() == 'P') return word.substr(1);
    }
    return {};
}

result<uidlist> read_uidlist(std::string_view text) { return read_list(text, "dovecot-uidlist"); }

result<uidlist> read_courier_uiddb(std::string_view text) { return read_list(text, "courierimapuiddb"); }

std::vector<courier_uidl> read_courier_sizelist(std::string_view text) {
    std::vector<courier_uidl> out;
    bool whole = false;
    const std::string_view header = take_line(text, whole);
    if (!header.starts_with("/2 ") && !header.starts_with("/3 ")) return out;
    while (!text.empty() && out.size() < max_records) {
        std::string_view line = take_line(text, whole);
        if (!whole || line.size() > max_line) continue;
        const std::string_view unique = unique_of(take_word(line));
        if (!is_file_name(unique) || !parse_u64(take_word(line))) continue;
        const std::size_t colon = std::min(line.find(':'), line.size());
        const auto uid = parse_u32(line.substr(0, colon));
        line.remove_prefix(std::min(colon + 1, line.size()));
        const auto validity = parse_u32(line.substr(0, line.find(':')));
        if (uid && validity && *uid != 0) out.push_back({unique, fmt::format("UID{}-{}", *uid, *validity)});
    }
    return out;
}

std::string uidlist_header(std::uint32_t uid_validity, std::uint32_t uid_next, std::string_view guid) {
    return fmt::format("3 V{} N{}{}{}\n", uid_validity, uid_next, guid.empty() ? "" : " G", guid);
}

std::string uidlist_line(std::uint32_t uid, std::string_view fields, std::string_view uidl, std::string_view unique) {
    std::string out = fmt::format("{} ", uid);
    if (!fields.empty()) out += fmt::format("{} ", fields);
    if (is_uidl(uidl)) out += fmt::format("P{} ", uidl);
    out += fmt::format(":{}\n", unique);
    return out;
}

std::vector<std::string> parse_subscriptions(std::string_view text) {
    const char separator = is_version_2(text) ? '\t' : '.';
    if (separator == '\t') text.remove_prefix(std::min<std::size_t>(4, text.size()));
    std::vector<std::string> out;
    bool whole = false;
    while (!text.empty() && out.size() < max_subscriptions)
        if (auto folder = folder_of_line(take_line(text, whole), separator)) out.push_back(std::move(*folder));
    return out;
}

std::vector<std::string> parse_courier_subscriptions(std::string_view text) {
    std::vector<std::string> out;
    bool whole = false;
    while (!text.empty() && out.size() < max_subscriptions) {
        std::string_view line = take_line(text, whole);
        // Courier shows a Maildir's folders below INBOX.
        if (line.size() > 6 && istarts_with(line, "INBOX.")) line.remove_prefix(6);
        if (auto folder = folder_of_line(line, '.')) out.push_back(std::move(*folder));
    }
    return out;
}

std::string add_subscriptions(std::string_view text, std::span<const std::string> folders) {
    const std::vector<std::string> known = parse_subscriptions(text);
    const bool bare = text.empty() || (known.empty() && is_version_2(text));
    std::string out(bare ? version_2 : text);
    const char separator = is_version_2(out) ? '\t' : '.';
    add_lines(out, known, folders, [separator](const std::string& f) { return line_of_folder(f, separator); });
    return out;
}

std::string add_courier_subscriptions(std::string_view text, std::span<const std::string> folders) {
    std::string out(text);
    const std::vector<std::string> known = parse_courier_subscriptions(text);
    add_lines(out, known, folders, [](const std::string& f) {
        const std::string line = line_of_folder(f, '.');
        return line == "INBOX" ? line : "INBOX." + line;
    });
    return out;
}

} // namespace postferry::message

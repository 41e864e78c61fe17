#include "transfer/flag_rules.hpp"

#include "base/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace postferry::transfer {

namespace {

constexpr std::size_t max_kept_octets = 1000;
constexpr std::array<std::string_view, 5> system_flags{"\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen"};

/// The canonical spelling of a system flag, else an empty view.
std::string_view system_flag(std::string_view flag) noexcept {
    const auto* const found = std::ranges::find_if(system_flags, [&](std::string_view s) { return iequals(s, flag); });
    return found == system_flags.end() ? std::string_view{} : *found;
}

/// ATOM-CHAR of RFC 3501: any CHAR except atom-specials.
bool is_atom_char(char c) noexcept {
    return c > ' ' && c < 0x7f && std::string_view("(){%*\"\\]").find(c) == std::string_view::npos;
}

bool can_be_kept(std::string_view keyword) noexcept {
    return !keyword.empty() && keyword.front() != '\\' && keyword.size() <= max_kept_octets &&
           std::ranges::none_of(keyword, [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; });
}

/// System flags before keywords, then by what does not depend on case, then by octets.
struct flag_less {
    bool operator()(std::string_view a, std::string_view b) const {
        const bool a_keyword = !a.starts_with('\\');
        const bool b_keyword = !b.starts_with('\\');
        if (a_keyword != b_keyword) return b_keyword;
        const std::string la = ascii_lower(a);
        const std::string lb = ascii_lower(b);
        return la != lb ? la < lb : a < b;
    }
};

/// Why `flag` may not be written to a folder that permits `permanent`; empty when it may.
std::string refusal(std::string_view flag, const std::optional<std::vector<std::string>>& permanent) {
    if (flag.size() > max_keyword_octets) return fmt::format("longer than {} octets", max_keyword_octets);
    if (!is_writable(flag)) return "no atom";
    if (!permanent) return {};
    const bool keyword = !flag.starts_with('\\');
    const bool allowed = std::ranges::any_of(
        *permanent, [&](const std::string& p) { return iequals(p, flag) || (keyword && p == "\\*"); });
    return allowed ? std::string{} : "not among the target's PERMANENTFLAGS";
}

/// Those of `these` that are not among `those`.
std::vector<std::string> missing_from(const std::vector<std::string_view>& those,
                                      const std::vector<std::string_view>& these) {
    std::vector<std::string> out;
    for (const std::string_view flag : these)
        if (std::ranges::none_of(those, [&](std::string_view f) { return iequals(f, flag); })) out.emplace_back(flag);
    return out;
}

} // namespace

std::string canonical_flags(std::span<const std::string> raw) {
    std::vector<std::string_view> flags;
    for (const std::string& flag : raw) {
        if (const std::string_view system = system_flag(flag); !system.empty())
            flags.push_back(system);
        else if (can_be_kept(flag))
            flags.push_back(flag);
    }
    std::ranges::sort(flags, flag_less{});
    flags.erase(
        std::ranges::unique(flags, [](std::string_view a, std::string_view b) { return iequals(a, b); }).begin(),
        flags.end());
    if (flags.size() > max_flags) flags.resize(max_flags);
    return fmt::format("{}", fmt::join(flags, " "));
}

std::vector<std::string_view> split_flags(std::string_view canonical) {
    std::vector<std::string_view> flags;
    while (!canonical.empty()) {
        const std::size_t space = std::min(canonical.find(' '), canonical.size());
        if (space > 0) flags.push_back(canonical.substr(0, space));
        canonical.remove_prefix(std::min(space + 1, canonical.size()));
    }
    return flags;
}

bool is_writable(std::string_view flag) noexcept {
    if (!system_flag(flag).empty()) return true;
    return !flag.empty() && flag.size() <= max_keyword_octets && std::ranges::all_of(flag, is_atom_char);
}

flags_for_target flags_allowed(std::string_view canonical,
                               const std::optional<std::vector<std::string>>& permanent_flags) {
    flags_for_target out;
    for (const std::string_view flag : split_flags(canonical)) {
        std::string why = refusal(flag, permanent_flags);
        if (!why.empty()) {
            out.dropped.push_back({std::string(flag), std::move(why)});
            continue;
        }
        if (!out.flags.empty()) out.flags += ' ';
        out.flags += flag;
    }
    return out;
}

std::uint32_t flag_table::add(const std::string& canonical) {
    const auto [at, is_new] = places_.try_emplace(canonical, static_cast<std::uint32_t>(texts_.size()));
    if (is_new) {
        texts_.push_back(canonical);
        octets_ += canonical.size();
    }
    return at->second;
}

std::uint32_t flag_table::place(const std::string& canonical) {
    const bool room = texts_.size() < most_.sets && octets_ + canonical.size() <= most_.octets;
    if (room || places_.contains(canonical)) return add(canonical);
    left_out_ = true;
    const std::string_view text = canonical;
    // They come first.
    std::size_t end = 0;
    for (const std::string_view flag : split_flags(text))
        if (flag.starts_with('\\')) end = static_cast<std::size_t>(flag.data() + flag.size() - text.data());
    return add(canonical.substr(0, end));
}

void flag_table::clear() {
    texts_.clear();
    places_.clear();
    octets_ = 0;
}

flag_delta flags_changed(std::string_view before, std::string_view after) {
    if (before == after) return {};
    const std::vector<std::string_view> old_flags = split_flags(before);
    const std::vector<std::string_view> new_flags = split_flags(after);
    return {missing_from(old_flags, new_flags), missing_from(new_flags, old_flags)};
}

} // namespace postferry::transfer

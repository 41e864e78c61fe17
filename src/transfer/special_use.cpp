#include "base/text.hpp"
#include "transfer/detail/case_fold.hpp"
#include "transfer/detail/special_use_names.hpp"
#include "transfer/folder_rules.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace postferry::transfer {

std::string_view name_of(special_use use) noexcept {
    switch (use) {
    case special_use::none: return "";
    case special_use::inbox: return "inbox";
    case special_use::sent: return "sent";
    case special_use::drafts: return "drafts";
    case special_use::junk: return "junk";
    case special_use::trash: return "trash";
    case special_use::archive: return "archive";
    case special_use::all: return "all";
    case special_use::flagged: return "flagged";
    case special_use::important: return "important";
    }
    return "";
}

special_use special_use_of(const std::vector<std::string>& attributes) {
    // RFC 6154 and RFC 8457; XLIST's names last.
    static constexpr std::array<std::pair<std::string_view, special_use>, 13> known{
        {{"\\Sent", special_use::sent},
         {"\\Drafts", special_use::drafts},
         {"\\Junk", special_use::junk},
         {"\\Trash", special_use::trash},
         {"\\Archive", special_use::archive},
         {"\\All", special_use::all},
         {"\\Flagged", special_use::flagged},
         {"\\Important", special_use::important},
         {"\\Inbox", special_use::inbox},
         {"\\Spam", special_use::junk},
         {"\\Starred", special_use::flagged},
         {"\\AllMail", special_use::all},
         {"\\Bin", special_use::trash}}};
    for (const auto& [name, use] : known)
        if (std::ranges::any_of(attributes, [&](const std::string& a) { return iequals(a, name); })) return use;
    return special_use::none;
}

special_use special_use_by_name(std::string_view name) {
    const std::string folded = detail::case_folded(name);
    for (const detail::special_use_name& entry : detail::special_use_names())
        if (entry.name == folded) return entry.use;
    return special_use::none;
}

} // namespace postferry::transfer

#pragma once
// Pure rules: which folders are copied, and what they are called on the other side.
#include "base/error.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::transfer {

enum class special_use : std::uint8_t { none, inbox, sent, drafts, junk, trash, archive, all, flagged, important };
[[nodiscard]] std::string_view name_of(special_use use) noexcept; ///< "sent", "" for none
/// From LIST attributes (RFC 6154 \Sent ..., XLIST's \Spam, \Starred), case-insensitive.
[[nodiscard]] special_use special_use_of(const std::vector<std::string>& attributes);
/// A guess from a top-level name ("Gesendet", "Éléments envoyés", "Корзина" ...), for servers without SPECIAL-USE:
/// the names that Thunderbird, Outlook, Apple Mail, Roundcube, Horde and the great providers use, in at least English, German, French,
/// Italian, Spanish, Portuguese, Dutch, Polish, Czech, Swedish, Danish, Norwegian, Finnish, Hungarian, Russian, Ukrainian, Greek, Turkish, Japanese, Chinese.
[[nodiscard]] special_use special_use_by_name(std::string_view name);

/// A folder as one side lists it. `name` is UTF-8 with "/" between levels whatever the server's delimiter is; a "/"
/// inside a level (possible where the delimiter is another character) is written as U+2215 DIVISION SLASH; octets that
/// could not be decoded are kept in their wire form. The personal namespace's prefix is taken off ("INBOX.Sent" with
/// prefix "INBOX." is "Sent"); INBOX itself is always "INBOX".
struct folder_entry {
    std::string name;
    special_use use = special_use::none;
    bool selectable = true;
    bool subscribed = false;
    bool personal = true; ///< false: other users' or shared
};

struct map_rule {
    std::string pattern;     ///< RE2, matched against the whole decoded name
    std::string replacement; ///< RE2 rewrite, \1 .. \9
};

struct folder_rules {
    std::vector<map_rule> maps;        ///< first match wins
    std::vector<std::string> include;  ///< globs; empty: everything
    std::vector<std::string> exclude;  ///< globs; wins over include
};

/// "A REGEX=>REPLACEMENT" from the command line; config errors name what is wrong with it.
[[nodiscard]] result<map_rule> parse_map_rule(std::string_view text);
/// `*` stays in a level, `**` crosses levels, `?` one character, everything else itself. INBOX compares without case.
[[nodiscard]] bool glob_match(std::string_view glob, std::string_view name);

struct mapped_folder {
    std::string source;
    std::string target;   ///< decoded, "/" between levels
    special_use use = special_use::none;
    bool selectable = true; ///< \Noselect parents are created only where something below them needs them
    bool subscribed = false;
    enum class verdict : std::uint8_t { copy, excluded, not_included, not_personal, not_selectable } what = verdict::copy;
    std::string why; ///< for the plan: "special use \Sent", "--map Old/(.*)=>\\1", ""
};

struct collision {
    std::vector<std::string> sources; ///< two or more
    std::string target;
    std::string how; ///< "same name", "differ only in case" (a warning: most servers tell them apart)
    bool fatal = false;
};

struct folder_map {
    std::vector<mapped_folder> folders; ///< in the source's order, INBOX first
    std::vector<collision> collisions;
};

/// What the target can do with names.
struct target_naming {
    std::optional<char> delimiter = '/';
    bool utf8 = false;             ///< UTF8=ACCEPT enabled
    bool case_insensitive = false; ///< known only for some servers
    bool children_of_inbox = true;
};

/// The whole mapping. Order of decisions: exclude/include; --map (an explicit map beats special use); INBOX to INBOX;
/// special use (SPECIAL-USE attribute of both sides, else by name; only when exactly one folder on each side has it;
/// children follow their parent); else the same name. A level that holds the target's delimiter is rewritten
/// reversibly (docs/architecture.md says how) and that is said in `why`. Two sources that end in one target
/// by special use or by name are a collision; two by an explicit --map are wanted (merged) and only noted.
[[nodiscard]] result<folder_map> map_folders(const std::vector<folder_entry>& source, const std::vector<folder_entry>& target,
                                             const folder_rules& rules, const target_naming& naming);

} // namespace postferry::transfer

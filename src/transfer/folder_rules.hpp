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
/// the names that Thunderbird, Outlook, Apple Mail, Roundcube, Horde and the great providers use, in at least English,
/// German, French, Italian, Spanish, Portuguese, Dutch, Polish, Czech, Swedish, Danish, Norwegian, Finnish, Hungarian,
/// Russian, Ukrainian, Greek, Turkish, Japanese, Chinese.
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
    bool personal = true;   ///< false: other users' or shared
    std::string left_out{}; ///< why its own server would not have it copied; excluded unless included by its name
};

struct map_rule {
    std::string pattern;     ///< RE2, matched against the whole decoded name
    std::string replacement; ///< RE2 rewrite, \1 .. \9
};

struct folder_rules {
    std::vector<map_rule> maps;       ///< first match wins
    std::vector<std::string> include; ///< globs; empty: everything
    std::vector<std::string> exclude; ///< globs; wins over include
};

/// "A REGEX=>REPLACEMENT" from the command line; config errors name what is wrong with it.
[[nodiscard]] result<map_rule> parse_map_rule(std::string_view text);
/// `*` stays in a level, `**` crosses levels, `?` one character, everything else itself. INBOX compares without case.
[[nodiscard]] bool glob_match(std::string_view glob, std::string_view name);

struct mapped_folder {
    std::string source;
    std::string target; ///< decoded, "/" between levels
    special_use use = special_use::none;
    bool selectable = true; ///< \Noselect parents are created only where something below them needs them
    bool subscribed = false;
    /// impossible: the target cannot hold it under any name that a rule gives it (`why` says why, and the advice), or
    /// it is part of a fatal collision. The other folders go on.
    enum class verdict : std::uint8_t {
        copy,
        excluded,
        not_included,
        not_personal,
        not_selectable,
        impossible
    } what = verdict::copy;
    std::string why; ///< for the plan: "special use \Sent", "--map Old/(.*)=>\\1", ""
};
[[nodiscard]] std::string_view name_of(mapped_folder::verdict v) noexcept; ///< "copy", "not included", ...

struct collision {
    std::vector<std::string> sources; ///< two or more
    std::string target;
    std::string how;    ///< "same name", "merged by --map", "differ only in case" (most servers tell them apart), ...
    bool fatal = false; ///< the folders are `impossible` then; else it is a note
};

struct folder_map {
    std::vector<mapped_folder> folders; ///< in the source's order; INBOX first, folders that hold all mail last
    std::vector<collision> collisions;
};

/// What the target can do with names.
struct target_naming {
    std::optional<char> delimiter = '/';
    bool utf8 = false;             ///< UTF8=ACCEPT enabled
    bool case_insensitive = false; ///< known only for some servers
    bool children_of_inbox = true;
    bool trailing_spaces = true; ///< false where a level may not end in a space (Exchange, Gmail)
    std::string refused{};       ///< characters of ASCII that names may not hold (Cyrus)
    bool supplementary = true;   ///< false where names may not hold characters beyond U+FFFF (Courier)
};

/// The whole mapping. Order of decisions:
/// 1. exclude, include; other users' and shared folders only when a glob that begins with a literal character includes
/// them;
/// 2. --map: an explicit map beats all that follows;
/// 3. INBOX, in any case, to INBOX;
/// 4. special use of Sent, Drafts, Junk, Trash and Archive (SPECIAL-USE attribute of either side, else by name; only
///    when exactly one folder on each side has it); children follow their parent. Where another source folder bears the
///    name of the target's folder already, both keep their names, and that is noted as a collision that is not fatal;
/// 5. else the same name.
/// Then the name is made one that the target can hold, character by character, so that it reads as before and can be
/// turned back (none of the substitutes is in use in names; where one is, collisions are looked for like everywhere):
/// - the target's delimiter inside a level becomes its look-alike: "." U+2024, "\\" U+2216, ":" U+2236, "|" U+2223,
///   "^" U+02C6 ("/" is U+2215 already), any other %XX. Not "%2E" for all: Cyrus refuses "%" in names and LIST takes it
///   for a wildcard; and not "_" as imapsync does: that cannot be turned back;
/// - a character that the target is known to refuse becomes its full-width form ("%" U+FF05), and where it refuses all
///   beyond U+FFFF, the number of each (U+1F4EC is "U+1F4EC");
/// - control characters become their pictures, U+2400 + n, DEL U+2421; octets that are no UTF-8 become %XX;
/// - an empty level, and spaces at the end of a level where the target refuses them, become U+2423 OPEN BOX;
/// - below INBOX where the target allows nothing, and everywhere on a target without hierarchy, the separator becomes
///   U+2215: "INBOX/Lists/a" is "INBOX∕Lists/a";
/// - a level of more than 255 octets makes the folder `impossible`.
/// A name that the target has already is left as it is. `why` says each substitution.
/// Two sources that end in one target are a fatal collision; when at most one of them got there without --map they are
/// wanted (merged) and only noted. Parents that the target lacks are for the caller to create.
/// Config errors: a --map that does not compile. Globs always do.
[[nodiscard]] result<folder_map> map_folders(const std::vector<folder_entry>& source,
                                             const std::vector<folder_entry>& target, const folder_rules& rules,
                                             const target_naming& naming);

} // namespace postferry::transfer

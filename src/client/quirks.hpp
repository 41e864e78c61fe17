#pragma once
// What is different about a server, as data (docs/quirks.md, "Servers"). Nothing here talks to anybody.
#include "base/error.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postferry::client {

/// How a server is dealt with. The defaults are for one that does what it offers.
struct server_habits {
    std::size_t command_octets = 2'000; ///< of one command line with a set of UIDs (RFC 2683, 3.2.1.5)
    std::uint32_t visible_messages = 0; ///< of a folder at most; 0: all
    bool list_extended = true;          ///< LIST ... RETURN may be used where it is offered
    bool namespaces = true;             ///< NAMESPACE may be asked where it is offered
    bool condstore = true;              ///< CONDSTORE may be used where it is offered
    bool search = true;                 ///< SEARCH tells the truth
    bool many_per_fetch = true;         ///< one FETCH may ask for many messages
    bool halves = true;                 ///< BODY[HEADER] and BODY[TEXT] together are the message
    bool append_uid = true;             ///< APPENDUID can be believed
    bool keeps_flagged = true;          ///< APPEND keeps \Flagged
    bool case_insensitive = false;      ///< folder names that differ only in case are one folder
    bool trailing_spaces = true;        ///< a level may end in a space
    std::string_view refused_in_names;  ///< characters of ASCII that no folder name may hold
    bool supplementary_in_names = true; ///< folder names may hold characters beyond U+FFFF
    bool children_of_inbox = true;      ///< folders below INBOX can be created
    bool placeholders = false;          ///< sends a notice in place of a message that it cannot render
    bool internal_data = false;         ///< the first message of a folder may be the server's own notes
    bool gmail = false;                 ///< folders are labels: X-GM-LABELS
    bool id_unasked = false;            ///< wants ID also where it does not offer it
};

/// One entry of the catalogue: a server, or a single habit to be forced by hand.
struct quirk {
    std::string_view name;
    std::string_view about;                   ///< one sentence, for `check`
    void (*change)(server_habits&) = nullptr; ///< nothing: what it does is harmless to everybody and always expected
};

/// All there are: servers first, then single habits (which are never recognised, only forced).
[[nodiscard]] std::span<const quirk> all_quirks() noexcept;
[[nodiscard]] const quirk* find_quirk(std::string_view name) noexcept;

/// An endpoint's quirks=: those to force, and (with "-" in front) those to leave off.
struct quirk_wishes {
    std::vector<const quirk*> force, off;
};
/// "gmail,-dovecot"; an unknown name is a config error that lists the known ones.
[[nodiscard]] result<quirk_wishes> parse_quirks(std::string_view text);

/// What a server says of itself.
struct server_words {
    std::string_view host, greeting;
    std::span<const std::string> capabilities;                    ///< upper case
    std::span<const std::pair<std::string, std::string>> id = {}; ///< RFC 2971, keys in lower case
};

struct applied_quirk {
    const quirk* what = nullptr;
    std::string why; ///< "greeting \"Dovecot ready.\"", "capability X-GM-EXT-1", "quirks="
};

/// In the catalogue's order.
[[nodiscard]] std::vector<applied_quirk> choose_quirks(const server_words& server, const quirk_wishes& wishes);
[[nodiscard]] server_habits habits_of(std::span<const applied_quirk> quirks) noexcept;

} // namespace postferry::client

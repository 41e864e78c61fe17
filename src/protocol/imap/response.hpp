#pragma once
// What an IMAP server says, as values. RFC 3501 with RFC 9051 and the extensions named beside each type.
#include "base/uid_set.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace postferry::imap {

/// resp-text-code (RFC 3501, 7.1; RFC 5530). `name` is in upper case ("APPENDUID"); `args` is the raw text after the
/// name without the space. Codes whose contents we use are also read into the typed members.
struct response_code {
    std::string name;
    std::string args;

    std::optional<std::uint64_t> number;                  ///< UIDVALIDITY, UIDNEXT, UNSEEN, HIGHESTMODSEQ
    std::optional<std::vector<std::string>> flags;        ///< PERMANENTFLAGS, BADCHARSET
    std::optional<std::vector<std::string>> capabilities; ///< CAPABILITY, in upper case
    struct copy_uid {                                     ///< APPENDUID (RFC 4315): source empty; COPYUID: all three
        std::uint32_t uid_validity = 0;
        uid_set source;
        uid_set target;
        /// The target UIDs in the order the server named them (a uid_set is sorted; RFC 4315 promises order, servers
        /// keep it). At most 100,000 entries, else empty.
        std::vector<std::uint32_t> target_in_order;
        std::vector<std::uint32_t> source_in_order = {}; ///< likewise
    };
    std::optional<copy_uid> uids;
};

enum class status_kind : std::uint8_t { ok, no, bad, preauth, bye };

/// resp-cond-state / resp-cond-bye / response-tagged. `tag` is empty for an untagged one.
struct status_response {
    std::string tag;
    status_kind kind = status_kind::ok;
    std::optional<response_code> code;
    std::string text; ///< as sent: not escaped, may hold any octet but CR, LF
};

struct continuation_request {
    std::string text; ///< after "+ "; base64 challenge or human text; a bare "+" gives an empty one
};

struct capability_data {
    std::vector<std::string> capabilities; ///< upper case
};

struct enabled_data {                      ///< RFC 5161
    std::vector<std::string> capabilities; ///< upper case; may be empty
};

/// LIST, LSUB, XLIST (RFC 3501 7.2.2, RFC 5258, RFC 6154). The name is as on the wire: modified UTF-7 or, after
/// ENABLE UTF8=ACCEPT, UTF-8; any octets are passed through.
struct list_data {
    enum class verb : std::uint8_t { list, lsub, xlist };
    verb kind = verb::list;
    std::vector<std::string> attributes; ///< with the backslash, case as sent
    std::optional<char> delimiter;       ///< NIL: nothing
    std::string name;
    /// RFC 5258 extended data items, raw ("CHILDINFO" -> ("SUBSCRIBED")), name in upper case.
    std::vector<std::pair<std::string, std::string>> extended;
    [[nodiscard]] bool has(std::string_view attribute) const noexcept; ///< case-insensitive
};

/// STATUS (RFC 3501 7.2.4; SIZE RFC 8438; HIGHESTMODSEQ RFC 7162; APPENDLIMIT RFC 7889).
struct mailbox_status {
    std::string name;
    std::optional<std::uint32_t> messages, recent, uid_next, uid_validity, unseen, deleted;
    std::optional<std::uint64_t> size, highest_modseq, append_limit;
    std::optional<std::string> mailbox_id;
};

struct search_data { ///< SEARCH (numbers in the order sent; at most the parser's count limit)
    std::vector<std::uint32_t> numbers;
    std::optional<std::uint64_t> modseq;
};

struct esearch_data { ///< RFC 4731
    std::string tag;
    bool uid = false;
    std::optional<std::uint32_t> min, max;
    std::optional<std::uint32_t> count;
    std::optional<uid_set> all;
    std::optional<std::uint64_t> modseq;
};

struct flags_data {
    std::vector<std::string> flags; ///< as sent
};

struct number_data {
    enum class verb : std::uint8_t { exists, recent, expunge };
    verb kind = verb::exists;
    std::uint32_t number = 0;
};

struct vanished_data { ///< RFC 7162
    bool earlier = false;
    uid_set uids;
};

/// The date-time of INTERNALDATE: seconds since 1970 and the zone it was written in.
struct internal_date {
    std::int64_t unix_seconds = 0;
    std::int16_t zone_minutes = 0; ///< east of UTC, -1439 .. 1439
    bool operator==(const internal_date&) const = default;
    /// RFC 3501 date-time without the quotes, " 1-Feb-2003 04:05:06 +0100", always from our own grammar. Years outside
    /// 1 .. 9999 cannot be written: nothing.
    [[nodiscard]] std::optional<std::string> to_string() const;
    /// Reads date-time without quotes; tolerant of a one-digit day with or without the space, of lower case, of a
    /// missing zone (taken as +0000). Nothing on NIL, day 0, month unknown, or numbers out of range.
    [[nodiscard]] static std::optional<internal_date> parse(std::string_view text);
};

/// A body section of a FETCH as text: "BODY[]", "BODY[HEADER]", "BODY[HEADER.FIELDS (DATE FROM)]", "BINARY[]",
/// "RFC822", "RFC822.HEADER"; upper case; a partial's "<0>" is kept at the end.
struct body_item {
    std::string section;
    std::optional<std::string> content; ///< NIL: nothing. A streamed literal: empty and `streamed` true
    bool streamed = false;
    std::uint64_t octets = 0; ///< size of the content
};

/// FETCH (msg-att). Items we do not use (ENVELOPE, BODYSTRUCTURE ...) are checked for shape and dropped.
struct fetch_data {
    std::uint32_t sequence_number = 0;
    std::optional<std::uint32_t> uid;
    std::optional<std::vector<std::string>> flags;
    std::optional<internal_date> date;
    bool date_present = false; ///< an INTERNALDATE item came; `date` is empty if it could not be read
    std::optional<std::uint64_t> rfc822_size;
    std::optional<std::uint64_t> modseq;
    std::optional<std::string> email_id;      ///< RFC 8474 EMAILID
    std::optional<std::uint64_t> gmail_msgid; ///< X-GM-MSGID
    std::vector<std::string> gmail_labels;    ///< X-GM-LABELS
    std::vector<body_item> bodies;
};

struct namespace_data { ///< RFC 2342
    struct entry {
        std::string prefix; ///< as on the wire
        std::optional<char> delimiter;
    };
    std::vector<entry> personal, other_users, shared;
};

struct id_data {                                             ///< RFC 2971; a NIL value gives an empty string
    std::vector<std::pair<std::string, std::string>> fields; ///< keys in lower case
};

struct quota_data { ///< RFC 2087, RFC 9208
    std::string root;
    struct resource {
        std::string name; ///< upper case: STORAGE (KiB), MESSAGE
        std::uint64_t usage = 0, limit = 0;
    };
    std::vector<resource> resources;
};

struct quota_root_data {
    std::string mailbox;
    std::vector<std::string> roots;
};

/// Something well-formed that we have no type for (ACL, METADATA, THREAD, SORT, X-...): `keyword` in upper case, the
/// rest as text with literals replaced by quoted strings where they fit, bounded by the parser's limits.
struct other_data {
    std::string keyword;
    std::string text;
};

using response = std::variant<status_response, continuation_request, capability_data, enabled_data, list_data,
                              mailbox_status, search_data, esearch_data, flags_data, number_data, vanished_data,
                              fetch_data, namespace_data, id_data, quota_data, quota_root_data, other_data>;

} // namespace postferry::imap

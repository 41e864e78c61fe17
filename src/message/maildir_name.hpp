#pragma once
// Names in a Maildir (https://cr.yp.to/proto/maildir.html) and in Maildir++
// (https://www.courier-mta.org/imap/README.maildirquota.html). Text in, values out.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::message {

/// What the name of a file in cur/ or new/ says. The views live as long as the name.
struct maildir_file {
    std::string_view unique;  ///< before ":2,": names the message as long as it lives; size fields belong to it
    std::string_view letters; ///< after ":2,", as written; may hold letters that nobody knows
    std::optional<std::uint64_t> stored_octets; ///< ",S=": of the file
    std::optional<std::uint64_t> octets;        ///< ",W=": with every line end as CRLF
};

/// Never fails: what is no info part ("x:1,a", "x:2") belongs to the unique part's end and brings no letters.
[[nodiscard]] maildir_file parse_maildir_file(std::string_view name) noexcept;

/// "unique:2,FS": letters sorted, each once, as Dovecot writes them.
[[nodiscard]] std::string maildir_file_name(std::string_view unique, std::string_view letters);

/// What our own deliveries are called. Besides being unique they carry the UID that the message is to get, so that a
/// delivery which was cut off before the UID list was written is completed with the same UID.
struct maildir_unique {
    std::int64_t unix_seconds = 0;
    std::uint32_t microseconds = 0;
    std::uint32_t process = 0;
    std::uint64_t delivery = 0;     ///< of this process, counted
    std::uint32_t uid = 0;          ///< to be kept; 0 = none
    std::uint32_t uid_validity = 0; ///< of that UID
    std::string host;
};
/// "1795350895.M351651P6116Q7_pf45-1795350890.host"; host with "/" as \057, ":" as \072 and at most 100 octets.
[[nodiscard]] std::string to_string(const maildir_unique& u);

struct uid_hint {
    std::uint32_t uid = 0, uid_validity = 0;
    bool operator==(const uid_hint&) const = default;
};
/// The UID in a name of ours; nothing in other names.
[[nodiscard]] std::optional<uid_hint> uid_hint_of(std::string_view name) noexcept;

/// Dovecot's file dovecot-keywords: which keyword the letters a to z stand for in this folder.
struct maildir_keywords {
    std::array<std::string, 26> names; ///< "" = the letter is free

    /// The letter, given now if there was none; nothing when all 26 are taken. Compares without case.
    [[nodiscard]] std::optional<char> letter_of(std::string_view keyword, bool& added);
    [[nodiscard]] std::size_t free_letters() const noexcept;
};
/// "0 $Label1": number and keyword; what is no such line is passed over, and so is what follows the first 1000 lines.
[[nodiscard]] maildir_keywords parse_maildir_keywords(std::string_view text);
[[nodiscard]] std::string to_string(const maildir_keywords& k);

/// Flags as IMAP calls them, from the letters of a name: D \Draft, F \Flagged, R \Answered, S \Seen, T \Deleted,
/// P $Forwarded, a to z as the folder's keywords say (a letter without keyword says nothing).
[[nodiscard]] std::vector<std::string> flags_of_letters(std::string_view letters, const maildir_keywords& keywords);
/// The letter of a system flag; $Forwarded is a keyword like others (Dovecot does not read P). Nothing for keywords.
[[nodiscard]] std::optional<char> letter_of_system_flag(std::string_view flag) noexcept;

/// ".A.B" -> "A/B": Maildir++ with modified UTF-7, as Dovecot and Courier write it. A level that is no valid modified
/// UTF-7 is kept if it is UTF-8, else escaped, and `undecodable` is set. "/" in a level becomes U+2215. Nothing when it
/// is no folder's name ("cur", ".", "..", ".x/y"). The folder ".INBOX", which would be a second inbox, is
/// "INBOX/INBOX".
[[nodiscard]] std::optional<std::string> folder_of_directory(std::string_view directory, bool& undecodable);
/// "A/B" -> ".A.B"; "INBOX" -> "" (the Maildir itself).
[[nodiscard]] std::string directory_of_folder(std::string_view name);

} // namespace postferry::message

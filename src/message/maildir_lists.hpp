#pragma once
// The files beside cur/, new/ and tmp/ in which servers keep what a file's name cannot hold: UIDs, POP3 UIDLs,
// subscriptions. Readers pass over what they do not understand and count it; writers write what Dovecot 2.3 writes.
#include "base/error.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::message {

/// One message of dovecot-uidlist (https://doc.dovecot.org/2.3/developer_manual/design/formats/maildir/). The views
/// live as long as the text that was read.
struct uidlist_record {
    std::uint32_t uid = 0;
    std::string_view unique; ///< the file's name without its info part
    std::string_view fields; ///< between UID and name, as written: "W2481 S2400 P0123"
    /// What POP3 calls the message (field P); empty: derived from the UID.
    [[nodiscard]] std::string_view uidl() const noexcept;
};

struct uidlist {
    std::uint32_t uid_validity = 0;
    std::uint32_t uid_next = 1;          ///< above every UID, whatever the header says
    std::string guid;                    ///< of the folder, field G; may be empty
    std::vector<uidlist_record> records; ///< by ascending UID
    std::uint64_t skipped_lines = 0;     ///< no record, a UID not above the one before, a name without octets
    bool torn = false;                   ///< the last line has no end: its writer was cut off, or is at work
};

/// Versions 1 and 3. An error (class permanent) only when the first line is no header with a UIDVALIDITY: then there
/// are no UIDs to keep. Lines over 2,000 octets and what follows the first 20 million records are skipped.
[[nodiscard]] result<uidlist> read_uidlist(std::string_view text);
/// Courier's courierimapuiddb: "1 UIDVALIDITY UIDNEXT", then "UID NAME".
[[nodiscard]] result<uidlist> read_courier_uiddb(std::string_view text);

/// What Courier's POP3 server calls a message.
struct courier_uidl {
    std::string_view unique; ///< the file's name without its info part
    std::string uidl;        ///< "UID45-1795356512"
};
/// courierpop3dsizelist, versions 2 and 3: "/3 UIDNEXT UIDVALIDITY", then "NAME OCTETS UID:UIDVALIDITY:0". What is no
/// such line is passed over; the first 20 million count.
[[nodiscard]] std::vector<courier_uidl> read_courier_sizelist(std::string_view text);

/// "3 V1795350897 N101 G5153e8146fe1026be417000083ecc375\n"
[[nodiscard]] std::string uidlist_header(std::uint32_t uid_validity, std::uint32_t uid_next, std::string_view guid);
/// "45 P0123 :1795350895.M351651P6116.vm,S=16,W=19\n". `fields` as read, or empty; a UIDL that is none (RFC 1939:
/// octets 0x21 to 0x7E) or over 200 octets is left out.
[[nodiscard]] std::string uidlist_line(std::uint32_t uid, std::string_view fields, std::string_view uidl,
                                       std::string_view unique);

/// Names of subscribed folders, "/" between levels, from Dovecot's `subscriptions`: version 2 (first line "V\t2",
/// levels separated by TAB) or the plain lines of before (by "."), or Courier's `courierimapsubscribed` ("INBOX.Sent").
[[nodiscard]] std::vector<std::string> parse_subscriptions(std::string_view text);
[[nodiscard]] std::vector<std::string> parse_courier_subscriptions(std::string_view text);
/// The text with these folders added, in the version that it has; version 2 if it was empty.
[[nodiscard]] std::string add_subscriptions(std::string_view text, std::span<const std::string> folders);
[[nodiscard]] std::string add_courier_subscriptions(std::string_view text, std::span<const std::string> folders);

} // namespace postferry::message

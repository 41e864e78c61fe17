#pragma once
// Pure rules: which POP3 UIDL belongs to which message of an IMAP folder, where both show the same mail.
#include "mailbox/pop3_names.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace postferry::mailbox {

/// A message as IMAP shows it.
struct imap_head {
    std::uint32_t uid = 0;
    std::uint64_t octets = 0; ///< RFC822.SIZE
    std::string print;        ///< as pop3_message::print: of the header fields that identify a message
};

struct uidl_join {
    std::vector<std::string> uidls;      ///< for each IMAP message; empty: none, or not known for certain
    std::vector<std::size_t> need_print; ///< indices of POP3 messages: fill in `print` and join again
    std::size_t unclear = 0;             ///< UIDLs whose message could not be told for certain, or that are not unique
};

/// @param imap by ascending UID  @param pop3 by ascending number. Where both list as many messages and the sizes agree
/// one after the other, a size that occurs once proves its message, and among equal sizes the header must agree as
/// well. Elsewhere the headers decide: one that is unique on both sides, with sizes that may be of one message, or else
/// unique together with its exact size. Nothing is guessed.
[[nodiscard]] uidl_join join_uidls(std::span<const imap_head> imap, std::span<const pop3_message> pop3);

} // namespace postferry::mailbox

#pragma once
#include "mailbox/mailbox.hpp"
#include "message/recipients.hpp"

namespace postferry::transfer {

/// How much of a mailbox is looked at: the newest messages of each folder, INBOX first. Sent, drafts, junk, trash and
/// folders that only gather messages of others are left out.
struct recipient_limits {
    std::size_t of_inbox = 2'000, of_folder = 100; ///< messages
    std::size_t folders = 50;                      ///< besides INBOX
    std::size_t at_once = 500;         ///< messages of one fetch; between two of them the octets are looked at
    std::uint64_t octets = 16U << 20U; ///< of headers, in all
};

/// Reads header fields only, and changes nothing. A folder that cannot be read is a note. Errors: of the connection.
[[nodiscard]] task<result<message::recipients_found>>
find_recipients(mailbox::source& from, message::recipient_wish wish, recipient_limits limits = {});

} // namespace postferry::transfer

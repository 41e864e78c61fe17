#pragma once
#include "base/error.hpp"
#include "net/awaitable.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace postferry::mailbox {

/// Some places name a message by a text (POP3 by its UIDL, a Maildir without UID list by its file, an mbox by its
/// content) or by nothing that lasts. The name book numbers them: the number is the message's UID for the ledger, given
/// once, ascending, and kept from run to run.
class name_book {
  public:
    struct entry {
        std::uint32_t uid = 0;
        std::string name; ///< at most 255 octets
    };
    struct page {
        std::uint32_t uid_validity = 0; ///< given when the folder was first seen; never 0
        std::uint32_t uid_next = 1;
        std::vector<entry> entries; ///< by ascending uid; names may repeat (a server with equal UIDLs)
    };

    virtual ~name_book() = default;
    /// @param place endpoint::display()  @param folder decoded name. An unknown folder is an empty page with a new
    /// uid_validity.
    virtual task<result<page>> open(std::string place, std::string folder) = 0;
    /// Durable before it returns: numbers for `names`, in their order, from the page's uid_next on. In a read-only run
    /// (plan, check, verify) the numbers are given and forgotten at its end.
    virtual task<result<std::vector<entry>>> add(std::string place, std::string folder,
                                                 std::vector<std::string> names) = 0;
    /// Names whose messages are gone from the place; their numbers are never given again.
    virtual task<result<void>> remove(std::string place, std::string folder, std::vector<std::uint32_t> uids) = 0;
};

} // namespace postferry::mailbox

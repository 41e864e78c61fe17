#pragma once
// Pure rules: which message of a maildrop is which number of the name book.
#include "mailbox/name_book.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace postferry::mailbox {

/// A message as LIST and UIDL show it.
struct pop3_message {
    std::uint32_t number = 0; ///< in this session
    std::uint64_t octets = 0; ///< as listed; 0: not told
    std::string uidl;         ///< empty: none (blank, skipped, or no UIDL at all)
    std::string print;        ///< digest of its header; only where match_names() asks for it
    std::uint32_t uid = 0;    ///< number of the name book
};

struct name_match {
    std::vector<std::uint32_t> uids;     ///< for each message; 0: it is new
    std::vector<std::size_t> need_print; ///< indices: fill in `print` and match again; the rest holds already
    std::vector<std::uint32_t> gone;     ///< of the book: no message bears them any more; ascending
    std::vector<std::size_t> same_uidl;  ///< indices of messages that share their UIDL with another
};

/// A UIDL that only one message bears names it (RFC 1939: it never changes and is never used again). Messages without
/// one, or with one that others bear too, are told apart by the digest of their header and their size, as a multiset:
/// two that agree in both count as equal, and only how many of them there are matters. A name that was given while a
/// UIDL was unique stays with the first message that bears it.
[[nodiscard]] name_match match_names(const name_book::page& book, std::span<const pop3_message> messages);

/// What a new message is called in the book. `unique`: nobody else bears its UIDL.
[[nodiscard]] std::string book_name(const pop3_message& message, bool unique);

/// Whether so many names may be taken out of the book. A maildrop that shows nothing, or less than half of what it had,
/// may be in trouble: what comes back must be known again.
[[nodiscard]] bool may_forget(std::size_t in_book, std::size_t gone) noexcept;

} // namespace postferry::mailbox

#pragma once
// The queries behind the name book (mailbox/name_book.hpp), written once over sql/. On the ledger's own thread;
// transactions are the caller's.
#include "mailbox/name_book.hpp"
#include "sql/connection.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace postferry::store {

using mailbox::name_book;

/// A folder whose messages are numbered: of one place, for one mailbox (a pair of ends).
struct name_key {
    std::string source_key, target_key; ///< as in transfer::ledger::open_mailbox
    std::string place, folder;
};

class name_repository {
  public:
    explicit name_repository(sql::connection& db) noexcept : db_(db) {}

    /// Nothing: the folder was never opened.
    [[nodiscard]] result<std::optional<name_book::page>> find(const name_key& key);
    /// With this UIDVALIDITY, unless it is there already.
    [[nodiscard]] result<name_book::page> create(const name_key& key, std::uint32_t uid_validity);
    /// The next numbers, in the order of the names.
    [[nodiscard]] result<std::vector<name_book::entry>> add(const name_key& key, const std::vector<std::string>& names);
    [[nodiscard]] result<void> remove(const name_key& key, const std::vector<std::uint32_t>& uids);

  private:
    struct folder {
        std::int64_t id = 0;
        std::uint32_t uid_validity = 0;
        std::uint64_t uid_next = 1;
    };
    [[nodiscard]] result<std::optional<folder>> find_folder(const name_key& key);
    [[nodiscard]] result<folder> must_find(const name_key& key);

    sql::connection& db_;
};

/// Checks what add() is asked for: names of at most 255 octets, and numbers left for all of them.
[[nodiscard]] result<void> may_be_named(const std::vector<std::string>& names, std::uint64_t uid_next);

} // namespace postferry::store

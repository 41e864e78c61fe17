#pragma once
// Sealed secrets. What seals and opens them is store/vault.hpp. On a database thread; transactions are the caller's.
#include "sql/connection.hpp"
#include "store/paging.hpp"

#include <optional>
#include <string>
#include <vector>

namespace postferry::store {

class credential_repository {
  public:
    explicit credential_repository(sql::connection& db) noexcept : db_(db) {}

    /// Takes the place of what is there.
    [[nodiscard]] result<void> put(const std::vector<credential>& all);
    [[nodiscard]] result<std::optional<credential>> find(const credential_key& key);
    [[nodiscard]] result<std::vector<credential>> of(owner_kind kind, const std::string& owner);
    /// Of many owners, each once among them; in any order.
    [[nodiscard]] result<std::vector<credential>> of(owner_kind kind, const std::vector<std::string>& owners);
    /// Those sealed with another key than this one, by ascending id.
    [[nodiscard]] result<slice<credential>> not_sealed_with(const std::string& key_id, const paging& page);
    /// If it is still the same; false: somebody has put another one there since.
    [[nodiscard]] result<bool> reseal(const credential& from, const credential& to);
    [[nodiscard]] result<bool> remove(const credential_key& key);
    [[nodiscard]] result<std::int64_t> remove_of(owner_kind kind, const std::string& owner);
    /// Of every mailbox of the batch.
    [[nodiscard]] result<std::int64_t> remove_of_batch(record_id batch);

    /// How many are sealed with which key, by key.
    struct use {
        std::string key_id;
        std::int64_t credentials = 0;
    };
    [[nodiscard]] result<std::vector<use>> keys_in_use();
    /// Mailboxes that have a credential sealed with that key, by ascending id.
    [[nodiscard]] result<slice<record_id>> migrations_of_key(const std::string& key_id, const paging& page);

    [[nodiscard]] result<std::vector<seal_key>> keys();
    /// It is the one that seals from now on.
    [[nodiscard]] result<void> set_current(const std::string& key_id, unix_ms now);
    [[nodiscard]] result<void> forget_key(const std::string& key_id);

  private:
    sql::connection& db_;
};

} // namespace postferry::store

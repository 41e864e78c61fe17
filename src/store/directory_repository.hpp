#pragma once
// Domains, accounts and aliases as they are meant to be on the new server. On a database thread; transactions are the
// caller's.
#include "sql/connection.hpp"
#include "store/paging.hpp"

#include <optional>
#include <string>
#include <vector>

namespace postferry::store {

struct account_filter {
    std::optional<record_id> domain = {};
    std::optional<account_state> state = {};
    std::string contains = {}; ///< in the address, lower case; empty: any
};

struct alias_filter {
    std::optional<record_id> domain = {};
    std::optional<alias_state> state = {};
    std::optional<std::string> address = {};
};

class directory_repository {
  public:
    explicit directory_repository(sql::connection& db) noexcept : db_(db) {}

    /// `duplicate` when the project has one of that name. Answers it as stored.
    [[nodiscard]] result<domain> add(const domain& d);
    [[nodiscard]] result<std::optional<domain>> find_domain(record_id id);
    [[nodiscard]] result<std::optional<domain>> find_domain(record_id project, const std::string& name);
    [[nodiscard]] result<slice<domain>> domains(std::optional<record_id> project, const paging& page);
    /// Display name, overrides and the two freeze switches, if d.version is still the stored one; else `conflict`.
    [[nodiscard]] result<domain> update(const domain& d);
    /// With its aliases. `conflict` while it has accounts.
    [[nodiscard]] result<bool> remove_domain(record_id id, row_version from);

    /// Thousands at once. One id for each, in the same order; 0: there is an account of that address already, and it is
    /// left as it is.
    [[nodiscard]] result<std::vector<record_id>> add(const std::vector<account>& accounts);
    [[nodiscard]] result<std::optional<account>> find_account(record_id id);
    [[nodiscard]] result<std::optional<account>> find_account(const std::string& address);
    /// Those that are there, of ids each once among them, in any order.
    [[nodiscard]] result<std::vector<domain>> domains_of(const std::vector<record_id>& ids);
    [[nodiscard]] result<std::vector<account>> accounts_of(const std::vector<record_id>& ids);
    /// Those that are there, by ascending address; at most a few thousand addresses in a call.
    [[nodiscard]] result<std::vector<account>> find_accounts(const std::vector<std::string>& addresses);
    [[nodiscard]] result<slice<account>> accounts(const account_filter& filter, const paging& page);
    /// Everything but domain and address, if a.version is still the stored one; else `conflict`.
    [[nodiscard]] result<account> update(const account& a);
    struct account_change {
        record_id account = 0;
        account_state state = account_state::planned;
        std::string reason = {};
    };
    /// What a driver has made of them, each once among them; any version. What is not there is passed over.
    [[nodiscard]] result<void> set_states(const std::vector<account_change>& all);
    [[nodiscard]] result<bool> remove_account(record_id id, row_version from);

    /// As for accounts; 0: that alias is there already.
    [[nodiscard]] result<std::vector<record_id>> add(const std::vector<alias>& aliases);
    [[nodiscard]] result<std::optional<alias>> find_alias(record_id id);
    /// Of these addresses, and onto these; at most a few thousand in a call; by id.
    [[nodiscard]] result<std::vector<alias>> find_aliases(const std::vector<std::string>& addresses);
    [[nodiscard]] result<std::vector<alias>> find_aliases_onto(const std::vector<std::string>& targets);
    [[nodiscard]] result<slice<alias>> aliases(const alias_filter& filter, const paging& page);
    /// `missing` when it is not there.
    [[nodiscard]] result<void> set_alias_state(record_id alias, alias_state state, const std::string& reason);
    /// State and reason of many, each once among them, as they are in these; what is not there is passed over.
    [[nodiscard]] result<void> set_states(const std::vector<alias>& all);
    /// What speaks for it: seen_in, seen_messages, seen_newest.
    [[nodiscard]] result<void> set_alias_seen(const alias& a);
    [[nodiscard]] result<bool> remove_alias(record_id id);

  private:
    sql::connection& db_;
};

} // namespace postferry::store

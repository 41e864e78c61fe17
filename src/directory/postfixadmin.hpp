#pragma once
// PostfixAdmin's tables (3.x: domain, mailbox, alias) as Dovecot and Postfix read them, over a connection of sql.
// Blocks.
#include "base/error.hpp"
#include "base/secret.hpp"
#include "directory/provisioner.hpp"
#include "sql/connection.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postferry::directory {

/// What a limit of the domain means for what goes beyond it.
enum class limit_rule : std::uint8_t {
    respect, ///< refused (LIMIT)
    report,  ///< done, and said in the outcome's note
    ignore,
};

/// Names and habits of one installation; the defaults are PostfixAdmin's (3.3).
struct postfixadmin_settings {
    std::string domain_table = "domain", mailbox_table = "mailbox", alias_table = "alias";
    /// "mailbox.username" -> what that column is called here. Names not in here are PostfixAdmin's own.
    std::map<std::string, std::string, std::less<>> columns = {};
    /// Of the column mailbox.maildir; {domain}, {local} and {address} are filled in.
    std::string maildir = "{domain}/{local}/";
    /// Octets that one unit of domain.maxquota and domain.quota stands for ($CONF['quota_multiplier']). mailbox.quota
    /// itself is in octets.
    std::uint64_t quota_multiplier = 1'024'000;
    std::uint64_t default_quota = 0;   ///< octets, of accounts that name none; 0: no limit
    std::string transport = "virtual"; ///< of new domains
    unsigned password_expiry_days = 365;
    limit_rule count_limits = limit_rule::respect; ///< domain.mailboxes, domain.aliases
    limit_rule quota_limits = limit_rule::ignore;  ///< domain.maxquota, domain.quota: $CONF['quota'] is NO by default
};

/// An account whose password is hashed, ready to be written.
struct ready_account {
    const account_spec* spec = nullptr;
    /// Empty: none named.
    std::string_view password = {};
};

/// The verbs as SQL. Those that change something are to be called inside a transaction that is committed when they
/// succeed, and rolled back when not. One connection; learn() before all else, and again on a new connection.
class postfixadmin_tables {
  public:
    postfixadmin_tables(sql::connection& db, const postfixadmin_settings& settings) : db_(&db), settings_(&settings) {}

    /// Whether "mailbox.username" is one of PostfixAdmin's columns that matter here.
    [[nodiscard]] static bool knows(std::string_view table_and_column) noexcept;

    /// Finds out which of the columns that came with some version are there. Outside a transaction. Class config: a
    /// table or a column is missing without which there is nothing to be done.
    [[nodiscard]] result<void> learn();
    /// As learn(), telling all. Never fails on what it finds.
    [[nodiscard]] check_report check();

    [[nodiscard]] result<outcome> create_domain(const domain_spec& domain);
    [[nodiscard]] result<bool> account_exists(const address& account);
    /// One outcome each. The error is about all of them, and nothing is to be kept then.
    [[nodiscard]] result<std::vector<result<outcome>>> create(std::span<const ready_account> accounts,
                                                              create_mode mode);
    /// Answers what is stored; the driver compares.
    [[nodiscard]] result<std::optional<secret>> stored_password(const address& account);
    [[nodiscard]] result<outcome> set_password(const address& account, std::string_view hashed);
    [[nodiscard]] result<outcome> set_quota(const address& account, std::uint64_t octets);
    [[nodiscard]] result<outcome> set_active(const address& account, bool active);
    [[nodiscard]] result<outcome> create_alias(const alias_spec& alias);
    /// At most `most` of those behind `after` in the database's own order.
    [[nodiscard]] result<std::vector<account_entry>> accounts_after(const domain_name& domain, std::string_view after,
                                                                    std::size_t most);
    [[nodiscard]] result<std::vector<alias_entry>> aliases_after(const domain_name& domain, std::string_view after,
                                                                 std::size_t most);

    /// Of these accounts those that are there.
    [[nodiscard]] result<std::set<std::string, std::less<>>> existing(std::span<const ready_account> among);

  private:
    using names = std::set<std::string, std::less<>>;
    using texts = std::vector<std::string_view>;
    struct domain_row {
        std::int64_t max_aliases = 0, max_accounts = 0, max_quota = 0, total_quota = 0;
        std::int64_t aliases = 0, accounts = 0, quota = 0; ///< as they are; counted only where a limit asks for it
    };
    struct creation; // what create() works with

    // postfixadmin.cpp
    [[nodiscard]] std::string_view table(std::string_view word) const;
    [[nodiscard]] std::string column(std::string_view table, std::string_view name) const;
    [[nodiscard]] bool has(std::string_view table, std::string_view name) const;
    [[nodiscard]] std::string expiry() const;
    [[nodiscard]] std::string touched(std::string_view table) const;
    [[nodiscard]] error failed(const error& why) const;
    [[nodiscard]] result<bool> reads(const std::string& sql);
    /// First row's first column; 0 without one.
    [[nodiscard]] result<std::int64_t> number(const std::string& sql, const texts& values);
    [[nodiscard]] result<std::int64_t> change_rows(const std::string& sql, const texts& values);
    [[nodiscard]] result<outcome> change_account(const std::string& what, std::string_view value,
                                                 const address& account);
    [[nodiscard]] result<void> rehearse();
    /// INSERT of so many rows, parameters in the order of the names; rows that are there already stay as they are.
    [[nodiscard]] std::string insert_text(std::string_view table, const std::vector<std::string_view>& names,
                                          std::size_t rows) const;

    // postfixadmin_limits.cpp
    [[nodiscard]] result<std::optional<domain_row>> read_domain(std::string_view domain);
    [[nodiscard]] result<void> count_in(domain_row& row, std::string_view domain);
    [[nodiscard]] result<std::uint64_t> fit_quota(std::optional<std::uint64_t> wanted, const address& account,
                                                  const domain_row& domain, std::string& note) const;
    [[nodiscard]] result<void> judge(limit_rule rule, std::string what, std::string& note) const;

    // postfixadmin_create.cpp
    [[nodiscard]] result<names> present(std::string_view table, std::string_view key,
                                        std::span<const ready_account> among);
    [[nodiscard]] result<void> admit(creation& c);
    [[nodiscard]] result<void> admit_one(creation& c, std::size_t row);
    [[nodiscard]] result<void> insert(creation& c, std::span<const std::size_t> rows);
    [[nodiscard]] result<void> try_insert(creation& c, std::span<const std::size_t> rows);
    [[nodiscard]] result<names> insert_accounts(creation& c, std::span<const std::size_t> rows);
    [[nodiscard]] result<void> insert_own_aliases(creation& c, std::span<const std::size_t> rows);
    [[nodiscard]] result<void> update_existing(creation& c, std::size_t row);
    [[nodiscard]] result<outcome> update(const ready_account& account);

    sql::connection* db_;
    const postfixadmin_settings* settings_;
    names there_; ///< "mailbox.name" ...: the columns that are there
};

} // namespace postferry::directory

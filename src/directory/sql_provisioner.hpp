#pragma once
// The driver `sql`: PostfixAdmin's tables in SQLite or PostgreSQL (docs/provisioning.md).
#include "base/secret.hpp"
#include "directory/hash_pool.hpp"
#include "directory/password_hash.hpp"
#include "directory/postfixadmin.hpp"
#include "directory/provisioner.hpp"
#include "sql/open.hpp"

#include <chrono>
#include <memory>

namespace postferry::directory {

struct sql_settings {
    sql::location database;
    secret password = {}; ///< PostgreSQL's; empty: libpq's own places
    postfixadmin_settings tables = {};
    password_scheme scheme = password_scheme::blf_crypt;
    hash_cost cost = {};
    std::chrono::milliseconds patience{30'000}; ///< for a statement, and for a database that is gone or busy
    std::size_t batch = 500;                    ///< accounts a transaction
};

/// A database blocks, so the driver has one connection on a thread of its own; it is opened when it is first needed.
class sql_provisioner final : public provisioner {
  public:
    sql_provisioner(sql_settings settings, std::shared_ptr<hash_pool> hashing);
    ~sql_provisioner() override;

    [[nodiscard]] std::string_view driver() const noexcept override { return "sql"; }
    [[nodiscard]] bool can(verb) const noexcept override { return true; }

    task<result<check_report>> check() override;
    task<result<outcome>> domain_create(domain_spec domain) override;
    task<result<bool>> account_exists(address account) override;
    task<result<outcome>> account_create(account_spec account, create_mode mode) override;
    task<std::vector<result<outcome>>> create_many(std::span<const account_spec> accounts, create_mode mode) override;
    task<result<outcome>> set_password(address account, new_password password) override;
    task<result<outcome>> set_quota(address account, std::uint64_t octets) override;
    task<result<outcome>> suspend(address account, bool suspended) override;
    task<result<outcome>> alias_create(alias_spec alias) override;
    task<result<void>> list_accounts(domain_name domain, page_handler<account_entry> take) override;
    task<result<void>> list_aliases(domain_name domain, page_handler<alias_entry> take) override;

  private:
    class database;
    struct candidate; // an account on its way in

    task<result<secret>> hashed(new_password password);
    task<result<void>> hash_batch(std::span<candidate> batch, create_mode mode);
    task<result<void>> create_batch(std::span<candidate> batch, create_mode mode);

    sql_settings settings_;
    std::shared_ptr<hash_pool> hashing_;
    std::unique_ptr<database> database_;
};

} // namespace postferry::directory

#pragma once
// The driver `exec`: a command of the administrator's for each verb (docs/provisioning.md has what it is told and how
// it answers).
#include "base/secret.hpp"
#include "directory/command.hpp"
#include "directory/provisioner.hpp"
#include "net/gate.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace postferry::directory {

struct exec_settings {
    std::map<verb, std::vector<std::string>> commands = {}; ///< argument vectors; verbs without one cannot be done
    std::vector<std::string> pass_environment = {}; ///< names of our own environment's variables that are handed on
    int exists_code = 17, missing_code = 18, unchanged_code = 19, later_code = 75; ///< exit codes, 1 .. 255, distinct
    std::chrono::milliseconds patience{60'000}; ///< for one command, from when it has its place
    std::size_t concurrency = 4;                ///< commands at a time
};

/// Commands run side by side; each gets what it must know in its environment and the password on its standard input, so
/// that neither a shell nor the list of processes ever sees a value.
class exec_provisioner final : public provisioner {
  public:
    explicit exec_provisioner(exec_settings settings);

    [[nodiscard]] std::string_view driver() const noexcept override { return "exec"; }
    [[nodiscard]] bool can(verb v) const noexcept override { return settings_.commands.contains(v); }

    task<result<check_report>> check() override;
    task<result<outcome>> domain_create(domain_spec domain) override;
    task<result<bool>> account_exists(address account) override;
    task<result<outcome>> account_create(account_spec account, create_mode mode) override;
    /// As many side by side as may run.
    task<std::vector<result<outcome>>> create_many(std::span<const account_spec> accounts, create_mode mode) override;
    task<result<outcome>> set_password(address account, new_password password) override;
    task<result<outcome>> set_quota(address account, std::uint64_t octets) override;
    task<result<outcome>> suspend(address account, bool suspended) override;
    task<result<outcome>> alias_create(alias_spec alias) override;
    task<result<void>> list_accounts(domain_name domain, page_handler<account_entry> take) override;
    task<result<void>> list_aliases(domain_name domain, page_handler<alias_entry> take) override;

  private:
    using variables = std::vector<std::pair<std::string, std::string>>;

    task<result<command_end>> run(verb v, variables told, secret input = {}, line_handler take_line = {});
    task<result<outcome>> change_by(verb v, variables told, change done, bool exists_is_good,
                                    new_password password = {});
    [[nodiscard]] error failed(verb v, const command_end& end) const;
    struct rows; // accounts on their way
    task<> create_some(rows& all);
    task<bool> create_all(executor ex, rows& all);

    exec_settings settings_;
    std::shared_ptr<net::gate> places_ = net::gate::make();
};

} // namespace postferry::directory

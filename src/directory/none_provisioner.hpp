#pragma once
// The driver `none`: every account exists; somebody else looks after them.
#include "directory/provisioner.hpp"

namespace postferry::directory {

class none_provisioner final : public provisioner {
  public:
    [[nodiscard]] std::string_view driver() const noexcept override { return "none"; }
    [[nodiscard]] bool can(verb v) const noexcept override {
        return v == verb::domain_create || v == verb::account_exists || v == verb::account_create;
    }
    task<result<check_report>> check() override {
        co_return check_report{.server = {},
                               .findings = {{check_finding::grade::good, "accounts are made by somebody else"}}};
    }
    task<result<outcome>> domain_create(domain_spec) override { co_return outcome{.what = change::existed}; }
    task<result<bool>> account_exists(address) override { co_return true; }
    /// create_only: it exists, which is an error there.
    task<result<outcome>> account_create(account_spec account, create_mode mode) override {
        if (mode == create_mode::create_only)
            co_return std::unexpected(exists_error("the account " + account.address.text() + " exists (driver none)"));
        co_return outcome{.what = change::existed};
    }
    task<result<outcome>> set_password(address, new_password) override { co_return cannot(verb::set_password); }
    task<result<outcome>> set_quota(address, std::uint64_t) override { co_return cannot(verb::set_quota); }
    task<result<outcome>> suspend(address, bool) override { co_return cannot(verb::suspend); }
    task<result<outcome>> alias_create(alias_spec) override { co_return cannot(verb::alias_create); }
    task<result<void>> list_accounts(domain_name, page_handler<account_entry>) override {
        co_return cannot(verb::list_accounts);
    }
    task<result<void>> list_aliases(domain_name, page_handler<alias_entry>) override {
        co_return cannot(verb::list_aliases);
    }

  private:
    static std::unexpected<error> cannot(verb v) { return std::unexpected(cannot_error("none", v)); }
};

} // namespace postferry::directory

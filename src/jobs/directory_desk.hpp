#pragma once
// What people ask of the new server's directory outside of batches: one account, one alias, a freeze, a comparison.
#include "jobs/domain_settings.hpp"
#include "jobs/driver_book.hpp"
#include "net/awaitable.hpp"
#include "store/database.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace postferry::jobs {

enum class freeze_kind : std::uint8_t { provisioning, passwords };
[[nodiscard]] std::string_view name_of(freeze_kind k) noexcept; ///< "provisioning", "passwords"
/// How the refusals of provisioner_desk begin: what unfreezing finds the mailboxes by that failed for it.
[[nodiscard]] std::string frozen_words(freeze_kind k, std::string_view domain);

/// Which accounts are where.
struct reconciled {
    static constexpr std::size_t most_named = 1'000;
    std::uint64_t both = 0, only_old = 0, only_new = 0;
    std::vector<std::string> missing_on_new, missing_on_old; ///< sorted; the first most_named of each
};

struct aliases_found {
    std::uint64_t proposed = 0, known = 0;
    std::uint64_t left_out = 0; ///< no addresses that we would make: "@domain", commands, files
};

struct directory_desk_options {
    /// Holds the old system, or lets it go: an argument vector, never a shell, with POSTFERRY_DOMAIN,
    /// POSTFERRY_FREEZE (provisioning or passwords) and POSTFERRY_FROZEN (1 or 0) in its environment. Empty: none.
    std::vector<std::string> freeze_hook = {};
    std::chrono::milliseconds hook_patience{60'000};
};

/// From any strand. Errors of drivers as directory::provisioner says; of the store as everywhere.
class directory_desk {
  public:
    directory_desk(store::database& db, driver_book& drivers, directory_desk_options options = {})
        : db_(db), drivers_(drivers), options_(std::move(options)) {}

    [[nodiscard]] driver_book& drivers() noexcept { return drivers_; }

    /// Makes the account on the new server, with its domain where the driver can; an account that is there is an error.
    /// What neither the account nor its domain says is the company's.
    task<result<directory::outcome>> create(store::account account, secret password, std::string by);
    task<result<directory::outcome>> set_password(store::account account, secret password, std::string by);
    task<result<directory::outcome>> set_quota(store::account account, std::uint64_t octets, std::string by);
    task<result<directory::outcome>> suspend(store::account account, bool suspended, std::string by);
    /// With all targets of its address that have been approved; those that were are `created` (or `failed`) then.
    task<result<store::alias>> make_alias(store::alias alias, std::string by);

    /// Config: refused (the words are the hook's own); transient: late.
    task<result<void>> run_hook(std::string domain, freeze_kind what, bool frozen);

    /// @param old_driver empty: the accounts that the store has planned
    task<result<reconciled>> reconcile(store::domain domain, std::string old_driver, std::string new_driver);
    /// Adds what a server's directory lists as proposed; nothing is made.
    task<result<aliases_found>> discover(store::domain domain, std::string driver);

  private:
    task<result<directory::domain_settings>> settings_of(store::record_id domain);
    /// Errors: what is to be changed there is frozen; there is no such driver.
    task<result<std::shared_ptr<directory::provisioner>>> driver_for(store::record_id domain, freeze_kind what,
                                                                     std::string by);

    store::database& db_;
    driver_book& drivers_;
    directory_desk_options options_;
};

} // namespace postferry::jobs

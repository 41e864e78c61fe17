#pragma once
// Accounts on the new server, as a batch's mode wants them: before the first pass over a mailbox, or all that a batch
// is there for.
#include "directory/provisioner.hpp"
#include "jobs/domain_settings.hpp"
#include "jobs/driver_book.hpp"
#include "jobs/pass_runner.hpp"
#include "net/awaitable.hpp"
#include "store/database.hpp"
#include "store/vault.hpp"

#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

namespace postferry::jobs {

/// What has become of a mailbox's account.
struct provision_end {
    enum class how : std::uint8_t {
        go_on,   ///< the account is as it should be (or nobody asked for anything): discovering comes next
        done,    ///< that was all that the batch is there for: completed
        failed,  ///< `why`; its class says what follows, as after a pass (auth: a password is missing)
        stopped, ///< as asked, or its lease ran out; may be repeated
    };
    how what = how::go_on;
    std::optional<error> why = {};
    std::vector<std::string> notes = {}; ///< for the mailbox's log, without secrets
};

/// Whether a worker that takes this mailbox begins with its account: its state is `provisioning` then, and the desk is
/// called before anything else. Only before the first pass has been made.
[[nodiscard]] bool begins_with_account(const store::migration& m, store::batch_mode mode,
                                       const batch_settings& settings) noexcept;
/// Whether the batch ends with its accounts: no mail is moved, and no source is needed (create-only, passwords-only).
[[nodiscard]] bool ends_with_account(store::batch_mode mode) noexcept;

/// What the modes do, by the driver that batch_settings::provisioning names:
///   create-only     makes the account; one that is there already is an error, and nothing of it is touched. No mail.
///   upsert          makes it, or gives it the password, name and quota that are named; batch_settings::existing says
///                   whether one that is there may be changed, is left as it is, or is an error. Then mail.
///   messages-only   the account must be there. Then mail. (Driver none: it is taken to be there.)
///   passwords-only  gives the account, which must be there, its password. No mail.
/// Aliases that somebody has approved (or the CSV named) are made after the account. A domain whose provisioning (or
/// passwords) are frozen refuses what the freeze is about. All of it may be repeated: what was done is found done.
class provisioner_desk {
  public:
    /// Accounts of one bite of bulk work: in one call of the driver, in a few transactions of the store.
    static constexpr int bite = 500;

    provisioner_desk(store::database& db, store::vault& vault, driver_book& drivers)
        : db_(db), vault_(vault), drivers_(drivers) {}

    /// For one mailbox that the caller holds under a lease (state provisioning), on the caller's strand. Where the
    /// batch ends with its accounts, up to `bite` more of its queued mailboxes that nobody holds are done along with
    /// it, and are completed or failed when this returns: a worker that takes one at a time creates thousands a
    /// second all the same. `actor`: of what becomes of those.
    task<provision_end> run(work what, std::string actor, std::stop_token stop);

  private:
    struct order;
    struct plan;

    task<result<plan>> look(store::record_id migration, std::string actor);
    static result<void> begin(store::tables& t, plan& p, store::record_id migration, unix_ms now);
    static result<void> find_accounts(store::tables& t, plan& p);
    static result<void> find_passwords(store::tables& t, store::vault& vault, plan& p);
    static result<void> mark(store::tables& t, plan& p, const std::string& attempt);
    static result<void> find_aliases(store::tables& t, plan& p, const std::vector<std::string>& onto);
    task<> make_domains(plan& p, directory::provisioner& with);
    task<> make_accounts(plan& p, directory::provisioner& with);
    task<> make_aliases(plan& p, directory::provisioner& with);
    task<result<void>> keep(plan& p);
    static result<void> keep_accounts(store::tables& t, const plan& p, unix_ms now);
    static result<void> finish(store::tables& t, const plan& p, unix_ms now);

    store::database& db_;
    store::vault& vault_;
    driver_book& drivers_;
};

} // namespace postferry::jobs

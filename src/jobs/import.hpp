#pragma once
// A CSV of accounts on its way into the store: looked at row by row first (preview), then written (commit).
#include "accounts/account.hpp"
#include "jobs/batch_settings.hpp"
#include "mailbox/file_pool.hpp"
#include "net/awaitable.hpp"
#include "store/database.hpp"
#include "store/paging.hpp"
#include "store/vault.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::jobs {

/// What goes with the file.
struct import_form {
    std::string name = "accounts.csv"; ///< of the file, for texts
    store::record_id project = store::default_project;
    /// The batch that the rows become mailboxes of; made when there is none of that name. A row with a column `batch`
    /// goes to the one that it names.
    std::string batch = {};
    store::batch_mode mode = store::batch_mode::messages_only; ///< of batches that are made
    batch_settings settings = {};                              ///< the same
    std::optional<unix_ms> start_at = {};                      ///< the same
    accounts::account_defaults defaults = {};                  ///< --source, --target and their passwords
    bool make_domains = true;  ///< domains that are not known are made with the company's defaults; else a fault
    bool check_hosts = true;   ///< each mail server that is named is connected to, once
    bool local_places = false; ///< maildir: and mbox: of this machine may be named
};

struct bite_outcome;

/// How an import stands.
struct import_view {
    enum class stage : std::uint8_t { checking, checked, committing, committed, failed };

    std::string id; ///< 32 hexadecimal digits
    stage at = stage::checking;
    std::string name, summary; ///< "accounts.csv: preset postferry, separator \",\", UTF-8, 120 rows, 2 faults"
    std::string preset, encoding, separator; ///< "postferry"; "UTF-8" or "Latin-1"; ",", ";", ":" or "tab"
    store::record_id project = store::default_project;
    std::string batch;
    store::batch_mode mode = store::batch_mode::messages_only;
    std::uint64_t rows = 0, faulty_rows = 0, fault_count = 0;
    std::uint64_t rows_done = 0;               ///< of the stage that it is in
    std::vector<std::string> new_domains = {}; ///< that will be (were) made; at most 100
    std::uint64_t new_domain_count = 0;
    std::vector<std::string> notes = {}; ///< worth saying, not wrong
    std::optional<error> why = {};       ///< of failed: nothing of the file can be used; or the store failed
    unix_ms created = 0, expires = 0;

    /// What a commit has added; what was there already is counted as known.
    struct counts {
        std::uint64_t batches = 0, domains = 0, accounts = 0, aliases = 0, mailboxes = 0;
        std::uint64_t known_accounts = 0, known_aliases = 0, known_mailboxes = 0;
        std::uint64_t skipped_rows = 0; ///< for their faults
    };
    counts added = {};
    std::vector<store::record_id> batch_ids = {}; ///< that mailboxes went to; at most 100
};
[[nodiscard]] std::string_view name_of(import_view::stage s) noexcept;

struct import_options {
    /// How the import is told whether a mail server answers: connects, reads its greeting, within a deadline.
    std::function<task<result<void>>(mailbox::endpoint where)> probe = {}; ///< none: nobody is asked
    std::size_t most = 32;               ///< imports that are held; the oldest idle one goes first
    std::chrono::seconds keep{3'600};    ///< after the last call, then the file goes
    std::uint64_t most_rows = 2'000'000; ///< of a file
    int bite = 500;                      ///< rows in one transaction
};

/// Of one process, from any strand. The file has no name on the disk while it is here: nothing is left of it when the
/// process ends, however it does. Memory: at most 100 octets a row while a file is looked at, none afterwards.
class import_desk {
  public:
    static constexpr std::size_t most_faults = 1'000; ///< kept of one file; the rest is counted
    /// What the names of files begin with that preview() is given: those that a killed process left are removed.
    static constexpr std::string_view upload_prefix = "postferry-import-";

    import_desk(store::database& db, store::vault& vault, import_options options = {});
    ~import_desk();
    import_desk(const import_desk&) = delete;
    import_desk& operator=(const import_desk&) = delete;

    /// Takes the file over (its name goes) and looks at every row. Faults of rows are in the view; errors: the file
    /// cannot be opened. A file that makes no sense at all is an import that failed.
    /// Where it takes long, others see with find() how far it is. Cancelling drops the import.
    task<result<import_view>> preview(std::filesystem::path file, import_form form);
    /// `refusal::missing`: there is no such import (any more).
    [[nodiscard]] result<import_view> find(const std::string& id) const;
    /// The faults from the one of this index (0: the first), by row.
    [[nodiscard]] result<std::vector<accounts::csv_fault>> faults(const std::string& id, std::size_t from,
                                                                  std::size_t limit) const;
    /// Writes what was checked, in transactions of `bite` rows: what a cut leaves undone, another commit of the same
    /// file does. Once more: adds nothing, and says so. `refusal::not_allowed`: it is at work, it has faults and
    /// `skip_invalid` was not said, or it failed. Rows whose checks do not hold any more (somebody made the account
    /// meanwhile) are added to the faults.
    task<result<import_view>> commit(std::string id, bool skip_invalid, std::string actor);
    /// The file goes. `refusal::missing`; `not_allowed` while it is at work.
    [[nodiscard]] result<void> forget(const std::string& id);

  private:
    struct held;

    void tidy();
    result<std::shared_ptr<held>> take_over(const std::filesystem::path& file, import_form form);
    task<result<void>> walk(std::shared_ptr<held> h, std::optional<std::string> actor);
    task<result<void>> tell(std::shared_ptr<held> h, std::string actor);
    static void add(held& h, bite_outcome& done, std::size_t rows);

    store::database& db_;
    store::vault& vault_;
    import_options options_;
    std::shared_ptr<mailbox::file_pool> pool_;
    mutable std::mutex mutex_; ///< of the map and the views in it
    std::map<std::string, std::shared_ptr<held>, std::less<>> held_;
};

} // namespace postferry::jobs

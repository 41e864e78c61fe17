#pragma once
#include "net/traffic_book.hpp"
#include "store/database.hpp"
#include "store/tables.hpp"
#include "transfer/ledger.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace postferry::store {

struct open_options {
    /// For plan, check and dry runs: takes no lock, makes no file (a ledger that is not there is an empty one), and
    /// refuses what would change something.
    bool read_only = false;
    /// Told to whoever finds the ledger in use: "postferry migrate accounts.csv". No secrets.
    std::string holder_description;
};

/// The ledger in the store's database. Its calls may come from any thread. Destroy it before the execution contexts of
/// those who wait for it.
///
/// Calls that wait while another is being committed are committed together (store/database.hpp): with fifty mailboxes
/// at work a flush of the disk serves all of them. Each still fails or succeeds by itself.
///
/// On PostgreSQL several processes may have one ledger: each mailbox that is open is held (store/hold_repository.hpp),
/// and every write makes sure in its own transaction that it still is.
///
/// Cancelling: a call that has begun ends as if nothing had happened, its answer tells what is stored. As everywhere in
/// Asio a cancelled coroutine throws at its next co_await, before that call has begun; whoever wants to record its last
/// batch after that resets its cancellation state first.
class ledger_books final : public transfer::ledger, public net::traffic_book {
  public:
    /// A ledger with a database of its own: a file, or "postgresql://..." (sql::parse_location). Class config (nothing
    /// may start): in use (naming the holder), damaged, newer, another program's. Class local: no folder, no
    /// permission, no space, no server. Blocks for a millisecond or two; longer when the last run was killed and its
    /// log is read again.
    [[nodiscard]] static result<std::unique_ptr<ledger_books>> open(const std::filesystem::path& where,
                                                                    const open_options& options);
    /// In a database that others use too, and that outlives it.
    explicit ledger_books(database& db, std::string described = {});
    ~ledger_books() override;

    /// The same ledger for one mailbox under a lease: every write fails with refusal::lease_lost, and writes nothing,
    /// when the lease does not stand any more in the very transaction (fencing). For as long as this one.
    [[nodiscard]] std::unique_ptr<ledger_books> under(record_id migration, std::int64_t token);

    /// A mailbox that is open in this object already: class config. In a read-only ledger one that is not known gets an
    /// id below 0, with nothing in it. Held by another process: class config, naming it.
    task<result<mailbox_id>> open_mailbox(std::string source_key, std::string target_key) override;
    void close_mailbox(mailbox_id mailbox) noexcept override;
    task<result<std::vector<ledger_folder>>> folders(mailbox_id mailbox) override;
    task<result<std::vector<ledger_brief>>> rows(folder_id folder) override;
    task<result<std::vector<ledger_row>>> full_rows(folder_id folder, std::uint32_t first_uid,
                                                    std::uint32_t last_uid) override;
    task<result<std::vector<failed_item>>> failures(folder_id folder) override;
    task<result<std::vector<std::pair<std::uint32_t, std::uint8_t>>>> repaired(folder_id folder) override;
    task<result<ledger_folder>> begin_folder(mailbox_id mailbox, std::string source_name, std::string target_name,
                                             std::uint32_t source_uid_validity, std::uint32_t target_uid_validity,
                                             std::uint32_t target_mark) override;
    task<result<std::uint32_t>> flag_set(folder_id folder, std::string canonical) override;
    task<result<void>> record(folder_id folder, std::vector<ledger_row> rows,
                              std::vector<failed_item> failures) override;
    task<result<void>> update_flags(folder_id folder,
                                    std::vector<std::pair<std::uint32_t, std::uint32_t>> uid_and_flag_set) override;
    task<result<void>> forget(folder_id folder, std::vector<std::uint32_t> source_uids) override;
    task<result<void>> set_state(folder_id folder, std::vector<std::uint32_t> source_uids,
                                 transfer::item_state state) override;
    task<result<void>> keep_report(transfer::kept_report report) override;
    task<result<void>> finish_folder(ledger_folder state) override;

    /// The last report of each kind of pass, mailboxes in the order in which they came into the ledger.
    [[nodiscard]] task<result<std::vector<transfer::kept_report>>> reports();

    task<result<std::vector<net::traffic>>> traffic_since(std::int64_t first_hour) override;
    task<result<void>> add_traffic(std::vector<net::traffic> more, std::int64_t first_hour) override;

    /// Numbers for the messages of places without UIDs, kept for the mailbox that these keys name. In a read-only
    /// ledger they are given and forgotten. The book must not outlive the ledger; one strand.
    [[nodiscard]] std::unique_ptr<mailbox::name_book> names(std::string source_key, std::string target_key);
    [[nodiscard]] bool read_only() const noexcept { return db_->read_only(); }
    [[nodiscard]] database& books() noexcept { return *db_; }

  private:
    friend class ledger_names;
    task<result<std::optional<name_book::page>>> find_names(name_key key);
    task<result<name_book::page>> create_names(name_key key, std::uint32_t uid_validity);
    task<result<std::vector<name_book::entry>>> add_names(name_key key, std::vector<std::string> names);
    task<result<void>> remove_names(name_key key, std::vector<std::uint32_t> uids);

    class open_mailboxes;
    struct leased {
        record_id migration = 0;
        std::int64_t token = 0;
    };
    /// What a write belongs to, where that must be held.
    struct held_place {
        std::optional<mailbox_id> mailbox = {};
        std::optional<folder_id> folder = {};
    };
    using kind = database_job::kind;
    ledger_books(database& db, std::string described, std::shared_ptr<open_mailboxes> open,
                 std::optional<leased> lease);
    template <class Call> auto look(Call call);
    template <class Call> auto change(kind k, held_place place, Call call);
    task<result<void>> hold(mailbox_id mailbox);
    /// Whose ledger it is: the mailbox of a batch, by the lease.
    task<result<void>> link(mailbox_id mailbox);

    std::unique_ptr<database> own_; // before those who use it
    database* db_;
    std::string described_;                ///< to whoever finds one of our mailboxes held
    std::shared_ptr<open_mailboxes> open_; // shared with calls of open_mailbox, which may outlive us by their frame
    std::optional<leased> lease_;
};

} // namespace postferry::store

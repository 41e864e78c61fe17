#pragma once
#include "net/traffic_book.hpp"
#include "store/file_lock.hpp"
#include "store/ledger_thread.hpp"
#include "store/name_repository.hpp"
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

/// The ledger in an SQLite file. Its calls may come from any thread. Destroy it before the execution contexts of those
/// who wait for it, as their answers are posted there; the destructor carries out what is queued.
///
/// Calls that wait while another is being committed are committed together: with fifty mailboxes at work a flush of the
/// disk serves all of them. Each still fails or succeeds by itself.
///
/// Cancelling: a call that has begun ends as if nothing had happened, its answer tells what is stored. As everywhere in
/// Asio a cancelled coroutine throws at its next co_await, before that call has begun; whoever wants to record its last
/// batch after that resets its cancellation state first.
class ledger_file final : public transfer::ledger, public net::traffic_book {
  public:
    /// Class config (nothing may start): in use (naming the holder), damaged, newer, another program's file. Class
    /// local: no folder, no permission, no space. Blocks for a millisecond or two; longer when the last run was killed
    /// and its log is read again.
    [[nodiscard]] static result<std::unique_ptr<ledger_file>> open(const std::filesystem::path& path,
                                                                   const open_options& options);
    ~ledger_file() override;

    /// A mailbox that is open in this object already: class config. In a read-only ledger one that is not known gets an
    /// id below 0, with nothing in it.
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
    [[nodiscard]] bool read_only() const noexcept { return read_only_; }

  private:
    friend class ledger_names;
    task<result<std::optional<name_book::page>>> find_names(name_key key);
    task<result<name_book::page>> create_names(name_key key, std::uint32_t uid_validity);
    task<result<std::vector<name_book::entry>>> add_names(name_key key, std::vector<std::string> names);
    task<result<void>> remove_names(name_key key, std::vector<std::uint32_t> uids);

    class open_mailboxes;
    ledger_file(std::string name, bool read_only, std::optional<file_lock> lock, std::unique_ptr<sql::connection> db);
    template <class T, class Call> task<result<T>> submit(ledger_job::kind kind, Call call);

    std::string name_;
    bool read_only_;
    std::shared_ptr<open_mailboxes> open_; // shared with calls of open_mailbox, which may outlive us by their frame
    std::optional<file_lock> lock_;        // falls after the thread has ended and the file is closed
    ledger_thread thread_;
};

} // namespace postferry::store

#pragma once
#include "mailbox/file_pool.hpp"
#include "mailbox/mailbox.hpp"
#include "mailbox/maildir_folder.hpp"
#include "mailbox/maildir_uids.hpp"
#include "mailbox/name_book.hpp"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace postferry::mailbox {

struct opened_folder {
    std::shared_ptr<maildir_directories> directories;
    maildir_view view;
};

struct maildir_options {
    std::string path;   ///< of the Maildir's root
    std::string place;  ///< endpoint::display(): the key in the name book
    std::string prefix; ///< endpoint::prefix
    name_book* names =
        nullptr; ///< numbers for messages that no UID list names; without it they last as long as this object
    std::size_t window_messages = 512;         ///< being written at once
    std::uint64_t window_octets = 4ULL << 20U; ///< of them, held in memory; a quarter of it is read ahead
    std::size_t batch_messages = 256;          ///< stored with one look at the UID list
    std::uint64_t batch_octets = 16ULL << 20U;
    std::chrono::milliseconds lock_patience{60'000}; ///< for another program's lock on a folder
    std::shared_ptr<file_pool> files = file_pool::shared();
    /// Asked, on any thread, right before messages become visible; no: class cancelled, and they do not. None: always.
    std::function<bool()> may_store = {};
};

/// A Maildir or Maildir++ on this machine, whichever server serves it: the same object reads it and brings mail to it.
///
/// Reading changes nothing on the disk, not even access times where the kernel lets us. UIDs are those of
/// dovecot-uidlist or courierimapuiddb. A message that no list names is numbered by the name book: from 1 on where the
/// folder has no list, else from 2^31 on, so that the server's own later numbers cannot collide; it keeps that number
/// for us for good. The flags are those of the file's name, the date is the file's mtime, as Dovecot has it. Line ends
/// are given out as CRLF (docs/adr/0014-maildir.md).
///
/// `folder_state::modseq` stands for the times of the folder's files: it is equal only while nothing has changed, and
/// means nothing else.
class maildir_mailbox final : public target {
  public:
    enum class role : std::uint8_t { source, target };

    /// A source must be a Maildir. A target may be missing, as long as the folder above it is there; nothing is created
    /// before prepare(). Errors: class config when it is not there or no Maildir, local when it may not be read.
    [[nodiscard]] static task<result<std::unique_ptr<maildir_mailbox>>> open(maildir_options options, role as);
    ~maildir_mailbox() override;

    task<result<listing>> list(bool with_octets) override;
    task<result<void>> scan(std::span<const scan_request> folders, scan_sink& sink) override;
    task<result<void>> fetch(std::span<const fetch_request> requests, fetch_part part, message_sink& sink) override;
    task<result<std::vector<uid_set>>> search(std::span<const fetch_request> requests, search_criterion what) override;
    void close() noexcept override { closed_ = true; }
    task<> leave() override { co_return; }

    [[nodiscard]] std::uint64_t append_limit() const noexcept override { return 0; }
    [[nodiscard]] bool keeps_uids() const noexcept override { return true; }
    [[nodiscard]] std::string handle_of(std::string_view name) const override;
    /// A folder that is new or empty takes over the wish's UIDVALIDITY and UIDNEXT; messages that no list names are
    /// given UIDs. state.uid_next is the lowest UID that append() may give: where UIDs of the source are kept, lower
    /// than what IMAP would say.
    task<result<std::vector<prepared_folder>>> prepare(std::span<const folder_wish> wishes) override;
    task<result<void>> subscribe(std::span<const std::string> handles) override;
    task<result<void>> append(append_feed& feed) override;
    task<result<void>> change_flags(std::string_view handle, std::span<const flag_change> changes) override;
    task<result<void>> remove(std::string_view handle, std::uint32_t uid_validity, uid_set uids) override;
    [[nodiscard]] std::vector<std::string> take_remarks() override;

  private:
    /// What prepare() has decided about a folder, and what append() has to go by.
    struct prepared {
        std::uint32_t uid_validity = 0;
        uid_rules rules;
        std::uint64_t index_stamp = 0; ///< of a server's index: when it changes, a server has seen our UIDNEXT
    };
    struct settled {
        prepared_folder folder;
        prepared what;
    };
    friend class maildir_append;
    friend class maildir_fetch;

    maildir_mailbox(maildir_options options, role as);

    [[nodiscard]] result<void> open_root();
    [[nodiscard]] std::string name_of(std::string_view handle) const;
    /// Reads the folder and gives every message a UID.
    task<result<std::shared_ptr<opened_folder>>> view_of(std::string handle, bool durable_numbers);
    void number_here(const std::string& handle, maildir_view& view);
    task<result<void>> number(const std::string& handle, maildir_view& view, bool durable);
    [[nodiscard]] folder_state state_of(const maildir_view& view) const;
    task<result<dotlock>> lock(std::shared_ptr<maildir_directories> directories, std::string name);
    task<result<std::vector<prepared_folder>>> prepare_all(std::span<const folder_wish> wishes);
    task<> prepare_one(const folder_wish& wish, bool only_wish, prepared_folder& out);
    [[nodiscard]] result<void> make_root();
    /// Under the list's lock.
    [[nodiscard]] static result<settled> settle(const maildir_directories& d, const folder_wish& wish, bool only_wish,
                                                const prepared* before);
    task<result<message::maildir_keywords>> keywords_for(std::shared_ptr<maildir_directories> d,
                                                         std::vector<std::string> needed);
    [[nodiscard]] error closed_error() const;

    maildir_options options_;
    role as_;
    file_handle root_;
    file_owner owner_;
    bool closed_ = false;
    std::map<std::string, prepared, std::less<>> prepared_;                   ///< by handle
    std::map<std::string, std::map<std::string, std::uint32_t>> own_numbers_; ///< without a name book, by handle
    std::set<std::string> remarks_;
};

/// What `check` wants to know about a Maildir; blocks.
struct maildir_facts {
    bool exists = false, is_maildir = false, parent_exists = false;
    std::optional<error> unreadable, unwritable; ///< as a file system would refuse; nothing is written to find out
    std::uint64_t total_octets = 0, free_octets = 0,
                  free_inodes = 0; ///< for ordinary users; 0 inodes where the file system counts none
    bool counts_inodes = false;
    std::vector<std::string> served_by; ///< "Dovecot (dovecot-uidlist)", "Courier (courierimapuiddb)"
};
[[nodiscard]] maildir_facts look_at_maildir(const std::string& path);

} // namespace postferry::mailbox

#pragma once
#include "mailbox/file_pool.hpp"
#include "mailbox/mailbox.hpp"
#include "mailbox/mbox_file.hpp"
#include "mailbox/mbox_index.hpp"
#include "mailbox/mbox_tree.hpp"
#include "mailbox/name_book.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace postferry::mailbox {

struct mbox_options {
    std::string path;                                              ///< of the file or the folder
    std::string place;                                             ///< endpoint::display(): the key in the name book
    std::string prefix;                                            ///< endpoint::prefix
    message::mbox_format format = message::mbox_format::automatic; ///< how to read
    name_book* names = nullptr;                                    ///< without it numbers last as long as this object
    std::uint64_t batch_octets = 4U << 20U;
    std::size_t batch_messages = 2000;
    std::uint64_t gather_octets = 1U << 20U;         ///< a larger message goes through a spool file
    std::chrono::milliseconds lock_patience{60'000}; ///< for another program's lock
    std::shared_ptr<file_pool> files = file_pool::shared();
    /// Asked, on any thread, right before messages become visible; no: class cancelled, and they do not. None: always.
    std::function<bool()> may_store = {};
};

/// An mbox file, or a folder of them (mbox_tree), as a place of mail.
///
/// Reading changes nothing: no Status is rewritten, no lock file made, no time of access touched where the kernel lets
/// us. A file is read through once to find its messages, in bounded memory but for 56 octets a message, and then by
/// position; each message is checked against what the first look found. Messages are numbered by the name book: their
/// name is their content and which of its occurrences in the file they are, so equal messages are a multiset and one
/// that is added leaves the numbers of the others. Fields of the mbox's own (Status ...) are no part of a message.
///
/// As a target it appends (mbox_file) and never changes what is there: flags are those a message was brought with.
/// `folder_state::modseq` is equal only while nobody has written to the file, and means nothing else.
class mbox_mailbox final : public target {
  public:
    enum class role : std::uint8_t { source, target };

    /// A source must be there. Errors: class config when it is not, local when it may not be read.
    [[nodiscard]] static task<result<std::unique_ptr<mbox_mailbox>>> open(mbox_options options, role as);

    task<result<listing>> list(bool with_octets) override;
    task<result<void>> scan(std::span<const scan_request> folders, scan_sink& sink) override;
    task<result<void>> fetch(std::span<const fetch_request> requests, fetch_part part, message_sink& sink) override;
    task<result<std::vector<uid_set>>> search(std::span<const fetch_request> requests, search_criterion what) override;
    void close() noexcept override { closed_ = true; }
    task<> leave() override;

    [[nodiscard]] std::uint64_t append_limit() const noexcept override { return 0; }
    [[nodiscard]] std::string handle_of(std::string_view name) const override;
    task<result<std::vector<prepared_folder>>> prepare(std::span<const folder_wish> wishes) override;
    task<result<void>> subscribe(std::span<const std::string> handles) override;
    /// A batch is written to memory (a large message to a spool file) and then appended in one go under the lock, so
    /// that the lock is held for a moment however slow the source is. Each is on the disk before feed.stored.
    task<result<void>> append(append_feed& feed) override;
    /// Class permanent: they are left as they are.
    task<result<void>> change_flags(std::string_view handle, std::span<const flag_change> changes) override;
    [[nodiscard]] std::vector<std::string> take_remarks() override;

    [[nodiscard]] const mbox_tree& tree() const noexcept { return tree_; }

  private:
    /// In the book of an mbox that was removed and made anew: its numbers are of another generation.
    static constexpr std::string_view generation_name = "generation";

    struct folder {
        std::string path; ///< below the root
        mbox_index index;
        std::uint32_t uid_validity = 0, uid_next = 1;
        bool indexed = false;
        std::set<std::string> keywords; ///< that the file names, or has no room for
        bool written = false;           ///< by us, in this session: there is a journal to be removed
    };
    friend class mbox_append;
    friend class mbox_fetch;

    mbox_mailbox(mbox_options options, role as, mbox_tree tree);

    task<result<void>> find_folders(listing* out);
    /// The folder with an index that fits the file as it is now.
    task<result<folder*>> look(std::string handle);
    task<result<void>> index(const std::string& handle, folder& f);
    task<result<void>> number(const std::string& handle, folder& f, std::vector<std::string> names) const;
    /// Opens and locks it, waiting for others.
    task<result<mbox_file>> lock(std::string path, bool create, bool* created = nullptr);
    task<result<void>> prepare_one(const folder_wish& wish, prepared_folder& out);
    [[nodiscard]] folder_state state_of(const folder& f) const;
    [[nodiscard]] error closed_error() const;

    mbox_options options_;
    role as_;
    mbox_tree tree_;
    std::atomic<bool> closed_ = false;      ///< also looked at by work on files
    std::map<std::string, folder> folders_; ///< by handle, which is the decoded name
    std::set<std::string> remarks_;
};

/// What `check` wants to know; blocks.
struct mbox_facts {
    bool exists = false, is_file = false, parent_exists = false;
    std::optional<error> unreadable, unwritable; ///< as the file system would refuse; nothing is written to find out
    std::uint64_t free_octets = 0, total_octets = 0; ///< of the disk, for ordinary users
};
[[nodiscard]] mbox_facts look_at_mbox(const std::string& path);

} // namespace postferry::mailbox

#pragma once
// One folder of a Maildir on the disk: its directories, its lists, its messages. Everything here blocks.
#include "mailbox/local_files.hpp"
#include "message/maildir_lists.hpp"
#include "message/maildir_name.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::mailbox {

/// Lists of UIDs and so on are read whole; a larger one is a mistake, or an attack.
inline constexpr std::uint64_t max_list_octets = 2ULL << 30U;

/// The directories of one folder, kept open. Work holds it by shared_ptr.
struct maildir_directories {
    file_handle folder, cur, fresh, tmp; ///< `fresh` is new/
    file_owner owner;
};

/// @param root of the Maildir  @param handle "INBOX" (the root itself) or ".A.B"
/// Reading needs cur/; new/ and tmp/ may be missing.
[[nodiscard]] result<std::shared_ptr<maildir_directories>> open_maildir(int root, const std::string& handle);
/// Makes what is missing, durably. @param root_owner whose the new folder becomes
[[nodiscard]] result<std::shared_ptr<maildir_directories>> make_maildir(int root, const std::string& handle,
                                                                        const file_owner& root_owner);

/// Memory for many small texts that stay where they are.
class text_arena {
  public:
    [[nodiscard]] std::string_view keep(std::string_view text);

  private:
    std::vector<std::unique_ptr<char[]>> blocks_;
    std::size_t used_ = 0, size_ = 0;
};

struct maildir_entry {
    std::uint32_t uid = 0; ///< 0: no list names it
    bool in_new = false;
    std::string_view name;   ///< of the file
    std::string_view unique; ///< its unique part; of a second file with the same one, the whole name
    std::string_view uidl;
};

/// What kinds of things lay in a folder that are no messages; for the listing's notes.
struct maildir_oddities {
    std::uint64_t directories = 0;   ///< in cur/ or new/
    std::uint64_t others = 0;        ///< symbolic links, sockets and so on
    std::uint64_t unfinished = 0;    ///< files in tmp/: deliveries under way, or cut off
    std::uint64_t same_unique = 0;   ///< two files for one message (links to one file); only one counts
    std::uint64_t skipped_lines = 0; ///< of the UID list
};

/// A folder as it lay on the disk at one moment. The texts of its entries live as long as it does.
struct maildir_view {
    enum class numbering : std::uint8_t { none, dovecot, courier };

    std::vector<maildir_entry> entries; ///< by UID; those without one last, by name
    message::maildir_keywords keywords;
    numbering numbered = numbering::none;
    std::uint32_t uid_validity = 0;
    std::uint32_t uid_next = 1; ///< above every UID of the list
    std::string guid;
    bool torn = false;       ///< the UID list ends in the middle of a line
    std::uint64_t stamp = 0; ///< changes with every change of the folder; 0: it changed so lately that another change
                             ///< might leave the same times
    maildir_oddities odd;

    /// Texts that the entries point into.
    std::shared_ptr<text_arena> names;
    std::shared_ptr<const std::string> list_text;
    std::vector<message::uidlist_record> records; ///< of the UID list, by UID; also those without a file

    [[nodiscard]] const maildir_entry* find(std::uint32_t uid) const noexcept;
    void sort();
};

/// Reads a folder without changing anything. A folder that changes meanwhile is read again; what was seen in any
/// reading counts, so a message that is renamed all the time is never missed.
[[nodiscard]] result<maildir_view> read_maildir(const maildir_directories& d);

/// Finds files again by their unique parts after flags have changed: unique -> (in new/, name).
class maildir_finder {
  public:
    explicit maildir_finder(std::shared_ptr<const maildir_directories> d) : directories_(std::move(d)) {}
    /// Opens a message's file for reading; looks for it by `unique` where `name` is not there any more. An empty
    /// handle: it is gone.
    [[nodiscard]] result<file_handle> open(const maildir_entry& entry);
    /// Where it is now: directory and name; nothing when it is gone.
    [[nodiscard]] result<std::optional<std::pair<bool, std::string>>> look_for(std::string_view unique);

  private:
    std::shared_ptr<const maildir_directories> directories_;
};

} // namespace postferry::mailbox

#pragma once
// Who gets which UID in dovecot-uidlist, and the writing of it. Under the list's lock; blocks.
#include "base/uid_set.hpp"
#include "mailbox/maildir_folder.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace postferry::mailbox {

/// The rules by which UIDs are given (docs/adr/0014-maildir.md).
struct uid_rules {
    bool keep = false;       ///< the folder has the source's UIDVALIDITY: its UIDs are wanted
    std::uint32_t floor = 1; ///< the lowest that may be given
    std::uint32_t highest_kept = 0;
};

/// A message that is to be entered.
struct new_record {
    std::uint32_t wanted = 0; ///< the source's UID; 0 = none
    std::string uidl;
    std::string unique;
    std::uint32_t uid = 0; ///< given
};

/// Gives each record a UID, in their order: the wanted one where the rules allow and nobody has it, else the next.
/// @param taken UIDs in use; those given are added  @param uid_next raised above every UID given
void give_uids(std::vector<new_record>& records, const uid_rules& rules, uid_set& taken, std::uint32_t& uid_next);

/// What the list looks like at the moment; read again only when the file has changed.
class uid_list_file {
  public:
    /// Under the lock. Nothing when there is no list, or none with a header.
    [[nodiscard]] result<void> refresh(const maildir_directories& d);
    [[nodiscard]] bool exists() const noexcept { return uid_validity_ != 0; }
    [[nodiscard]] std::uint32_t uid_validity() const noexcept { return uid_validity_; }
    [[nodiscard]] std::uint32_t uid_next() const noexcept { return uid_next_; }
    [[nodiscard]] const uid_set& taken() const noexcept { return taken_; }

    /// Durably enters records that have UIDs. Appends where they are above all others, else writes the list anew.
    /// @param taken with theirs
    [[nodiscard]] result<void> enter(const maildir_directories& d, const std::vector<new_record>& records,
                                     uid_set taken, std::uint32_t uid_next);
    /// A list made anew, with the records of `view` that have a file and these.
    [[nodiscard]] static result<void> rewrite(const maildir_directories& d, const maildir_view& view,
                                              std::uint32_t uid_validity, std::uint32_t uid_next,
                                              const std::vector<new_record>& records);

  private:
    [[nodiscard]] bool unchanged(const maildir_directories& d) const;
    void remember(const maildir_directories& d);

    std::uint32_t uid_validity_ = 0, uid_next_ = 1;
    uid_set taken_;
    bool torn_ = false;
    std::uint64_t inode_ = 0, size_ = 0;
    std::int64_t seconds_ = 0, nanoseconds_ = 0;
};

/// Times of the index that a server keeps beside the list; 0: there is none. While it stays the same no server has
/// looked at the folder.
[[nodiscard]] std::uint64_t index_stamp(const maildir_directories& d);

/// Under the UID list's lock, which guards the keywords as well: gives these keywords letters, durably. What finds none
/// free has none in the answer.
[[nodiscard]] result<message::maildir_keywords> enter_keywords(const maildir_directories& d,
                                                               const std::vector<std::string>& needed);
[[nodiscard]] std::string no_letter_for(std::string_view keyword, std::string_view folder); ///< for the report

} // namespace postferry::mailbox

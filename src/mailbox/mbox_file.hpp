#pragma once
// Writing to an mbox that others deliver to. Everything here blocks: call it on a file_pool's thread.
#include "mailbox/local_files.hpp"
#include "mailbox/mbox_index.hpp"
#include "mailbox/mbox_tree.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::mailbox {

/// Octets on their way into an mbox, too many for memory, in a file that has no name.
class mbox_spool {
  public:
    /// In the folder of the mbox: there it will need the room anyway.
    [[nodiscard]] static result<mbox_spool> make(const mbox_place& place);
    [[nodiscard]] result<void> add(std::string_view octets);
    [[nodiscard]] result<void> overwrite(std::uint64_t offset, std::string_view octets);
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    [[nodiscard]] int get() const noexcept { return fd_.get(); }

  private:
    file_handle fd_;
    std::uint64_t size_ = 0;
};

/// An mbox that is locked as mail programs lock it: FILE.lock, then fcntl (of the open file, so that no other
/// descriptor of this process lets it go). Unlocked when it is destroyed.
///
/// What append() adds is there as a whole or not at all: ".FILE.postferry" holds the length the file had, on the disk,
/// before the first octet is written; it is emptied when all of them are on the disk. Who finds a length there (this
/// program was killed, or the machine stopped) cuts the file back to it, if nobody else has added anything since.
class mbox_file {
  public:
    /// One attempt; nothing while somebody else has it locked. What a killed run left is cut off.
    /// @param create if it is not there; `created` says whether it was  @param remarks for the report
    [[nodiscard]] static result<std::optional<mbox_file>> try_open(mbox_place place, bool create, bool& created,
                                                                   std::vector<std::string>& remarks);

    [[nodiscard]] int get() const noexcept { return fd_.get(); }
    /// Adds whole messages of mbox_writer, from memory or from a spool, durably. Returns where the first begins. A
    /// failure leaves the file as it was.
    [[nodiscard]] result<std::uint64_t> append(std::string_view messages);
    [[nodiscard]] result<std::uint64_t> append(const mbox_spool& messages);
    /// Makes keywords known to servers that ask the first message's X-IMAPbase for them, in the room that it has.
    /// Returns those that it has no room for.
    [[nodiscard]] result<std::vector<std::string>> name_keywords(const std::vector<std::string>& keywords);
    /// Removes ".FILE.postferry".
    void forget_journal() noexcept;

  private:
    mbox_file() = default;
    [[nodiscard]] result<void> recover(std::vector<std::string>& remarks);
    [[nodiscard]] bool all_ours_from(std::uint64_t offset, std::uint64_t end) const;
    [[nodiscard]] result<void> write_journal(std::uint64_t length);
    [[nodiscard]] result<void> clear_journal();
    /// The empty line that must stand before a From_ line, as far as it is missing.
    [[nodiscard]] result<std::string> gap(std::uint64_t length) const;
    [[nodiscard]] result<void> take_back(std::uint64_t length, error why);
    template <class Write> [[nodiscard]] result<std::uint64_t> append_by(Write write);

    mbox_place place_;
    dotlock dotlock_; // before fd_: the fcntl lock goes first
    file_handle fd_, journal_;
};

} // namespace postferry::mailbox

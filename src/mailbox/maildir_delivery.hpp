#pragma once
// One message on its way into a Maildir, and the moment in which a batch of them arrives. Blocks.
#include "mailbox/mailbox.hpp"
#include "mailbox/maildir_folder.hpp"
#include "mailbox/maildir_uids.hpp"
#include "message/line_ends.hpp"

#include <memory>
#include <set>
#include <string>
#include <vector>

namespace postferry::mailbox {

/// A folder that is receiving messages.
struct delivery_folder {
    std::string handle, name;
    std::shared_ptr<maildir_directories> directories;
    int root = -1; ///< of the Maildir, for maildirsize
    std::uint32_t uid_validity = 0;
    uid_rules rules;
    std::uint64_t index_stamp = 0;
    uid_list_file list;
    std::set<std::string> remarks;   ///< keywords that found no letter
    std::function<bool()> may_store; ///< maildir_options
};

/// One message. add() and write_piece() in turn, then finish() once; afterwards `failure` says how it went. Never two
/// of them at once.
class delivery {
  public:
    delivery(std::shared_ptr<delivery_folder> where, const append_item& what);

    /// Takes octets as they came. Stores LF for CRLF as long as that can be undone to the octet.
    void add(std::string_view octets);
    /// Writes what is held to tmp/. Answers nothing of interest: see `failure`.
    bool write_piece();
    /// Writes the rest, sets date and owner, and syncs.
    bool finish();
    /// Removes what is in tmp/.
    bool discard();

    /// The name in cur/ without info part, with sizes.
    [[nodiscard]] std::string unique() const;

    std::shared_ptr<delivery_folder> folder;
    std::uint64_t token = 0;
    std::size_t batch_limit = 0;
    std::string flags, uidl;
    std::optional<message_date> date;
    std::uint32_t wanted_uid = 0, uid = 0;
    std::string content; ///< not written yet, as it is to be stored
    std::string tmp_name;
    std::uint64_t stored_octets = 0; ///< of the file
    std::optional<error> failure;
    // For the strand, while a thread is in finish():
    bool settled = false; ///< it has returned
    std::uint64_t held_octets = 0;

  private:
    bool fail_with(error why);
    /// Turns what is in the file back to CRLF: the message has line ends that LF could not stand for.
    bool rewrite_as_it_came();

    std::uint64_t octets_ = 0; ///< as it came
    message::lf_writer converter_;
    message::bare_lf_counter bare_; ///< of a message that is stored as it came
    bool as_it_came_ = false, file_is_converted_ = false;
    file_handle file_;
};

/// Under the UID list's lock: gives the batch its UIDs, renames it into cur/, makes both durable. An error: nothing of
/// it is there any more, as far as the disk let us undo it.
[[nodiscard]] result<void> store_batch(delivery_folder& folder, const std::vector<std::shared_ptr<delivery>>& batch);

} // namespace postferry::mailbox

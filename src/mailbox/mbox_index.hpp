#pragma once
// What lies where in an mbox, found in one pass over it. Blocks: call it on a file_pool's thread.
#include "base/digest.hpp"
#include "base/error.hpp"
#include "mailbox/local_files.hpp"
#include "message/mbox_reader.hpp"

#include <atomic>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace postferry::mailbox {

/// Equal only while nobody has written to the file.
struct mbox_stamp {
    std::uint64_t device = 0, inode = 0, size = 0;
    std::int64_t modified_ns = 0, changed_ns = 0;
    bool operator==(const mbox_stamp&) const = default;
    /// folder_state::modseq: 0 when the file is so young that another write may bear the same time.
    [[nodiscard]] std::uint64_t as_modseq(std::int64_t now_ns) const noexcept;
};
[[nodiscard]] result<mbox_stamp> stamp_of(int fd);

/// 56 octets a message.
struct mbox_entry {
    std::uint64_t begin = 0, end = 0; ///< in the file
    std::uint64_t octets = 0;         ///< as given out
    std::uint64_t check = 0;          ///< the first octets of the content's SHA-256
    std::int64_t date = 0;
    std::uint32_t uid = 0;
    std::uint32_t flags = 0; ///< index into mbox_index::flag_sets
    std::int16_t zone = 0;
    bool dated = false;
    bool ours = false;
    message::mbox_message::kind what = message::mbox_message::kind::mail;
};

struct mbox_index {
    std::vector<mbox_entry> entries;                 ///< as they lie in the file
    std::vector<std::vector<std::string>> flag_sets; ///< distinct
    mbox_stamp stamp;
    bool lengths_hold = false;                            ///< message::mbox_reader
    std::unordered_map<std::string, std::uint32_t> times; ///< how often a content is there, by mbox_content_name()

    [[nodiscard]] std::uint32_t flag_set(std::vector<std::string> flags);
};

/// 22 characters for a content; the name in the name book is this, "." and the number of its occurrence in the file.
[[nodiscard]] std::string mbox_content_name(const sha256_digest& digest);

/// @param names filled with the name of each entry  @param stop looked at now and then; gives class cancelled
[[nodiscard]] result<mbox_index> read_mbox_index(int fd, message::mbox_format format, std::vector<std::string>& names,
                                                 const std::atomic<bool>& stop);

/// For reading at `fd`: is there a From_ line (behind empty lines), or the end?
[[nodiscard]] bool mbox_separator_at(int fd, std::uint64_t offset);

/// O_NOATIME where we may: mail programs tell new mail by an mbox's time of access.
[[nodiscard]] result<file_handle> open_mbox(int directory, const std::string& file);

/// The date of a From_ line that names no zone, which is local time as all but a few have written it.
[[nodiscard]] message::message_date with_local_zone(message::message_date as_utc);

} // namespace postferry::mailbox

#pragma once
#include "client/block.hpp"
#include "mailbox/file_pool.hpp"
#include "mailbox/local_files.hpp"
#include "mailbox/mailbox.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::mailbox {

/// Holds a message until its last octet has come, for places that do not tell beforehand how long it is (POP3's LIST is
/// a hint): whoever appends it must know. Up to a threshold as the blocks it arrived in, beyond it in an unlinked
/// temporary file ($TMPDIR, else /var/tmp), so that memory does not grow with the message. One message after the other.
class message_spool {
  public:
    /// @param in_memory octets  @param blocks what is read back from the file goes into these
    message_spool(std::size_t in_memory, std::shared_ptr<client::block_pool> blocks)
        : in_memory_(in_memory), blocks_(std::move(blocks)) {}

    /// @param octets live as long as `owner`, or for ever. Class local: no room for the temporary file.
    task<result<void>> add(const client::block_ref& owner, std::string_view octets);
    [[nodiscard]] std::uint64_t octets() const noexcept { return octets_; }
    /// begin, chunk..., end. Sets head.octets. The spool is empty afterwards, whatever happens.
    task<result<void>> deliver(message_head head, message_sink& sink);
    void clear() noexcept;

  private:
    task<result<void>> to_file();
    task<result<void>> write(std::string_view octets);
    task<result<void>> write_gathered();
    task<result<void>> give(message_head head, message_sink& sink);

    std::size_t in_memory_;
    std::shared_ptr<client::block_pool> blocks_;
    std::shared_ptr<file_pool> pool_; ///< from the first message that needs it
    std::vector<chunk> chunks_;
    file_handle file_;
    std::string gathered_; ///< of the file, not written yet
    std::uint64_t octets_ = 0;
};

} // namespace postferry::mailbox

#pragma once
// What imap_append keeps of the messages that are on their way.
#include "mailbox/mailbox.hpp"
#include "protocol/imap/conversation.hpp"

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <sys/uio.h>
#include <utility>
#include <vector>

namespace postferry::mailbox::detail {

/// Text and message octets in the order they go out, without copying the latter.
class gather {
  public:
    void text(std::string t) {
        if (t.empty()) return;
        texts_.push_back(std::move(t));
        add(texts_.back());
    }
    void octets(chunk c) {
        add(c.octets);
        owners_.push_back(std::move(c.owner));
    }
    [[nodiscard]] bool full() const noexcept { return size_ >= write_octets || pieces_.size() >= write_pieces; }
    [[nodiscard]] bool empty() const noexcept { return pieces_.empty(); }
    [[nodiscard]] std::span<const iovec> pieces() const noexcept { return pieces_; }
    void clear() {
        pieces_.clear();
        texts_.clear();
        owners_.clear();
        size_ = 0;
    }

  private:
    static constexpr std::size_t write_octets = 256U << 10U; ///< gathered before they go to the socket in one call
    static constexpr std::size_t write_pieces = 500;         ///< below IOV_MAX

    void add(std::string_view s) {
        pieces_.push_back({const_cast<char*>(s.data()), s.size()});
        size_ += s.size();
    }
    std::vector<iovec> pieces_;
    std::deque<std::string> texts_; // a deque: the views must stay where they are
    std::vector<client::block_ref> owners_;
    std::size_t size_ = 0;
};

/// One APPEND, from its opening to its answer.
struct batch {
    imap::command_id id = 0;
    std::size_t folder = 0;
    std::size_t limit = 0;
    std::uint64_t octets = 0;
    std::vector<std::uint64_t> tokens;
    bool open = true;
    bool unasked = false; ///< carries a non-synchronising literal
};

} // namespace postferry::mailbox::detail

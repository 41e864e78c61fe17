#pragma once
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <sys/uio.h>

namespace postferry::net::detail {

/// A position in the pieces of one write.
class piece_cursor {
  public:
    explicit piece_cursor(std::span<const iovec> pieces) noexcept : pieces_(pieces) { skip_empty(); }

    [[nodiscard]] bool at_end() const noexcept { return pieces_.empty(); }

    /// What is left of the current piece; call it only before the end.
    [[nodiscard]] std::string_view front() const noexcept {
        return {static_cast<const char*>(pieces_.front().iov_base) + offset_, pieces_.front().iov_len - offset_};
    }

    /// Fills `out` with what is left, for sendmsg(); returns how many were filled.
    [[nodiscard]] std::size_t fill(std::span<iovec> out) const noexcept {
        const std::size_t count = std::min(out.size(), pieces_.size());
        std::copy_n(pieces_.begin(), count, out.begin());
        if (count > 0) {
            out[0].iov_base = static_cast<char*>(out[0].iov_base) + offset_;
            out[0].iov_len -= offset_;
        }
        return count;
    }

    void advance(std::size_t octets) noexcept {
        while (octets > 0) {
            const std::size_t step = std::min(octets, pieces_.front().iov_len - offset_);
            offset_ += step;
            octets -= step;
            skip_empty();
        }
    }

    /// Copies consecutive pieces that are each below `small` octets as far as they fit, and passes over them.
    std::size_t gather(std::span<char> out, std::size_t small) noexcept {
        std::size_t used = 0;
        while (!at_end() && front().size() < small && front().size() <= out.size() - used) {
            std::memcpy(out.data() + used, front().data(), front().size());
            used += front().size();
            advance(front().size());
        }
        return used;
    }

  private:
    void skip_empty() noexcept {
        while (!pieces_.empty() && offset_ == pieces_.front().iov_len) {
            pieces_ = pieces_.subspan(1);
            offset_ = 0;
        }
    }

    std::span<const iovec> pieces_;
    std::size_t offset_ = 0;
};

} // namespace postferry::net::detail

#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace postferry::client {

/// A receive buffer that is filled from the front and shared by every message that has octets in it. The octets of a
/// message go from the source's socket to the target's in the block they arrived in.
class block {
  public:
    explicit block(std::size_t capacity)
        : octets_(std::make_unique_for_overwrite<char[]>(capacity)), capacity_(capacity) {}

    [[nodiscard]] std::span<char> room() noexcept { return {octets_.get() + used_, capacity_ - used_}; }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    /// The first `n` octets of room() are now data.
    std::string_view filled(std::size_t n) noexcept {
        const std::string_view data(octets_.get() + used_, n);
        used_ += n;
        return data;
    }
    void clear() noexcept { used_ = 0; }

  private:
    std::unique_ptr<char[]> octets_;
    std::size_t capacity_;
    std::size_t used_ = 0;
};

using block_ref = std::shared_ptr<block>;

/// Gives out blocks and takes them back for the next reader, so that a copy at full speed allocates nothing. Belongs to
/// one strand.
class block_pool : public std::enable_shared_from_this<block_pool> {
  public:
    /// @param capacity octets of each block  @param keep unused blocks to hold on to
    block_pool(std::size_t capacity, std::size_t keep) : capacity_(capacity), keep_(keep) {}

    [[nodiscard]] block_ref take() {
        std::unique_ptr<block> b;
        if (unused_.empty()) {
            b = std::make_unique<block>(capacity_);
        } else {
            b = std::move(unused_.back());
            unused_.pop_back();
            b->clear();
        }
        return block_ref(b.release(), [pool = weak_from_this()](block* done) {
            std::unique_ptr<block> mine(done);
            if (const auto p = pool.lock(); p && p->unused_.size() < p->keep_) p->unused_.push_back(std::move(mine));
        });
    }
    [[nodiscard]] std::size_t block_octets() const noexcept { return capacity_; }

  private:
    std::size_t capacity_;
    std::size_t keep_;
    std::vector<std::unique_ptr<block>> unused_;
};

} // namespace postferry::client

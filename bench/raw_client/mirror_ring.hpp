#pragma once

#include <cstddef>
#include <cstdint>

namespace raw_client {

// A ring whose memory is mapped twice in a row, so that any run of up to capacity() octets is contiguous:
// a response line or a literal never has a seam. Positions are absolute octet counts and only grow.
class mirror_ring {
  public:
    explicit mirror_ring(std::size_t octets); // rounded up to whole pages
    ~mirror_ring();
    mirror_ring(const mirror_ring&) = delete;
    mirror_ring& operator=(const mirror_ring&) = delete;

    char* at(std::uint64_t position) const { return base_ + position % capacity_; }

    char* end() const { return at(head_); }

    std::size_t room() const { return capacity_ - static_cast<std::size_t>(head_ - tail_); }

    std::uint64_t head() const { return head_; }

    std::uint64_t tail() const { return tail_; }

    std::size_t capacity() const { return capacity_; }

    void filled(std::size_t octets) { head_ += octets; }

    void release_to(std::uint64_t position) { tail_ = position; }

  private:
    char* base_ = nullptr;
    std::size_t capacity_ = 0;
    std::uint64_t head_ = 0; // next octet to be written
    std::uint64_t tail_ = 0; // oldest octet still needed
};

} // namespace raw_client

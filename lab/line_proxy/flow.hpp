#pragma once
// One direction of one connection: octets wait here until they have travelled the line.

#include "options.hpp"

#include <chrono>
#include <deque>
#include <limits>
#include <span>
#include <vector>

namespace postferry::lab {

using steady = std::chrono::steady_clock;
using moment = steady::time_point;

class flow {
  public:
    // How a call of pump() or forward() left things.
    enum class outcome {
        going,    // nothing more is due now
        at_limit, // exactly the octets before the fault have passed
        broken,   // the receiver is gone
    };

    // Puts octets on the line. They are due at `due`, which never decreases from call to call.
    void push(std::span<const char> octets, moment due);

    // The sender has finished; the receiver learns it at `due`, after all octets.
    void push_end(moment due);

    // Writes `octets` at once where the line is empty and queues the rest with `due`.
    outcome forward(int to, std::span<const char> octets, moment due, moment now);

    // Writes to `to` what is due.
    outcome pump(int to, moment now);

    // The receiver cannot be written to any more: everything is dropped from now on.
    void give_up();

    // When pump() has something to do next, unless it waits for the receiver (then moment::max()).
    moment next() const;

    void allow_until(std::uint64_t limit) { limit_ = limit; }

    void split_every(std::size_t octets, std::chrono::microseconds gap) {
        split_ = octets;
        gap_ = gap;
    }

    void set_blocked(bool blocked) { blocked_ = blocked; }

    bool blocked() const { return blocked_; }

    bool ended() const { return ended_; }

    bool finished() const { return finished_; }

    std::size_t queued() const { return queued_; }

    std::uint64_t passed() const { return passed_; }

  private:
    struct chunk {
        moment due;
        std::vector<char> octets; // empty: the end of the stream
        std::size_t sent = 0;
    };

    outcome write_some(int to, std::span<const char> octets, moment now, std::size_t& written);

    std::deque<chunk> queue_;
    std::size_t queued_ = 0;
    std::uint64_t passed_ = 0;
    std::uint64_t limit_ = std::numeric_limits<std::uint64_t>::max();
    std::size_t split_ = 0;
    std::chrono::microseconds gap_{0};
    moment not_before_{};
    bool blocked_ = false;
    bool ended_ = false;
    bool finished_ = false;
};

} // namespace postferry::lab

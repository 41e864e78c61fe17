#pragma once
#include "client/imap_session.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

namespace postferry::mailbox::detail {

/// Listens to how long a target takes for the first batches, where compression could pay, and compresses the line when
/// it is slow. Belongs to one run of append().
class upload_pace {
  public:
    using clock = std::chrono::steady_clock;

    /// Time in which nothing was sent for want of messages: not the line's fault.
    class hunger {
      public:
        explicit hunger(clock::duration& total) : total_(total) {}
        hunger(const hunger&) = delete;
        hunger& operator=(const hunger&) = delete;
        ~hunger() { total_ += clock::now() - began_; }

      private:
        clock::duration& total_;
        clock::time_point began_ = clock::now();
    };

    explicit upload_pace(client::imap_session& session) : session_(session) {}

    /// While it listens one batch is under way at a time, and a short one.
    [[nodiscard]] bool listens() const noexcept { return batches_left_ > 0 && session_.may_compress(); }
    [[nodiscard]] std::uint64_t batch_octets(std::uint64_t usual) const noexcept {
        return listens() ? std::min(heard_octets, usual) : usual;
    }

    void opened() noexcept {
        opened_ = clock::now();
        starved_ = {};
        waits_ = 0;
    }
    void waits_for_server() noexcept { ++waits_; }
    [[nodiscard]] hunger starves() { return hunger(starved_); }
    void answered(std::uint64_t octets) noexcept {
        if (batches_left_ > 0) last_ = measured{clock::now() - opened_ - starved_, octets, waits_};
    }

    /// Between two batches, when nothing is unanswered.
    task<result<void>> compress_if_slow() {
        if (!last_ || !listens()) co_return result<void>{};
        const measured m = *std::exchange(last_, std::nullopt);
        --batches_left_;
        if (m.octets < heard_octets / 4) co_return result<void>{}; // tells nothing
        batches_left_ = 0;
        if (!client::sent_slowly(m.took, m.octets, m.waits, session_.round_trip())) co_return result<void>{};
        co_return co_await session_.compress();
    }

  private:
    static constexpr std::uint64_t heard_octets = 512U << 10U;
    struct measured {
        clock::duration took;
        std::uint64_t octets;
        unsigned waits; ///< for the server's "+"
    };
    client::imap_session& session_;
    std::optional<measured> last_;
    clock::time_point opened_;
    clock::duration starved_{};
    unsigned waits_ = 0;
    unsigned batches_left_ = 3; ///< many small folders: to wait for each would cost a round trip each
};

} // namespace postferry::mailbox::detail

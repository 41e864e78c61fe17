#pragma once
// How fast each batch that is at work moves, as this process has watched it.
#include "jobs/eta.hpp"
#include "net/awaitable.hpp"
#include "store/database.hpp"

#include <map>
#include <mutex>
#include <optional>

namespace postferry::jobs {

/// From any thread.
class pace_book {
  public:
    /// The one of the program: what watches and what shows are far apart.
    [[nodiscard]] static pace_book& of_process();

    /// How far the batches at work have come; every few seconds. At most 500 are watched.
    task<result<void>> sample(store::database& db);
    /// When all of it will have been copied, in seconds from now. Nothing: not known, or nothing is at work.
    [[nodiscard]] std::optional<eta_band> eta(const store::batch& b,
                                              const std::vector<store::batch_tally>& mailboxes) const;

    void add(store::record_id batch, unix_ms at, std::uint64_t octets);

  private:
    mutable std::mutex mutex_;
    std::map<store::record_id, pace_meter> meters_;
};

} // namespace postferry::jobs

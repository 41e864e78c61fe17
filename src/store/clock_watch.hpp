#pragma once
// What it may cost that somebody sets the store's clock: nothing but the time until it is noticed.
#include "store/tables.hpp"

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace postferry::store {

/// Leases as one process has seen them, by a clock of its own that nobody sets. A lease ends at a moment of the store's
/// clock; when that is set forward, leases lapse whose workers live and have renewed them in time. So one is taken over
/// only when it has lapsed and, besides, was not renewed before our eyes for as long as its holder may believe in it.
class lease_watch {
  public:
    /// @param patience for how long a holder acts on a lease that it cannot renew
    explicit lease_watch(std::chrono::milliseconds patience) noexcept : patience_(patience) {}

    /// @param standing all leases of others  @param now_ms of a steady clock
    void look(const std::vector<lease>& standing, std::int64_t now_ms);
    /// As of the last look; false for what was not there then.
    [[nodiscard]] bool silent(const lease& l) const noexcept;

  private:
    struct seen {
        std::int64_t token = 0;
        unix_ms expires = 0;
        std::int64_t since_ms = 0; ///< that it is like this
    };
    std::chrono::milliseconds patience_;
    std::int64_t now_ms_ = 0;
    std::map<record_id, seen> seen_;
};

/// What a lease_watch looks at; only migration, token and expires are filled in.
[[nodiscard]] result<std::vector<lease>> leases_of_others(tables& t, const std::string& worker);

/// Notices that the store's clock was set back (workers were last seen in the future), and sets back with it what would
/// wait until the clock has caught up: ends of leases, what is due and waits, pauses of servers of less than an hour.
/// What was told to begin at a moment still begins at that moment. Answers by how many milliseconds; 0: it was not, or
/// another process has noticed already. In a write; in the same as renew().
[[nodiscard]] result<unix_ms> follow_clock_back(tables& t, unix_ms now, std::chrono::milliseconds term);

} // namespace postferry::store

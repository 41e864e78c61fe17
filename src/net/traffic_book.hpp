#pragma once
#include "base/error.hpp"
#include "net/awaitable.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace postferry::net {

/// Octets that moved to or from a place within one hour.
struct traffic {
    std::string place;     ///< an account or a server: "imap.example.org:993 alice"
    bool sent = false;     ///< by us; else received
    std::int64_t hour = 0; ///< since 1970-01-01T00Z
    std::uint64_t octets = 0;
};

/// Remembers what daily budgets count, from run to run.
class traffic_book {
  public:
    virtual ~traffic_book() = default;
    /// Everything from `first_hour` on.
    virtual task<result<std::vector<traffic>>> traffic_since(std::int64_t first_hour) = 0;
    /// Adds to what is there; forgets what is older than `first_hour`. In a read-only run nothing is kept.
    virtual task<result<void>> add_traffic(std::vector<traffic> more, std::int64_t first_hour) = 0;
};

} // namespace postferry::net

#pragma once
#include "base/uid_set.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace postferry::transfer {

/// What a sweep brings of one folder over one connection.
struct lane {
    std::size_t folder = 0;
    std::size_t batch_limit = 0; ///< messages that may share a batch; 0 = the target's own limit
    uid_set uids;
};

/// How many connections are worth their login for so much work: one for each `messages`, at most `limit`. Work whose
/// order matters (lanes with a batch limit: messages that were refused or are suspected) takes one.
[[nodiscard]] std::size_t connections_worth(const std::vector<lane>& work, std::uint64_t messages, std::size_t limit);

/// Shares the work out among `connections`, whole folders first, the largest to whom has least; a folder that is larger
/// than a share by itself and has more than 20,000 messages is cut into ranges of UIDs. Every part keeps the order of
/// the work. No part is empty, so there may be fewer.
///
/// A folder that stays whole arrives in the order of its UIDs. One that is cut arrives in ranges, each in order, woven
/// into each other: clients that sort by arrival and not by date see that.
[[nodiscard]] std::vector<std::vector<lane>> share_out(std::vector<lane> work, std::size_t connections);

} // namespace postferry::transfer

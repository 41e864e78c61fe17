#pragma once
// The seven columns of message_counts, which three tables have.
#include "sql/connection.hpp"
#include "store/records.hpp"

#include <string_view>

namespace postferry::store::detail {

inline constexpr std::string_view count_columns = "messages_source, messages_copied, messages_present, "
                                                  "messages_skipped, messages_failed, octets_source, octets_copied";

inline message_counts read_counts(const sql::query& q, int first) {
    return {.messages_source = q.get<std::uint64_t>(first),
            .messages_copied = q.get<std::uint64_t>(first + 1),
            .messages_present = q.get<std::uint64_t>(first + 2),
            .messages_skipped = q.get<std::uint64_t>(first + 3),
            .messages_failed = q.get<std::uint64_t>(first + 4),
            .octets_source = q.get<std::uint64_t>(first + 5),
            .octets_copied = q.get<std::uint64_t>(first + 6)};
}

} // namespace postferry::store::detail

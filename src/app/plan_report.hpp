#pragma once
// What `plan` says, as JSON (docs/schema/plan.schema.json) and in words.
#include "app/json.hpp"
#include "transfer/plan.hpp"

#include <optional>
#include <span>
#include <string>

namespace postferry::app {

/// The plan of one mailbox, or why there is none (then plan.source and plan.target are still set).
struct plan_entry {
    transfer::mailbox_plan plan;
    std::optional<error> failed;
    double seconds = 0; ///< that planning took
};

/// A band, because nobody knows the servers beforehand: 100 MB/s and 4,000 messages/s at best (two servers next door),
/// 2 MB/s and 50 messages/s at worst (a hosted service far away). Unknown sizes count as 60 kB a message.
struct time_band {
    double low_seconds = 0, high_seconds = 0;
};
[[nodiscard]] time_band estimated_time(const transfer::mailbox_plan& plan);

[[nodiscard]] boost::json::object json_of(const plan_entry& entry);
[[nodiscard]] boost::json::object plan_document(std::span<const plan_entry> entries, wall_time made);
/// Some lines, the last one ends with a newline. Columns are aligned; nothing is cut.
[[nodiscard]] std::string text_of(const plan_entry& entry);

} // namespace postferry::app

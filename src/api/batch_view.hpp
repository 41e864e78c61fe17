#pragma once
// A batch as the API shows it: its row, the tally of its mailboxes, their worst grade, and when it may be done.
#include "api/views.hpp"
#include "store/tables.hpp"

namespace postferry::api {

/// The batch with its view, for answers that carry its ETag.
struct shown_batch {
    store::batch row;
    boost::json::object view;
};

/// In the same order; a few queries for all of them.
[[nodiscard]] result<boost::json::array> batch_views(store::tables& t, const std::vector<store::batch>& batches);
[[nodiscard]] result<shown_batch> shown(store::tables& t, store::batch row);
/// `missing` when there is none.
[[nodiscard]] result<shown_batch> shown(store::tables& t, store::record_id id);
[[nodiscard]] result<store::batch> existing_batch(store::tables& t, store::record_id id);
[[nodiscard]] result<store::migration> existing_mailbox(store::tables& t, store::record_id id);

} // namespace postferry::api

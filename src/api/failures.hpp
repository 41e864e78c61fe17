#pragma once
// What the last pass over a mailbox has reported of its folders and failures.
#include "store/tables.hpp"

#include <boost/json.hpp>

namespace postferry::api {

/// {"pass": its id or null, "items": [...]}; `missing` when there is no such mailbox. Failures with who has waived
/// them.
[[nodiscard]] result<boost::json::object> failures_of(store::tables& t, store::record_id mailbox);
[[nodiscard]] result<boost::json::object> folders_of(store::tables& t, store::record_id mailbox);

} // namespace postferry::api

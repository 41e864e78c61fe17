#pragma once
#include "store/tables.hpp"

#include <string>

namespace postferry::jobs {

/// A mailbox in needs_credentials has what it lacked: it is queued (as its windows allow) when its batch is at work,
/// else ready. Errors: refusal::missing; not_allowed when it is in another state. In the caller's transaction.
[[nodiscard]] result<store::migration> credentials_given(store::tables& t, store::record_id id,
                                                         const std::string& actor);

} // namespace postferry::jobs

#pragma once
// Every change through the API leaves an event "audit.WHAT" with who, before and after, in the change's transaction.
#include "api/context.hpp"
#include "store/tables.hpp"

#include <string>
#include <string_view>

namespace postferry::api {

struct audit_entry {
    std::string what;                           ///< "user.create", "batch.update"
    boost::json::value before = {}, after = {}; ///< null: there was, is, nothing. Without secrets
    boost::json::object detail = {};            ///< {"user": 12}
    std::optional<store::record_id> project = {}, batch = {}, migration = {};
};

[[nodiscard]] result<void> audit(store::tables& t, const std::string& actor, const audit_entry& entry);

} // namespace postferry::api

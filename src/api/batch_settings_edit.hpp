#pragma once
// Settings of batches, as bodies of requests change them.
#include "api/problem.hpp"
#include "jobs/batch_settings.hpp"
#include "store/tables.hpp"

namespace postferry::api {

/// Settings that have a name of their own, for what does not exist yet: "batch" of "company" and of "project/ID".
inline constexpr std::string_view batch_setting = "batch";
[[nodiscard]] std::string setting_scope(std::optional<store::record_id> project); ///< "company", "project/7"

/// `patch` merged into `onto` (RFC 7396): what it does not name stays, null takes back. 422 names what is not valid.
[[nodiscard]] outcome<store::json_text> merged_settings(const store::json_text& onto, const boost::json::object& patch);
/// The company's, the project's over them, and `patch` over both.
[[nodiscard]] result<outcome<store::json_text>> settings_for_new(store::tables& t, store::record_id project,
                                                                 const boost::json::object& patch);
/// What the audit keeps of a batch.
[[nodiscard]] boost::json::object audited(const store::batch& b);

} // namespace postferry::api

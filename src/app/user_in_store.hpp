#pragma once
#include "app/config.hpp"
#include "base/error.hpp"

#include <boost/json.hpp>

namespace postferry::app {

/// Makes a user in the store that [store] names, where no service runs: for the first owner. Answers the user as the
/// API shows it. Errors as of the API (config: a name or password that is none, one of that name) and of the store (in
/// use).
/// @param body as POST /users takes it
[[nodiscard]] result<boost::json::object> add_user_to_store(const config_file& file, const boost::json::object& body);

} // namespace postferry::app

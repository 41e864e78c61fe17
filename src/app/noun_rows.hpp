#pragma once
// The rows of noun_table.hpp, by what they are about.
#include "app/noun_table.hpp"

namespace postferry::app {

[[nodiscard]] std::vector<noun_verb> directory_rows(); ///< project, domain, account, alias, reconcile
[[nodiscard]] std::vector<noun_verb> batch_rows();
[[nodiscard]] std::vector<noun_verb> mailbox_rows();
[[nodiscard]] std::vector<noun_verb> service_rows(); ///< server, workers, setting, log, event
[[nodiscard]] std::vector<noun_verb> people_rows();  ///< user, token

} // namespace postferry::app

#pragma once
#include "app/check_report.hpp"
#include "app/connect.hpp"
#include "app/options.hpp"

namespace postferry::app {

/// The pre-flight of one mailbox: both ends as far as login, what they can do, what will not fit. Changes nothing.
[[nodiscard]] task<mailbox_check> check_mailbox(mailbox::endpoint source, mailbox::endpoint target,
                                                const run_options& options, services with);

} // namespace postferry::app

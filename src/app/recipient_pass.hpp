#pragma once
#include "app/pass_assembly.hpp"
#include "message/recipients.hpp"

#include <stop_token>

namespace postferry::app {

/// Searches the source of a mailbox for other addresses of its owner, over a connection of its own, for ten minutes at
/// most. Ends at once when `stop` is asked for.
task<result<message::recipients_found>> search_recipients(std::shared_ptr<pass_assembly> made, executor strand,
                                                          message::recipient_wish wish, std::stop_token stop);

} // namespace postferry::app

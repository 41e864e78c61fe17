#pragma once
#include "mailbox/mailbox.hpp"

#include <functional>
#include <memory>

namespace postferry::app {

/// A target on this machine that is asked for nothing any more once `may_write` says no: neither a further message nor
/// a further piece of one, no folder, no flag. Class cancelled then. (A server's target is asked at its line, right
/// before the octets leave: net::connection::ask_before_sending.)
[[nodiscard]] std::unique_ptr<mailbox::target> leased(std::unique_ptr<mailbox::target> place,
                                                      std::function<bool()> may_write);

} // namespace postferry::app

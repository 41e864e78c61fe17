#pragma once
#include "base/error.hpp"
#include "mailbox/endpoint.hpp"
#include "net/awaitable.hpp"

namespace postferry::app {

/// Whether a mail server can be used as this end says: connects, with TLS where that comes first, and reads until it
/// has said something. Within ten seconds. Nothing is sent.
task<result<void>> ask_server(mailbox::endpoint where);

} // namespace postferry::app

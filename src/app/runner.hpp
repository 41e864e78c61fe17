#pragma once
// Many mailboxes, several at a time, on a few threads; signals; the clock of the display.
#include "app/accounts.hpp"
#include "app/console.hpp"
#include "app/options.hpp"
#include "app/tokens.hpp"
#include "store/ledger_books.hpp"

#include <boost/asio/io_context.hpp>

#include <vector>

namespace postferry::app {

/// Runs the command over all accounts and returns the exit code. The first SIGINT or SIGTERM stops in good order (what
/// is under way is answered and recorded), a second one at once; both leave the ledger safe. `io` must outlive `books`:
/// the ledger's thread lets go of the last answer's executor a moment after the answer was given.
[[nodiscard]] int run_accounts(boost::asio::io_context& io, const run_options& options,
                               const std::vector<account>& accounts, store::ledger_books* books, token_desk& tokens,
                               console& out);

} // namespace postferry::app

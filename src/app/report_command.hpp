#pragma once
// `postferry report`: what the ledger knows of passes that have ended, keys, and signatures.
#include "app/options.hpp"
#include "app/report_spool.hpp"

#include <filesystem>
#include <string>

namespace postferry::app {

/// Runs the command and returns the exit code (docs/cli.md#report).
[[nodiscard]] int report_command(const run_options& options);

/// After a verify, which reads the ledger only: hands it what was found, if there is a ledger and nobody else holds it.
[[nodiscard]] result<void> keep_proofs(const std::filesystem::path& state, const mailbox_walk& mailboxes,
                                       const std::string& ended);

} // namespace postferry::app

#pragma once
// A process of the service, from its start to its end: `postferry serve`, `postferry worker`.
#include "app/config.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace postferry::app {

struct service_call {
    bool serves = true; ///< the API too; else more hands for a service elsewhere
    std::shared_ptr<const config_file> file;
    std::optional<std::uint32_t> jobs = {}; ///< instead of [service] jobs
    std::string name = {};                  ///< of the worker, for people; empty: the host's
};

/// Runs until SIGTERM or SIGINT, then lets what is under way come to an orderly end: passes stop between two messages,
/// leases are given back. A second signal ends it at once; that, too, loses nothing. SIGHUP: the log file and the TLS
/// certificate are read anew. Answers the exit code; errors: it could not start.
[[nodiscard]] result<int> run_service(const service_call& call);

} // namespace postferry::app

#pragma once
// What a process of the service (`postferry serve`, `postferry worker`) stands on, and what is put on top of it.
#include "app/config.hpp"
#include "base/secret.hpp"
#include "http/message.hpp"
#include "jobs/commands.hpp"
#include "jobs/driver_book.hpp"
#include "jobs/provision.hpp"
#include "metrics/meters.hpp"
#include "net/awaitable.hpp"
#include "store/database.hpp"
#include "store/vault.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::app {

/// Made before everything else, and gone after it.
struct foundation {
    std::shared_ptr<const config_file> file; ///< what [service], [store] ... say
    executor ex;                             ///< of many threads: take a strand
    store::database& db;
    store::vault& vault; ///< attached: it seals and opens
    /// There may be work: the worker of this process looks at once, those of others within a second. From any thread.
    std::function<void()> woken = [] {};
    /// Something has shown that this process cannot do its part: it ends in good order, with that reason. From any
    /// thread.
    std::function<void(const error&)> unfit = [](const error&) {};
    metrics::meters* counts = nullptr;          ///< of this process
    jobs::driver_book* drivers = nullptr;       ///< of [provisioning.NAME]
    jobs::provisioner_desk* accounts = nullptr; ///< made over the drivers

    [[nodiscard]] const config& settings() const noexcept { return file->values; }
};

/// What runs beside the requests for as long as the process does: the writing of an import, a sampler of numbers.
struct background {
    std::string name;            ///< for the log
    std::function<task<>()> run; ///< on a strand of its own; what it throws ends it, and is logged
    std::function<void()> stop;  ///< from any thread: run() is to return soon
};

/// Everything above the foundation, in the order of its making (service_facades.cpp): a facade that a route needs is
/// made there and handed to api::parts.
class facades {
  public:
    /// @param serves the HTTP API too; a worker has none
    /// @param address where it listens ("127.0.0.1:8080"), for links when no public_url is configured; empty: nowhere
    facades(const foundation& on, bool serves, std::string_view address);
    ~facades();
    facades(const facades&) = delete;
    facades& operator=(const facades&) = delete;

    /// The http::handler: everything that is asked for by HTTP.
    task<http::reply> handle(http::exchange& x);
    /// What to run while the process lives. They stay valid as long as this.
    [[nodiscard]] std::vector<background> backgrounds();
    /// A page where the first owner is made. Nothing: there is an owner, or no address to name.
    task<std::optional<secret>> first_owner_link();

  private:
    struct parts;
    std::unique_ptr<parts> parts_;
};

} // namespace postferry::app

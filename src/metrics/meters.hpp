#pragma once
// What Prometheus is told (docs/metrics.md is the table). Numbers of this process are counted as things happen; those
// of the whole service are read from the store when somebody asks. Labels have few values, whatever happens: states,
// kinds, routes by their patterns, and at most a hundred servers.
#include "api/watch.hpp"
#include "base/error.hpp"
#include "store/database.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace postferry::metrics {

/// From any thread.
class meters final : public api::watch {
  public:
    /// Servers that have a line of their own; the rest stand together as "other".
    static constexpr std::size_t most_servers = 100;

    meters(store::database& db, std::string_view version);
    ~meters() override;
    meters(const meters&) = delete;
    meters& operator=(const meters&) = delete;

    void on_answer(const api::answered& what) noexcept override;
    void on_stream(std::string_view route, int change) noexcept override;
    /// With postferry_database_up 0, and without the numbers from the store, when that does not answer.
    task<std::string> exposition() override;

    /// @param kind name_of(transfer::pass_kind)
    void pass_began(std::string_view kind);
    /// @param outcome "done", "failed", "throttled" or "stopped"
    void pass_ended(std::string_view kind, std::string_view outcome, std::chrono::milliseconds took);
    void pass_failed(retry_class why);
    void copied_octets(std::uint64_t more);
    void settled_messages(std::uint64_t copied, std::uint64_t failed);
    /// A server, or the "budget", wanted a pause.
    void throttled(std::string_view by);

  private:
    struct parts;
    std::unique_ptr<parts> parts_;
};

} // namespace postferry::metrics

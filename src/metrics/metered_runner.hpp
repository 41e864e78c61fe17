#pragma once
#include "jobs/pass_runner.hpp"
#include "metrics/meters.hpp"

namespace postferry::metrics {

/// Counts the passes that another one makes.
class metered_runner final : public jobs::pass_runner {
  public:
    /// Both outlive it.
    metered_runner(jobs::pass_runner& makes, meters& counts) noexcept : makes_(makes), counts_(counts) {}

    task<jobs::pass_end> run(jobs::work what, jobs::pass_hooks hooks, std::stop_token stop) override;

  private:
    jobs::pass_runner& makes_;
    meters& counts_;
};

} // namespace postferry::metrics

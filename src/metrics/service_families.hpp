#pragma once
// The service as its store shows it, as numbers.
#include "store/overview.hpp"

#include <prometheus/metric_family.h>
#include <vector>

namespace postferry::metrics {

/// @param most_servers that have lines of their own: those with most connections; the rest are added up as "other"
[[nodiscard]] std::vector<prometheus::MetricFamily> service_families(const store::overview& o,
                                                                     std::size_t most_servers);

} // namespace postferry::metrics

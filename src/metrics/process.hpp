#pragma once
// This process as the kernel sees it, by the names that every Prometheus client uses.
#include <prometheus/metric_family.h>
#include <vector>

namespace postferry::metrics {

/// process_cpu_seconds_total, process_resident_memory_bytes ...; what cannot be read is left out.
[[nodiscard]] std::vector<prometheus::MetricFamily> process_families();

} // namespace postferry::metrics

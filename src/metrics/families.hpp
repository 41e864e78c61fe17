#pragma once
// Families of numbers that are read when somebody asks, as values.
#include <initializer_list>
#include <prometheus/metric_family.h>
#include <string>
#include <string_view>
#include <utility>

namespace postferry::metrics {

using labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

[[nodiscard]] prometheus::MetricFamily gauges(std::string_view name, std::string_view help); ///< none yet
void add(prometheus::MetricFamily& to, labels with, double value);
[[nodiscard]] prometheus::MetricFamily gauge(std::string_view name, std::string_view help, double value);
[[nodiscard]] prometheus::MetricFamily counter(std::string_view name, std::string_view help, double value);

} // namespace postferry::metrics

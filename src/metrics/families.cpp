#include "metrics/families.hpp"

namespace postferry::metrics {

prometheus::MetricFamily gauges(std::string_view name, std::string_view help) {
    prometheus::MetricFamily family;
    family.name = name;
    family.help = help;
    family.type = prometheus::MetricType::Gauge;
    return family;
}

void add(prometheus::MetricFamily& to, labels with, double value) {
    prometheus::ClientMetric one;
    for (const auto& [name, text] : with) {
        prometheus::ClientMetric::Label label;
        label.name = name;
        label.value = text;
        one.label.push_back(std::move(label));
    }
    (to.type == prometheus::MetricType::Counter ? one.counter.value : one.gauge.value) = value;
    to.metric.push_back(std::move(one));
}

prometheus::MetricFamily gauge(std::string_view name, std::string_view help, double value) {
    auto family = gauges(name, help);
    add(family, {}, value);
    return family;
}

prometheus::MetricFamily counter(std::string_view name, std::string_view help, double value) {
    auto family = gauges(name, help);
    family.type = prometheus::MetricType::Counter;
    add(family, {}, value);
    return family;
}

} // namespace postferry::metrics

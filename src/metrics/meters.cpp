#include "metrics/meters.hpp"

#include "metrics/families.hpp"
#include "metrics/process.hpp"
#include "metrics/service_families.hpp"

#include <fmt/format.h>

#include <iterator>
#include <mutex>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <set>

namespace postferry::metrics {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;

namespace {

/// Seconds, each up to the next.
const Histogram::BucketBoundaries answer_buckets{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30};
const Histogram::BucketBoundaries pass_buckets{1, 5, 15, 60, 300, 900, 3'600, 4 * 3'600, 12 * 3'600, 24 * 3'600};

Family<Counter>& counters(prometheus::Registry& in, const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(in);
}
Family<Gauge>& levels(prometheus::Registry& in, const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(in);
}
Family<Histogram>& histograms(prometheus::Registry& in, const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(in);
}

std::string text(std::string_view t) { return std::string(t); }

} // namespace

struct meters::parts {
    explicit parts(store::database& from) : db(from) {}

    store::database& db;
    prometheus::Registry all;
    Family<Counter>& requests =
        counters(all, "postferry_http_requests_total", "Requests answered, by route (its pattern) and status.");
    Family<Histogram>& answers =
        histograms(all, "postferry_http_request_duration_seconds",
                   "From the head of a request to its answer being made; what is sent as a stream comes after that.");
    Family<Gauge>& streams =
        levels(all, "postferry_http_streams", "Streams that are open (of events, of logs), by route.");
    Family<Counter>& began = counters(all, "postferry_passes_started_total", "Passes begun by this process.");
    Family<Counter>& ended = counters(all, "postferry_passes_ended_total", "Passes ended, by what came of them.");
    Family<Histogram>& durations = histograms(all, "postferry_pass_duration_seconds", "How long passes took.");
    Gauge& at_work = levels(all, "postferry_passes_running", "Passes that this process is making.").Add({});
    Family<Counter>& failures =
        counters(all, "postferry_pass_failures_total", "Passes that failed, by the class of the failure.");
    Counter& copied_messages =
        counters(all, "postferry_copied_messages_total", "Messages copied; counted when their pass ends.").Add({});
    Counter& failed_messages = counters(all, "postferry_failed_messages_total",
                                        "Messages that could not be copied; counted when their pass ends.")
                                   .Add({});
    Counter& copied_octets =
        counters(all, "postferry_copied_bytes_total", "Octets of messages copied, as they move.").Add({});
    Family<Counter>& throttles =
        counters(all, "postferry_throttles_total", "Pauses that a server (or a budget of ours) asked for, by who did.");

    std::mutex servers_mutex;
    std::set<std::string, std::less<>> servers; ///< with a line of their own in `throttles`
};

meters::meters(store::database& db, std::string_view version) : parts_(std::make_unique<parts>(db)) {
    levels(parts_->all, "postferry_build_info", "1, with the program's version.")
        .Add({{"version", text(version)}})
        .Set(1);
}
meters::~meters() = default;

void meters::on_answer(const api::answered& what) noexcept {
    const std::string method(http::name_of(what.verb)), route(what.route);
    parts_->requests.Add({{"method", method}, {"route", route}, {"status", std::to_string(what.status)}}).Increment();
    parts_->answers.Add({{"method", method}, {"route", route}}, answer_buckets)
        .Observe(std::chrono::duration<double>(what.took).count());
}

void meters::on_stream(std::string_view route, int change) noexcept {
    parts_->streams.Add({{"route", text(route)}}).Increment(change);
}

void meters::pass_began(std::string_view kind) {
    parts_->began.Add({{"kind", text(kind)}}).Increment();
    parts_->at_work.Increment();
}

void meters::pass_ended(std::string_view kind, std::string_view outcome, std::chrono::milliseconds took) {
    parts_->ended.Add({{"kind", text(kind)}, {"outcome", text(outcome)}}).Increment();
    parts_->durations.Add({{"kind", text(kind)}}, pass_buckets).Observe(std::chrono::duration<double>(took).count());
    parts_->at_work.Decrement();
}

void meters::pass_failed(retry_class why) { parts_->failures.Add({{"class", text(name_of(why))}}).Increment(); }
void meters::copied_octets(std::uint64_t more) { parts_->copied_octets.Increment(static_cast<double>(more)); }

void meters::settled_messages(std::uint64_t copied, std::uint64_t failed) {
    parts_->copied_messages.Increment(static_cast<double>(copied));
    parts_->failed_messages.Increment(static_cast<double>(failed));
}

void meters::throttled(std::string_view by) {
    const std::lock_guard lock(parts_->servers_mutex);
    const bool own =
        parts_->servers.contains(by) || (parts_->servers.size() < most_servers && parts_->servers.emplace(by).second);
    parts_->throttles.Add({{"server", own ? text(by) : "other"}}).Increment();
}

task<std::string> meters::exposition() {
    auto seen = co_await parts_->db.read([](store::tables& t) { return store::read_overview(t); });
    auto all = parts_->all.Collect();
    const auto append = [&all](std::vector<prometheus::MetricFamily> more) {
        all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    };
    append({gauge("postferry_database_up", "1: the database answers.", seen ? 1 : 0)});
    if (seen) append(service_families(*seen, most_servers));
    append(process_families());
    // A family without a line yet says nothing.
    std::erase_if(all, [](const prometheus::MetricFamily& f) { return f.metric.empty(); });
    std::ranges::sort(all, {}, &prometheus::MetricFamily::name);
    co_return prometheus::TextSerializer().Serialize(all);
}

} // namespace postferry::metrics

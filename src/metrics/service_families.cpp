#include "metrics/service_families.hpp"

#include "metrics/families.hpp"

#include <algorithm>
#include <array>

namespace postferry::metrics {

using prometheus::MetricFamily;

namespace {

double number(std::uint64_t n) { return static_cast<double>(n); }

/// Every state has its line, also at 0: a line that comes and goes cannot be watched.
template <class E, class Rows, class Value>
MetricFamily by_state(std::string_view name, std::string_view help, const Rows& rows, Value value) {
    auto family = gauges(name, help);
    for (std::size_t i = 0; i < store::count_of<E>; ++i) {
        const auto state = static_cast<E>(i);
        double sum = 0;
        for (const auto& row : rows) sum += value(row, state);
        add(family, {{"state", store::name_of(state)}}, sum);
    }
    return family;
}

void add_messages(std::vector<MetricFamily>& to, const store::overview& o) {
    store::message_counts all;
    for (const auto& line : o.mailboxes) {
        all.messages_source += line.counts.messages_source;
        all.messages_copied += line.counts.messages_copied;
        all.messages_present += line.counts.messages_present;
        all.messages_skipped += line.counts.messages_skipped;
        all.messages_failed += line.counts.messages_failed;
        all.octets_source += line.counts.octets_source;
        all.octets_copied += line.counts.octets_copied;
    }
    auto messages = gauges("postferry_mailbox_messages",
                           "Messages in the mailboxes of all batches that are not archived, by what became of them; "
                           "source: all that are there.");
    for (const auto& [what, n] : {std::pair{"source", all.messages_source}, std::pair{"copied", all.messages_copied},
                                  std::pair{"present", all.messages_present},
                                  std::pair{"skipped", all.messages_skipped}, std::pair{"failed", all.messages_failed}})
        add(messages, {{"result", what}}, number(n));
    to.push_back(std::move(messages));
    auto octets = gauges("postferry_mailbox_bytes", "The same in octets.");
    for (const auto& [what, n] : {std::pair{"source", all.octets_source}, std::pair{"copied", all.octets_copied}})
        add(octets, {{"result", what}}, number(n));
    to.push_back(std::move(octets));
}

void add_failed(std::vector<MetricFamily>& to, const store::overview& o) {
    auto failed = gauges("postferry_failed_mailboxes", "Mailboxes in state failed, by the class of their failure.");
    constexpr std::array classes{retry_class::transient, retry_class::throttled, retry_class::auth, retry_class::config,
                                 retry_class::permanent, retry_class::protocol,  retry_class::local};
    for (const auto cls : classes) {
        const auto at = o.failed.find(std::string(name_of(cls)));
        add(failed, {{"class", name_of(cls)}}, at == o.failed.end() ? 0 : number(at->second));
    }
    to.push_back(std::move(failed));
}

void add_servers(std::vector<MetricFamily>& to, const store::overview& o, std::size_t most) {
    auto servers = o.servers;
    std::ranges::sort(servers, [](const store::server_use& a, const store::server_use& b) {
        return a.connections != b.connections ? a.connections > b.connections : a.limits.key < b.limits.key;
    });
    auto connections =
        gauges("postferry_server_connections", "Connections that the mailboxes at work hold to a server.");
    auto mailboxes = gauges("postferry_server_mailboxes", "Mailboxes at work at a server.");
    auto limit =
        gauges("postferry_server_connections_limit", "Connections that a server may have; only where one is set.");
    auto paused = gauges("postferry_server_paused", "1: the server has asked for a pause, and gets it.");
    double other_connections = 0, other_mailboxes = 0, other_paused = 0;
    for (std::size_t i = 0; i < servers.size(); ++i) {
        const auto& s = servers[i];
        const bool rests = s.limits.paused_until.value_or(0) > o.now;
        if (i >= most) {
            other_connections += s.connections;
            other_mailboxes += s.mailboxes;
            other_paused += rests ? 1 : 0;
            continue;
        }
        add(connections, {{"server", s.limits.key}}, s.connections);
        add(mailboxes, {{"server", s.limits.key}}, s.mailboxes);
        add(paused, {{"server", s.limits.key}}, rests ? 1 : 0);
        if (s.limits.connections_max) add(limit, {{"server", s.limits.key}}, *s.limits.connections_max);
    }
    if (servers.size() > most) {
        add(connections, {{"server", "other"}}, other_connections);
        add(mailboxes, {{"server", "other"}}, other_mailboxes);
        add(paused, {{"server", "other"}}, other_paused);
    }
    for (auto* family : {&connections, &mailboxes, &limit, &paused}) to.push_back(std::move(*family));
}

} // namespace

std::vector<MetricFamily> service_families(const store::overview& o, std::size_t most_servers) {
    std::vector<MetricFamily> all;
    all.push_back(by_state<store::mailbox_state>(
        "postferry_mailboxes", "Mailboxes of all batches that are not archived, by state.", o.mailboxes,
        [](const store::batch_tally& t, store::mailbox_state s) { return t.state == s ? number(t.mailboxes) : 0; }));
    all.push_back(by_state<store::batch_state>(
        "postferry_batches", "Batches, by state.", o.batches,
        [](const auto& line, store::batch_state s) { return line.first == s ? number(line.second) : 0; }));
    add_messages(all, o);
    add_failed(all, o);
    all.push_back(gauge("postferry_queue_mailboxes",
                        "Mailboxes that a worker may take now (at most 100,000 are counted).", number(o.due)));
    all.push_back(gauge("postferry_queue_wait_seconds", "How long the first of them has been due.",
                        static_cast<double>(o.longest_due) / 1'000));
    all.push_back(gauge("postferry_leases", "Mailboxes that a worker holds.", number(o.leases)));
    all.push_back(by_state<store::worker_state>(
        "postferry_workers", "Processes that move mail, by state.", o.workers,
        [](const store::worker& w, store::worker_state s) { return w.state == s ? 1.0 : 0.0; }));
    double places = 0;
    for (const auto& w : o.workers) places += w.state == store::worker_state::running ? w.jobs : 0;
    all.push_back(gauge("postferry_worker_places", "Mailboxes that the running workers can be at at a time.", places));
    add_servers(all, o, most_servers);
    return all;
}

} // namespace postferry::metrics

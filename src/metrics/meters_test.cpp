// The numbers, over both databases: their names, their sums, and how many lines they can become.
#include "metrics/metered_runner.hpp"
#include "metrics/meters.hpp"
#include "store/tables.hpp"
#include "support/run_to_end.hpp"
#include "support/test_store.hpp"

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <regex>

namespace postferry::metrics {
namespace {

namespace asio = boost::asio;
using store::mailbox_state;
using store::tables;
using testing::HasSubstr;
using testing::Not;

/// Copies what it is told to.
class fake_runner final : public jobs::pass_runner {
  public:
    task<jobs::pass_end> run(jobs::work, jobs::pass_hooks hooks, std::stop_token) override {
        for (const auto& step : steps) hooks.on_progress(step);
        if (throttles) hooks.on_throttled("old.example.org:993", 5, "slow down");
        co_return end;
    }
    std::vector<store::message_counts> steps;
    bool throttles = false;
    jobs::pass_end end;
};

/// name -> type; name{labels} -> value.
struct exposed {
    std::map<std::string, std::string> types, helps;
    std::map<std::string, double> values;
};

exposed parse(const std::string& text) {
    exposed out;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string hash, what, name, rest;
        if (line.starts_with("# ")) {
            words >> hash >> what >> name;
            std::getline(words >> std::ws, rest);
            auto& into = what == "TYPE" ? out.types : out.helps;
            EXPECT_TRUE(into.emplace(name, rest).second) << name << " is there twice";
            continue;
        }
        const std::size_t space = line.rfind(' ');
        EXPECT_TRUE(out.values.emplace(line.substr(0, space), std::stod(line.substr(space + 1))).second) << line;
    }
    return out;
}

class meters_of : public testing::TestWithParam<sql::dialect> {
  protected:
    meters_of() {
        store::database_options options;
        options.clock = [this] { return now_; };
        db_ = store::database::open(place_.url(), options).value();
        meters_ = std::make_unique<meters>(*db_, "1.2.3");
    }
    template <class T> T wait_for(task<T> work) { return support::run_to_end(io_, std::move(work)); }
    template <class F> auto must(F f) {
        auto out = wait_for(db_->synced(std::move(f)));
        EXPECT_TRUE(out) << out.error().message();
        return std::move(out).value();
    }
    exposed look() { return parse(wait_for(meters_->exposition())); }
    double value(const std::string& name) {
        const auto all = look();
        const auto at = all.values.find(name);
        return at == all.values.end() ? -1 : at->second;
    }
    store::record_id batch(const std::string& name) {
        return must([name](tables& t) {
                   return t.batches.add({.name = name, .state = store::batch_state::syncing, .created_by = "t"});
               })
            .id;
    }
    std::vector<store::record_id> add(store::record_id batch, int count, mailbox_state state,
                                      std::optional<store::unix_ms> due = {}) {
        std::vector<store::migration> all;
        for (int i = 1; i <= count; ++i) {
            all.push_back(store::test_store::mailbox(batch, i, state));
            all.back().due = due;
            all.back().reason_class = state == mailbox_state::failed ? "config" : "";
        }
        return must([all](tables& t) { return t.migrations.add(all); });
    }

    store::unix_ms now_ = 1'000'000;
    asio::io_context io_;
    support::test_database place_{GetParam()};
    std::unique_ptr<store::database> db_;
    std::unique_ptr<meters> meters_;
};

/// Everything that can be said has been said once.
void say_everything(meters& m) {
    m.on_answer({.route = "/api/v1/batches", .status = 200, .took = std::chrono::milliseconds(7)});
    m.on_stream("/api/v1/events/stream", 1);
    m.pass_began("bulk");
    m.pass_ended("bulk", "done", std::chrono::seconds(3));
    m.pass_failed(retry_class::auth);
    m.throttled("imap.example.org:993");
    m.settled_messages(2, 1);
    m.copied_octets(10);
}

// The rules of `promtool check metrics`, and of Prometheus' page on names.
TEST_P(meters_of, have_names_as_prometheus_wants_them) {
    say_everything(*meters_);
    add(batch("a"), 1, mailbox_state::queued, 1);
    must([](tables& t) { return t.leases.put(store::server{.key = "imap.example.org:993", .connections_max = 4}); });
    const auto all = look();
    const std::regex plain("[a-z][a-z0-9_]*"), unit_short("_(ms|msec|sec|secs|min|kb|mb|octets)(_total)?$");
    for (const auto& [name, type] : all.types) {
        EXPECT_TRUE(std::regex_match(name, plain)) << name;
        EXPECT_FALSE(std::regex_search(name, unit_short)) << name << ": base units are seconds and bytes";
        EXPECT_EQ(name.ends_with("_total"), type == "counter") << name;
        EXPECT_TRUE(name.starts_with("postferry_") || name.starts_with("process_")) << name;
        EXPECT_FALSE(name.contains("gauge") || name.contains("counter") || name.contains("histogram")) << name;
        EXPECT_TRUE(all.helps.contains(name) && all.helps.at(name).ends_with(".")) << name;
        EXPECT_TRUE(type == "counter" || type == "gauge" || type == "histogram") << name << type;
        for (const auto* end : {"_count", "_sum", "_bucket"}) EXPECT_FALSE(name.ends_with(end)) << name;
    }
    const std::regex labels(R"(\{(([a-z][a-z_]*)="([^"\\\n]|\\.)*",?)+\})");
    for (const auto& [line, number] : all.values) {
        const std::size_t brace = line.find('{');
        if (brace != std::string::npos) EXPECT_TRUE(std::regex_match(line.substr(brace), labels)) << line;
    }
}

// docs/metrics.md is a promise to whoever has alerts on these names.
TEST_P(meters_of, stand_in_the_documentation_and_nothing_else_does) {
    say_everything(*meters_);
    must([](tables& t) { return t.leases.put(store::server{.key = "imap.example.org:993", .connections_max = 4}); });
    std::ifstream file(std::string(std::getenv("POSTFERRY_SOURCE_DIR")) + "/docs/metrics.md");
    const std::string page((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    std::map<std::string, std::string> promised;
    const std::regex row(R"(\n\| `((?:postferry|process)_[a-z_]+)[^|]*\| (counter|gauge|histogram) \|)");
    for (std::sregex_iterator at(page.begin(), page.end(), row), end; at != end; ++at) promised[(*at)[1]] = (*at)[2];
    EXPECT_EQ(look().types, promised);
}

TEST_P(meters_of, add_up_what_passes_have_copied) {
    fake_runner inner;
    metered_runner runner(inner, *meters_);
    // An earlier pass has copied five messages; this one goes on from there, and its progress counts too much.
    jobs::work what;
    what.kind = transfer::pass_kind::delta;
    what.mailbox.counts = {.messages_copied = 5, .messages_failed = 1, .octets_copied = 500};
    inner.steps = {{.messages_copied = 7, .octets_copied = 600}, {.messages_copied = 12, .octets_copied = 800}};
    inner.throttles = true;
    inner.end = {.counts = {.messages_copied = 9, .messages_failed = 3, .octets_copied = 900}};
    wait_for(runner.run(what, {}, {}));
    EXPECT_EQ(value("postferry_copied_messages_total"), 4);
    EXPECT_EQ(value("postferry_copied_bytes_total"), 400);
    EXPECT_EQ(value("postferry_failed_messages_total"), 2);
    EXPECT_EQ(value(R"(postferry_passes_started_total{kind="delta"})"), 1);
    EXPECT_EQ(value(R"(postferry_passes_ended_total{kind="delta",outcome="done"})"), 1);
    EXPECT_EQ(value(R"(postferry_pass_duration_seconds_count{kind="delta"})"), 1);
    EXPECT_EQ(value("postferry_passes_running"), 0);
    EXPECT_EQ(value(R"(postferry_throttles_total{server="old.example.org:993"})"), 1);

    inner.steps.clear();
    inner.throttles = false;
    inner.end = {.what = jobs::pass_end::how::failed,
                 .counts = what.mailbox.counts,
                 .why = fail(retry_class::auth, phase::login, "no").error()};
    wait_for(runner.run(what, {}, {}));
    EXPECT_EQ(value(R"(postferry_pass_failures_total{class="auth"})"), 1);
    EXPECT_EQ(value("postferry_copied_bytes_total"), 400) << "what an earlier pass has copied is not counted again";
}

TEST_P(meters_of, show_the_service_as_the_store_does) {
    const auto first = batch("a"), second = batch("b");
    add(first, 3, mailbox_state::queued, now_ - 90'000);
    const auto some = add(second, 2, mailbox_state::queued, now_ + 1);
    add(batch("c"), 4, mailbox_state::failed);
    must([&](tables& t) {
        return t.migrations.set_counts(some[0], {.messages_source = 10, .messages_copied = 8, .octets_copied = 80});
    });
    must([&](tables& t) {
        return t.migrations.set_counts(some[1], {.messages_source = 5, .messages_copied = 1, .octets_copied = 10});
    });
    EXPECT_EQ(value(R"(postferry_mailboxes{state="queued"})"), 5);
    EXPECT_EQ(value(R"(postferry_mailboxes{state="copying"})"), 0) << "a line that comes and goes cannot be watched";
    EXPECT_EQ(value(R"(postferry_batches{state="syncing"})"), 3);
    EXPECT_EQ(value(R"(postferry_failed_mailboxes{class="config"})"), 4);
    EXPECT_EQ(value(R"(postferry_mailbox_messages{result="source"})"), 15);
    EXPECT_EQ(value(R"(postferry_mailbox_messages{result="copied"})"), 9);
    EXPECT_EQ(value(R"(postferry_mailbox_bytes{result="copied"})"), 90);
    EXPECT_EQ(value("postferry_queue_mailboxes"), 3);
    EXPECT_EQ(value("postferry_queue_wait_seconds"), 90);
    EXPECT_EQ(value("postferry_database_up"), 1);

    must([this](tables& t) {
        return t.leases.put(store::worker{.id = "w", .name = "w", .jobs = 8, .started = now_, .seen = now_});
    });
    const auto taken =
        wait_for(db_->alone([this](tables& t) { return t.leases.take({.worker = "w", .want = 2, .now = now_}); }));
    ASSERT_TRUE(taken) << taken.error().message();
    EXPECT_EQ(value("postferry_leases"), 2);
    EXPECT_EQ(value("postferry_queue_mailboxes"), 1) << "what a worker holds does not wait any more";
    EXPECT_EQ(value(R"(postferry_workers{state="running"})"), 1);
    EXPECT_EQ(value("postferry_worker_places"), 8);
    EXPECT_EQ(value(R"(postferry_server_connections{server="old.example.org:993"})"), 2);
}

TEST_P(meters_of, stay_few_however_many_servers_there_are) {
    for (int i = 0; i < 150; ++i) {
        meters_->throttled(fmt::format("s{}:993", i));
        must([i](tables& t) {
            return t.leases.put(store::server{.key = fmt::format("s{:03}:993", i), .connections_max = 1});
        });
    }
    must([this](tables& t) { return t.leases.pause_server("s149:993", now_ + 1'000, "slow down"); });
    EXPECT_EQ(value(R"(postferry_throttles_total{server="other"})"), 50);
    EXPECT_EQ(value(R"(postferry_server_paused{server="other"})"), 1);
    std::size_t lines = 0;
    for (const auto& [line, n] : look().values) lines += line.starts_with("postferry_server_connections{") ? 1U : 0U;
    EXPECT_EQ(lines, meters::most_servers + 1);
}

TEST_P(meters_of, escape_what_others_have_named) {
    meters_->throttled("evil\"} 1\npostferry_fake 7");
    const std::string text = wait_for(meters_->exposition());
    EXPECT_THAT(text, Not(HasSubstr("\npostferry_fake")));
    EXPECT_THAT(text, HasSubstr(R"(server="evil\"} 1\npostferry_fake 7")"));
}

TEST_P(meters_of, know_this_process) {
    const auto all = look().values;
    EXPECT_GT(all.at("process_resident_memory_bytes"), 1e6);
    EXPECT_GT(all.at("process_start_time_seconds"), 1.7e9);
    EXPECT_GT(all.at("process_open_fds"), 2);
    EXPECT_GE(all.at("process_threads"), 1);
    EXPECT_EQ(all.at(R"(postferry_build_info{version="1.2.3"})"), 1);
}

INSTANTIATE_TEST_SUITE_P(on, meters_of, testing::Values(sql::dialect::sqlite, sql::dialect::postgresql),
                         [](const auto& at) { return at.param == sql::dialect::sqlite ? "sqlite" : "postgresql"; });

} // namespace
} // namespace postferry::metrics

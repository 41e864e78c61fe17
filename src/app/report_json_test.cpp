#include "app/events.hpp"
#include "app/report_files.hpp"
#include "app/sample_reports.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <sys/resource.h>
#include <unistd.h>

namespace postferry::app {
namespace {

namespace json = boost::json;
using testing::HasSubstr;

constexpr wall_time noon{std::chrono::seconds(1'709'208'000)};

/// A folder of its own that goes with the test.
struct scratch : testing::Test {
    std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("postferry-report-" + std::to_string(::getpid()));
    scratch() { std::filesystem::create_directories(folder); }
    ~scratch() override { std::filesystem::remove_all(folder); }
    static std::string read(const std::filesystem::path& file) {
        std::ostringstream text;
        text << std::ifstream(file).rdbuf();
        return text.str();
    }
    std::size_t files() const {
        return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
    }
};

class report_json : public scratch {
  protected:
    const report_frame frame{.started = rfc3339(noon), .ended = rfc3339(noon + std::chrono::seconds(61))};
    static mailbox_walk walk(std::vector<transfer::mailbox_report> reports) {
        return [all = std::move(reports)](const std::function<result<void>(std::string_view)>& take) -> result<void> {
            for (const auto& r : all)
                if (auto ok = take(json::serialize(json_of(r))); !ok) return ok;
            return {};
        };
    }
    result<report_files> open(const std::filesystem::path& place) { return report_files::open({place}, {}); }
};

TEST_F(report_json, is_as_documented) {
    auto files = open(folder / "r.json");
    ASSERT_TRUE(files);
    ASSERT_TRUE(files->write(frame, walk({samples::synced(), samples::with_failures()})));
    const json::value doc = json::parse(read(folder / "r.json"));
    EXPECT_EQ(doc.at("version"), 1);
    EXPECT_EQ(doc.at("started"), "2024-02-29T12:00:00Z");
    EXPECT_EQ(doc.at("ended"), "2024-02-29T12:01:01Z");
    const json::value& first = doc.at("mailboxes").at(0);
    EXPECT_EQ(first.at("state"), "synced");
    EXPECT_EQ(first.at("pass"), "bulk");
    EXPECT_EQ(first.at("messages"),
              json::parse(R"({"source":5000,"copied":4820,"present":180,"skipped":0,"failed":0,"residual":0})"));
    EXPECT_EQ(first.at("bytes"),
              json::parse(R"({"source":145000000,"copied":140000000,"present":5000000,"skipped":0,"failed":0})"));
    EXPECT_EQ(first.at("folders").at(0).at("source"), "INBOX/Été");
    EXPECT_FALSE(first.as_object().contains("verify"));
    const json::value& failure = doc.at("mailboxes").at(1).at("failures").at(0);
    EXPECT_EQ(failure.at("folder"), "Archive/2019\\xff"); // JSON is UTF-8; this name is not
    EXPECT_EQ(failure.at("class"), "permanent");
    EXPECT_THAT(std::string(failure.at("advice").get_string()), HasSubstr("Raise the target's limit"));
    EXPECT_EQ(failure.at("waived"), false);
    EXPECT_EQ(doc.at("totals").at("mailboxes"), 2);
    EXPECT_EQ(doc.at("totals").at("messages").at("source"), 10000);
    EXPECT_EQ(doc.at("totals").at("messages").at("residual"), 0);
}

TEST_F(report_json, residual_may_be_negative) {
    auto r = samples::synced();
    r.messages.source = 1;
    EXPECT_EQ(json_of(r).at("messages").at("residual").as_int64(), -4999);
}

TEST_F(report_json, a_report_that_is_not_finished_leaves_the_old_one) {
    std::ofstream(folder / "r.json") << "old";
    {
        ASSERT_TRUE(open(folder / "r.json"));
    }
    EXPECT_EQ(read(folder / "r.json"), "old");
    EXPECT_EQ(files(), 1U);
    ASSERT_TRUE(open(folder / "r.json")->write(frame, walk({})));
    EXPECT_THAT(read(folder / "r.json"), HasSubstr("\"mailboxes\":[],"));
    EXPECT_EQ(files(), 1U);
}

TEST_F(report_json, what_a_killed_run_left_is_taken_over_and_what_a_living_one_writes_is_not) {
    std::ofstream(folder / ".r.json.part") << std::string(100'000, 'x');
    auto first = open(folder / "r.json");
    ASSERT_TRUE(first);
    const auto second = open(folder / "r.json");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().cls, retry_class::local);
    EXPECT_THAT(second.error().message(), HasSubstr("another run is writing it"));
    ASSERT_TRUE(first->write(frame, walk({})));
    EXPECT_EQ(json::parse(read(folder / "r.json")).at("totals").at("mailboxes"), 0);
}

TEST_F(report_json, a_place_that_cannot_be_written_is_found_out_before_the_run) {
    for (const auto& place : {folder / "missing" / "r.json", folder, std::filesystem::path("/proc/r.json")}) {
        const auto opened = open(place);
        ASSERT_FALSE(opened) << place;
        EXPECT_EQ(opened.error().cls, retry_class::local);
        EXPECT_THAT(opened.error().message(), HasSubstr("cannot write " + place.string()));
    }
}

TEST_F(report_json, a_full_disk_is_local_trouble) {
    // A limit on file sizes stands in for the full disk.
    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    auto* handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{.rlim_cur = 4096, .rlim_max = before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
    const auto done = open(folder / "r.json")
                          ->write(frame, walk(std::vector<transfer::mailbox_report>(10, samples::with_failures())));
    auto spool = report_spool::open(folder);
    ASSERT_TRUE(spool);
    const auto kept = spool->add(1, std::string(10'000, 'x'));
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().cls, retry_class::local);
    EXPECT_THAT(done.error().message(), HasSubstr("r.json: File too large"));
    EXPECT_FALSE(std::filesystem::exists(folder / "r.json"));
    ASSERT_FALSE(kept);
    EXPECT_EQ(kept.error().cls, retry_class::local);
}

TEST_F(report_json, mailboxes_stand_in_the_order_of_the_accounts_not_of_their_ends) {
    auto spool = report_spool::open(folder);
    ASSERT_TRUE(spool);
    EXPECT_EQ(files(), 0U) << "it has no name";
    for (const auto& [number, text] :
         {std::pair(3, "three"), std::pair(1, "one"), std::pair(2, "two"), std::pair(1, "1")})
        ASSERT_TRUE(spool->add(static_cast<std::uint64_t>(number), text));
    for (int again = 0; again < 2; ++again) {
        std::string seen;
        ASSERT_TRUE(spool->walk()([&](std::string_view text) -> result<void> {
            seen += std::string(text) + " ";
            return {};
        }));
        EXPECT_EQ(seen, "1 two three ");
    }
    const auto stopped =
        spool->walk()([](std::string_view) -> result<void> { return fail(retry_class::local, phase::usage, "full"); });
    EXPECT_FALSE(stopped);
}

TEST_F(report_json, what_is_kept_may_be_damaged) {
    const mailbox_walk walk = [](const auto& take) { return take("{\"messages\":"); };
    EXPECT_FALSE(open(folder / "r.json")->write(frame, walk));
    EXPECT_EQ(balance_of(json::parse(R"({"source":-1,"copied":"x","present":2.5,"failed":7})").get_object()).failed,
              7U);
}

TEST_F(report_json, signatures_lie_beside_each_file) {
    const auto key = signing_key::make();
    std::ofstream(folder / "key") << key->private_pem();
    auto files = report_files::open({folder / "r.json", folder / "r.csv", folder / "r.html"}, folder / "key");
    ASSERT_TRUE(files) << files.error().message();
    ASSERT_TRUE(files->write(frame, walk({samples::synced()})));
    for (const char* name : {"r.json", "r.csv", "r.html"}) {
        const std::string text = read(folder / name);
        const std::string signature = read(folder / (std::string(name) + ".sig"));
        EXPECT_EQ(is_signed(text, signature, key->public_pem()), true) << name;
        EXPECT_EQ(is_signed(text + "\n", signature, key->public_pem()), false) << name;
    }
    const auto refused = report_files::open({folder / "r.json"}, folder / "r.json");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().cls, retry_class::config);
    EXPECT_THAT(refused.error().message(), HasSubstr("r.json: It holds no private key"));
}

struct lines {
    std::vector<json::value> all;
    event_stream stream{[this](std::string_view line) {
        EXPECT_TRUE(line.ends_with("}\n"));
        all.push_back(json::parse(line));
    }};
};

TEST(events, progress_comes_once_a_second_and_at_every_change_of_state) {
    lines l;
    transfer::progress p{.state = transfer::mailbox_state::scanning, .folder = {}, .note = {}, .throttled_by = {}};
    l.stream.progress(noon, 1, "a", p);
    l.stream.progress(noon + std::chrono::milliseconds(900), 1, "a", p);
    EXPECT_EQ(l.all.size(), 1U);
    p.state = transfer::mailbox_state::copying;
    l.stream.progress(noon + std::chrono::milliseconds(950), 1, "a", p);
    l.stream.progress(noon + std::chrono::milliseconds(950), 2, "b", p);
    EXPECT_EQ(l.all.size(), 3U);
    p.octets_done = 3000;
    l.stream.progress(noon + std::chrono::milliseconds(2950), 1, "a", p);
    ASSERT_EQ(l.all.size(), 4U);
    EXPECT_EQ(l.all.back().at("bytes_per_second"), 1500);
}

TEST(events, every_line_says_what_and_when) {
    lines l;
    l.stream.started(noon, {.command = "copy", .pass = "bulk", .mailboxes = 1, .jobs = 8, .state = "p.db"});
    l.stream.failure(noon, 1, "imaps://bob@old", samples::with_failures().failures[0]);
    l.stream.ended(noon, 1, samples::wrong_password());
    l.stream.finished(noon, 3, 1, {}, {}, 1.5);
    EXPECT_EQ(l.all[0].at("event"), "started");
    EXPECT_EQ(l.all[0].at("time"), "2024-02-29T12:00:00Z");
    EXPECT_EQ(l.all[1].at("source_uid"), 4711);
    EXPECT_EQ(l.all[2].at("stopped_by").at("phase"), "login");
    EXPECT_EQ(l.all[3].at("exit_code"), 3);
}

} // namespace
} // namespace postferry::app

// Prints one document of each kind a line, "kind TAB json", for schema_test.py.
#include "app/events.hpp"
#include "app/report_json.hpp"
#include "app/sample_reports.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace {

using namespace postferry;
using namespace postferry::app;

constexpr wall_time noon{std::chrono::seconds(1'709'208'000)};

void show(std::string_view kind, std::string json) {
    std::erase(json, '\n');
    std::printf("%.*s\t%s\n", static_cast<int>(kind.size()), kind.data(), json.c_str());
}

bool show_report(const std::vector<transfer::mailbox_report>& reports) {
    const auto place =
        std::filesystem::temp_directory_path() / ("postferry-samples-" + std::to_string(::getpid()) + ".json");
    auto file = atomic_file::create(place);
    if (!file) return false;
    const mailbox_walk walk = [&](const std::function<result<void>(std::string_view)>& take) -> result<void> {
        for (const auto& r : reports)
            if (auto ok = take(boost::json::serialize(json_of(r))); !ok) return ok;
        return {};
    };
    const report_frame frame{.started = rfc3339(noon), .ended = rfc3339(noon + std::chrono::hours(1))};
    if (!write_json_report(*file, frame, walk) || !file->commit()) return false;
    std::ostringstream text;
    text << std::ifstream(place).rdbuf();
    std::filesystem::remove(place);
    show("report", text.str());
    return true;
}

void show_events() {
    event_stream events([](std::string_view line) { show("event", std::string(line)); });
    events.started(noon, {.command = "migrate", .pass = "bulk", .mailboxes = 2, .jobs = 8, .state = "postferry.db"});
    events.row_skipped(noon, {.row = 3, .line = 4, .column = "source_user", .what = "is empty"});
    transfer::progress p{.state = transfer::mailbox_state::copying,
                         .folder = "INBOX",
                         .messages_done = 10,
                         .messages_total = 20,
                         .octets_done = 1000,
                         .note = {},
                         .throttled_by = {}};
    events.progress(noon, 1, "imaps://alice@old", p);
    p.octets_done = 5000;
    p.note = "throttled until 14:03";
    events.progress(noon + std::chrono::seconds(2), 1, "imaps://alice@old", p);
    events.failure(noon, 1, "imaps://bob@old", samples::with_failures().failures[0]);
    events.ended(noon, 1, samples::with_failures());
    events.ended(noon, 2, samples::wrong_password());
    events.planned(noon, 1, samples::planned());
    events.checked(noon, 1, samples::with_warnings());
    events.trouble(noon, *samples::wrong_password().stopped_by);
    events.finished(noon, 1, 2, samples::synced().messages, samples::synced().octets, 12.5);
}

} // namespace

int main() {
    if (!show_report({}) || !show_report({samples::synced(), samples::with_failures(), samples::verified(),
                                          samples::sampled(), samples::with_deletions(), samples::wrong_password()}))
        return 1;
    show_events();
    const std::vector<plan_entry> plans{samples::planned(), samples::planned_deletion(), samples::not_planned()};
    show("plan", boost::json::serialize(plan_document(plans, noon)));
    const std::vector<mailbox_check> checks{samples::ready(), samples::with_warnings(), samples::not_ready()};
    show("check", boost::json::serialize(check_document(checks, noon)));
    return 0;
}

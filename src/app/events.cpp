#include "app/events.hpp"

#include "app/report_json.hpp"

namespace postferry::app {

namespace json = boost::json;

void event_stream::send(wall_time now, std::string_view event, json::object rest) {
    json::object line{{"event", event}, {"time", rfc3339(now)}};
    for (auto& item : rest) line.emplace(item.key(), std::move(item.value()));
    out_(json::serialize(line) + "\n");
}

void event_stream::started(wall_time now, const started_event& what) {
    send(now, "started",
         {{"version", 1},
          {"program", POSTFERRY_VERSION},
          {"command", what.command},
          {"pass", what.pass},
          {"mailboxes", what.mailboxes},
          {"jobs", what.jobs},
          {"state", json_text(what.state)}});
}

void event_stream::row_skipped(wall_time now, const csv_fault& fault) {
    send(now, "row_skipped",
         {{"row", fault.row},
          {"line", fault.line},
          {"column", json_text(fault.column)},
          {"reason", json_text(fault.what)}});
}

void event_stream::progress(wall_time now, std::uint64_t mailbox, std::string_view source,
                            const transfer::progress& p) {
    seen& before = running_[mailbox];
    const double since = std::chrono::duration<double>(now - before.last).count();
    const bool first = before.last == wall_time{};
    if (!first && p.state == before.state && since < 1) return;
    json::object line{{"mailbox", mailbox},
                      {"source", json_text(source)},
                      {"state", name_of(p.state)},
                      {"folder", json_text(p.folder)}};
    line["messages"] = json::object{{"done", p.messages_done}, {"total", p.messages_total}};
    line["bytes"] = p.octets_done;
    const bool rated = !first && since > 0 && p.octets_done >= before.octets;
    line["bytes_per_second"] =
        rated ? static_cast<std::uint64_t>(static_cast<double>(p.octets_done - before.octets) / since) : 0;
    if (!p.note.empty()) line["note"] = json_text(p.note);
    if (!p.throttled_by.empty()) {
        line["throttled_by"] = json_text(p.throttled_by);
        line["until"] = rfc3339(wall_time(std::chrono::seconds(p.until_unix)));
    }
    before = {p.state, now, p.octets_done};
    send(now, "progress", std::move(line));
}

void event_stream::failure(wall_time now, std::uint64_t mailbox, std::string_view source, const transfer::failure& f) {
    json::object line{{"mailbox", mailbox}, {"source", json_text(source)}};
    for (auto& item : json_of(f)) line.emplace(item.key(), std::move(item.value()));
    send(now, "failure", std::move(line));
}

void event_stream::ended(wall_time now, std::uint64_t mailbox, const transfer::mailbox_report& r) {
    running_.erase(mailbox);
    json::object line{{"mailbox", mailbox},
                      {"source", json_text(r.source)},
                      {"target", json_text(r.target)},
                      {"state", name_of(r.state)},
                      {"pass", name_of(r.pass)},
                      {"grade", name_of(r.mark)},
                      {"messages", json_of_messages(r.messages)},
                      {"bytes", json_of_octets(r.octets)},
                      {"failures", r.failures.size()},
                      {"seconds", r.seconds}};
    if (r.stopped_by) line["stopped_by"] = json_of(*r.stopped_by);
    send(now, "mailbox", std::move(line));
}

void event_stream::planned(wall_time now, std::uint64_t mailbox, const plan_entry& plan) {
    send(now, "plan", {{"mailbox", mailbox}, {"plan", json_of(plan)}});
}

void event_stream::checked(wall_time now, std::uint64_t mailbox, const mailbox_check& check) {
    send(now, "check", {{"mailbox", mailbox}, {"check", json_of(check)}});
}

void event_stream::trouble(wall_time now, const error& why) { send(now, "trouble", json_of(why)); }

void event_stream::finished(wall_time now, int exit_code, std::uint64_t mailboxes, const transfer::balance& messages,
                            const transfer::balance& octets, double seconds) {
    send(now, "finished",
         {{"exit_code", exit_code},
          {"mailboxes", mailboxes},
          {"messages", json_of_messages(messages)},
          {"bytes", json_of_octets(octets)},
          {"seconds", seconds}});
}

} // namespace postferry::app

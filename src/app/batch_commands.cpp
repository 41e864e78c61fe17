// postferry batch ..., but for what it writes (batch_output.cpp) and shows live (batch_watch.cpp).
#include "app/batch_status.hpp"
#include "app/exit_code.hpp"
#include "app/noun_actions.hpp"
#include "app/remote_settings.hpp"
#include "app/standard_output.hpp"
#include "app/words.hpp"
#include "base/text.hpp"
#include "store/states.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

namespace postferry::app {

namespace json = boost::json;

namespace {

std::string every_batch_state() { return fmt::format("{}", fmt::join(store::words_of<store::batch_state>, ",")); }

std::string path_of(const json::object& batch) { return fmt::format("/batches/{}", text_at(batch, "id")); }

result<json::object> named_batch(const noun_context& c) { return find_batch(c, c.words.text("BATCH")); }

result<int> list_batches(noun_context& c) {
    auto project = find_project(c);
    if (!project) return std::unexpected(std::move(project.error()));
    std::string query = "?";
    if (c.words.has("--state"))
        query += fmt::format("state={}&", url_word(fmt::format("{}", fmt::join(c.words.list("--state"), ","))));
    if (*project) query += fmt::format("project={}&", **project);
    if (c.words.has("--name")) query += fmt::format("name={}&", url_word(c.words.text("--name")));
    query.pop_back();
    text_table table({{"ID", true},
                      {"NAME", false, true},
                      {"STATE"},
                      {"MODE"},
                      {"MAILBOXES", true},
                      {"DONE", true},
                      {"MESSAGES", true},
                      {"DATA", true},
                      {"GRADE"},
                      {"MADE"}});
    const auto row = [](const json::object& b) -> std::vector<std::string> {
        const batch_standing s = standing_of(b);
        return {text_at(b, "id"),
                text_at(b, "name"),
                text_at(b, "state"),
                text_at(b, "mode"),
                grouped(s.all),
                s.all == 0 ? std::string() : fmt::format("{} %", (s.done + s.excepted + s.ended) * 100 / s.all),
                grouped(count_at(object_at(b, "messages"), "copied")),
                format_size(count_at(object_at(b, "bytes"), "copied")),
                text_at(b, "grade"),
                moment_at(b, "created")};
    };
    return c.list("/batches" + query, std::move(table), row,
                  "There is no batch. Make one: postferry batch create NAME");
}

/// What create and set have in common: mode, start, settings.
result<void> put_common(const noun_context& c, json::object& body) {
    if (c.words.has("--mode")) body["mode"] = c.words.text("--mode");
    if (c.words.has("--start-at")) {
        auto when = parse_moment(c.words.text("--start-at"), "--start-at");
        if (!when) return std::unexpected(std::move(when.error()));
        if (c.words.text("--start-at") == "now")
            body["start_at"] = nullptr;
        else
            body["start_at"] = *when;
    }
    auto settings = settings_patch(c.words);
    if (!settings) return std::unexpected(std::move(settings.error()));
    if (!settings->empty()) body["settings"] = std::move(*settings);
    return {};
}

result<int> create_batch(noun_context& c) {
    json::object body{{"name", c.words.text("NAME")}};
    if (auto ok = put_common(c, body); !ok) return std::unexpected(std::move(ok.error()));
    auto project = find_project(c);
    if (!project) return std::unexpected(std::move(project.error()));
    if (*project) body["project"] = **project;
    auto made = c.api.ask({.verb = "POST", .target = "/batches", .body = std::move(body)});
    if (!made) return std::unexpected(std::move(made.error()));
    c.show(made->json, [&] {
        return fmt::format("batch {} is made: {}\n{}", text_at(whole(*made), "id"), text_at(whole(*made), "name"),
                           batch_advice_text(whole(*made)));
    });
    return exit_codes::done;
}

result<int> set_batch(noun_context& c) {
    auto batch = named_batch(c);
    if (!batch) return std::unexpected(std::move(batch.error()));
    json::object body;
    if (c.words.has("--name")) body["name"] = c.words.text("--name");
    if (auto ok = put_common(c, body); !ok) return std::unexpected(std::move(ok.error()));
    if (body.empty())
        return misused("batch set changes nothing: name a setting", "postferry batch set --help lists them");
    auto now = c.api.edit(path_of(*batch), [&](const json::object&) { return std::optional(body); });
    if (!now) return std::unexpected(std::move(now.error()));
    c.show(now->json, [&] { return fmt::format("changed: {}\n", batch_headline(whole(*now))); });
    return exit_codes::done;
}

result<int> delete_batch(noun_context& c) {
    auto batch = named_batch(c);
    if (!batch) return std::unexpected(std::move(batch.error()));
    auto gone = c.api.edit(path_of(*batch), [](const json::object&) { return std::nullopt; });
    if (!gone) return std::unexpected(std::move(gone.error()));
    c.say(fmt::format("deleted: {}", batch_headline(*batch)));
    return exit_codes::done;
}

result<int> purge_credentials(noun_context& c) {
    auto batch = named_batch(c);
    if (!batch) return std::unexpected(std::move(batch.error()));
    auto gone = c.api.ask({.verb = "DELETE", .target = path_of(*batch) + "/credentials"});
    if (!gone) return std::unexpected(std::move(gone.error()));
    c.say(fmt::format("the passwords of {} are removed", text_at(*batch, "name")));
    return exit_codes::done;
}

result<int> show_status(noun_context& c) {
    auto batch = named_batch(c);
    if (!batch) return std::unexpected(std::move(batch.error()));
    c.show(*batch, [&] { return batch_status_text(*batch) + batch_advice_text(*batch); });
    return exit_code_of_batch(*batch);
}

result<int> list_mailboxes(noun_context& c) {
    auto batch = named_batch(c);
    if (!batch) return std::unexpected(std::move(batch.error()));
    std::string query;
    const auto add = [&](std::string_view name, const std::string& value) {
        query += fmt::format("{}{}={}", query.empty() ? '?' : '&', name, url_word(value));
    };
    if (c.words.has("--state")) add("state", fmt::format("{}", fmt::join(c.words.list("--state"), ",")));
    if (c.words.has("--grade")) add("grade", c.words.text("--grade"));
    if (c.words.has("--user")) add("user", c.words.text("--user"));
    text_table table({{"ID", true},
                      {"SOURCE", false, true},
                      {"TARGET", false, true},
                      {"STATE"},
                      {"MESSAGES", true},
                      {"FAILED", true},
                      {"DATA", true},
                      {"GRADE"},
                      {"WHY", false, true}});
    const auto row = [](const json::object& m) -> std::vector<std::string> {
        const json::object& messages = object_at(m, "messages");
        const std::uint64_t failed = count_at(messages, "failed");
        return {text_at(m, "id"),
                text_at(m, "source_user"),
                text_at(m, "target_user"),
                text_at(m, "state"),
                grouped(count_at(messages, "source")),
                failed == 0 ? std::string() : grouped(failed),
                format_size(count_at(object_at(m, "bytes"), "source")),
                text_at(m, "grade"),
                text_at(m, "reason")};
    };
    return c.list(path_of(*batch) + "/mailboxes" + query, std::move(table), row,
                  query.empty() ? "It has no mailboxes yet" : "None of its mailboxes is like that");
}

/// "start: 12 mailboxes changed; 3 are in a state that does not take it, and stay as they are".
std::string commanded_text(std::string_view verb, const json::object& answer) {
    std::string out = fmt::format("{}: {} changed", verb, counted(count_at(answer, "changed"), "mailbox", "mailboxes"));
    const std::uint64_t left = count_at(answer, "left");
    if (left == 1) out += "; 1 is in a state that does not take it, and stays as it is";
    if (left > 1) out += fmt::format("; {} are in a state that does not take it, and stay as they are", grouped(left));
    return out + "\n" + batch_headline(object_at(answer, "batch")) + "\n";
}

result<int> command_batch(noun_context& c) {
    auto batch = named_batch(c);
    if (!batch) return std::unexpected(std::move(batch.error()));
    const std::string_view verb = c.words.what->verb;
    auto done = c.api.ask({.verb = "POST",
                           .target = fmt::format("{}/{}", path_of(*batch), verb),
                           .patience = std::chrono::seconds(600)}); // of a million mailboxes
    if (!done) return std::unexpected(std::move(done.error()));
    const bool watches = c.words.has("--watch");
    if (!watches || !c.json()) c.show(done->json, [&] { return commanded_text(verb, whole(*done)); });
    if (!watches) return exit_codes::done;
    return watch_batch(c, object_at(whole(*done), "batch"));
}

result<int> archive_batch(noun_context& c) {
    auto batch = named_batch(c);
    if (!batch) return std::unexpected(std::move(batch.error()));
    auto done =
        c.api.ask({.verb = "POST", .target = path_of(*batch) + "/archive", .patience = std::chrono::seconds(600)});
    if (!done) return std::unexpected(std::move(done.error()));
    c.show(done->json, [&] { return batch_headline(whole(*done)) + "\n"; });
    return exit_codes::done;
}

result<int> watch_named(noun_context& c) {
    auto batch = named_batch(c);
    if (!batch) return std::unexpected(std::move(batch.error()));
    return watch_batch(c, *batch);
}

} // namespace

result<json::object> find_batch(const noun_context& c, const std::string& word) {
    return c.find("/batches", word, "batch",
                  {.narrowed = fmt::format("?name={}&state={}", url_word(word), every_batch_state()),
                   .all = fmt::format("?state={}", every_batch_state())});
}

int exit_code_of_batch(const json::object& batch) {
    const batch_standing s = standing_of(batch);
    return s.needy + s.excepted > 0 ? exit_codes::incomplete : exit_codes::done;
}

std::span<const noun_action> batch_actions() noexcept {
    static constexpr std::array<noun_action, 15> all{{{"batch list", list_batches},
                                                      {"batch create", create_batch},
                                                      {"batch set", set_batch},
                                                      {"batch delete", delete_batch},
                                                      {"batch purge-credentials", purge_credentials},
                                                      {"batch status", show_status},
                                                      {"batch mailboxes", list_mailboxes},
                                                      {"batch watch", watch_named},
                                                      {"batch start", command_batch},
                                                      {"batch pause", command_batch},
                                                      {"batch resume", command_batch},
                                                      {"batch cancel", command_batch},
                                                      {"batch retry", command_batch},
                                                      {"batch finish", command_batch},
                                                      {"batch archive", archive_batch}}};
    return all;
}

} // namespace postferry::app

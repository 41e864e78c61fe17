// postferry mailbox ...
#include "app/exit_code.hpp"
#include "app/noun_actions.hpp"
#include "app/noun_secrets.hpp"
#include "app/remote_settings.hpp"
#include "app/standard_output.hpp"
#include "app/words.hpp"
#include "base/text.hpp"
#include "mailbox/endpoint_url.hpp"

#include <fmt/format.h>

#include <array>
#include <fstream>

namespace postferry::app {

namespace json = boost::json;

namespace {

constexpr std::size_t most_waived_at_once = 1'000;

result<json::object> named_mailbox(const noun_context& c) { return find_mailbox(c, c.words.text("MAILBOX")); }

std::string path_of(const json::object& mailbox) { return fmt::format("/mailboxes/{}", text_at(mailbox, "id")); }

std::string headline(const json::object& m) {
    std::string out =
        fmt::format("{} (mailbox {}): {}", text_at(m, "source_user"), text_at(m, "id"), text_at(m, "state"));
    if (const std::string until = moment_at(m, "until"); !until.empty()) out += fmt::format(" until {}", until);
    return out;
}

/// The two ends of a reason that names both on a line each.
std::string why_of(const json::object& m) {
    std::string why = text_at(m, "reason");
    if (why.empty()) return {};
    constexpr std::string_view parting = "; target: ";
    if (const auto at = why.find(parting); why.starts_with("source: ") && at != std::string::npos)
        why.replace(at, 2, "\n             ");
    return fmt::format("  why        {}\n", why);
}

std::string shown(const json::object& m) {
    const json::object &n = object_at(m, "messages"), &octets = object_at(m, "bytes"), &spent = object_at(m, "seconds");
    const auto left = number_at(n, "residual").value_or(0);
    std::string out = headline(m) + "\n" + why_of(m);
    out += fmt::format("  from       {} at {}\n  to         {} at {}\n", text_at(m, "source_user"),
                       text_at(m, "source_url"), text_at(m, "target_user"), text_at(m, "target_url"));
    out += fmt::format("  batch      {}, row {}, priority {}\n", text_at(m, "batch"), text_at(m, "row"),
                       text_at(m, "priority"));
    if (const std::string notify = text_at(m, "notify"); !notify.empty())
        out += fmt::format("  notices    {} (kept; none are sent yet)\n", notify == "yes"
                                                                              ? "to " + text_at(m, "target_user")
                                                                          : notify == "no" ? notify
                                                                                           : "to " + notify);
    out += fmt::format(
        "  messages   {} = {} copied + {} there already + {} skipped by rule + {} failed + {} still to do\n",
        grouped(count_at(n, "source")), grouped(count_at(n, "copied")), grouped(count_at(n, "present")),
        grouped(count_at(n, "skipped")), grouped(count_at(n, "failed")), left);
    out += fmt::format("  data       {} of {} copied\n", format_size(count_at(octets, "copied")),
                       format_size(count_at(octets, "source")));
    const std::string next = text_at(m, "next_pass"), due = moment_at(m, "due"), grade = text_at(m, "grade");
    out += fmt::format("  passes     {}{}{}{}\n", text_at(m, "passes"), grade.empty() ? "" : ", " + grade,
                       next.empty() ? "" : ", next: " + next, due.empty() ? "" : " at " + due);
    const auto seconds = [&](std::string_view name) {
        return duration_text(static_cast<double>(count_at(spent, name)));
    };
    out += fmt::format("  time       {} queued, {} at work, {} throttled, {} stalled\n", seconds("queued"),
                       seconds("running"), seconds("throttled"), seconds("stalled"));
    return out;
}

result<int> show_mailbox(noun_context& c) {
    auto m = named_mailbox(c);
    if (!m) return std::unexpected(std::move(m.error()));
    c.show(*m, [&] { return shown(*m); });
    if (c.json() || c.quiet()) return exit_codes::done;
    text_table table({{"PASS"},
                      {"STARTED"},
                      {"ENDED"},
                      {"COPIED", true},
                      {"FAILED", true},
                      {"OUTCOME", false, true},
                      {"WORKER", false, true}});
    auto page = c.api.get(path_of(*m) + "/passes?limit=10");
    if (!page) return std::unexpected(std::move(page.error()));
    for (const json::value& one : array_at(whole(*page), "items")) {
        if (!one.is_object()) continue;
        const json::object& p = one.get_object();
        const json::object& n = object_at(p, "messages");
        table.add({text_at(p, "pass"), moment_at(p, "started"), moment_at(p, "ended"), grouped(count_at(n, "copied")),
                   grouped(count_at(n, "failed")), text_at(p, "outcome"), text_at(p, "worker")});
    }
    if (!table.empty()) to_stdout("\n" + table.text(terminal_columns()));
    return exit_codes::done;
}

result<int> command_mailbox(noun_context& c) {
    auto m = named_mailbox(c);
    if (!m) return std::unexpected(std::move(m.error()));
    auto done = c.api.ask({.verb = "POST", .target = fmt::format("{}/{}", path_of(*m), c.words.what->verb)});
    if (!done) return std::unexpected(std::move(done.error()));
    c.show(done->json, [&] { return headline(whole(*done)) + "\n" + why_of(whole(*done)); });
    return exit_codes::done;
}

result<int> set_priority(noun_context& c) {
    auto n = parse_number(c.words.text("N"), "priority", -100, 100);
    if (!n) return std::unexpected(std::move(n.error()));
    auto m = named_mailbox(c);
    if (!m) return std::unexpected(std::move(m.error()));
    auto done =
        c.api.edit(path_of(*m), [&](const json::object&) { return std::optional(json::object{{"priority", *n}}); });
    if (!done) return std::unexpected(std::move(done.error()));
    c.show(done->json, [&] { return fmt::format("{}: priority {}\n", text_at(whole(*done), "source_user"), *n); });
    return exit_codes::done;
}

result<int> delete_mailbox(noun_context& c) {
    auto m = named_mailbox(c);
    if (!m) return std::unexpected(std::move(m.error()));
    auto gone = c.api.edit(path_of(*m), [](const json::object&) { return std::nullopt; });
    if (!gone) return std::unexpected(std::move(gone.error()));
    c.say(fmt::format("taken out of batch {}: {}", text_at(*m, "batch"), text_at(*m, "source_user")));
    return exit_codes::done;
}

/// URL with the user in it, as for `postferry copy`: apart, as the API has them.
result<void> put_end(json::object& body, std::string_view side, const std::string& url) {
    auto e = mailbox::parse_endpoint(url);
    if (!e) return std::unexpected(std::move(e.error()));
    body[fmt::format("{}_url", side)] = mailbox::place_url(*e);
    body[fmt::format("{}_user", side)] = e->user;
    return {};
}

result<int> add_mailbox(noun_context& c) {
    json::object body;
    for (const auto& [side, argument] : {std::pair{"source", "SOURCE"}, std::pair{"target", "TARGET"}})
        if (auto ok = put_end(body, side, c.words.text(argument)); !ok) return std::unexpected(std::move(ok.error()));
    constexpr std::array<secret_option, 2> secrets{
        {{"--source-password-file", "source_password"}, {"--target-password-file", "target_password"}}};
    if (auto ok = put_secrets(c, secrets, body); !ok) return std::unexpected(std::move(ok.error()));
    if (c.words.has("--priority")) {
        auto n = parse_number(c.words.text("--priority"), "--priority", -100, 100);
        if (!n) return std::unexpected(std::move(n.error()));
        body["priority"] = *n;
    }
    auto batch = find_batch(c, c.words.text("BATCH"));
    if (!batch) return std::unexpected(std::move(batch.error()));
    auto made = c.api.ask({.verb = "POST",
                           .target = fmt::format("/batches/{}/mailboxes", text_at(*batch, "id")),
                           .body = std::move(body)});
    if (!made) return std::unexpected(std::move(made.error()));
    c.show(made->json, [&] { return headline(whole(*made)) + "\n"; });
    return exit_codes::done;
}

result<int> give_credentials(noun_context& c) {
    auto m = named_mailbox(c);
    if (!m) return std::unexpected(std::move(m.error()));
    const std::string target = path_of(*m) + "/credentials";
    if (c.words.has("--remove")) {
        auto gone = c.api.ask({.verb = "DELETE", .target = target});
        if (!gone) return std::unexpected(std::move(gone.error()));
        c.say(fmt::format("the passwords of {} are removed", text_at(*m, "source_user")));
        return exit_codes::done;
    }
    json::object body;
    constexpr std::array<secret_option, 4> secrets{{{"--source-password-file", "source_password"},
                                                    {"--target-password-file", "target_password"},
                                                    {"--source-token-file", "source_refresh_token"},
                                                    {"--target-token-file", "target_refresh_token"}}};
    if (auto ok = put_secrets(c, secrets, body); !ok) return std::unexpected(std::move(ok.error()));
    const bool ask_target = c.words.has("--target"),
               ask_source = c.words.has("--source") || (body.empty() && !ask_target);
    for (const auto& [side, wanted] : {std::pair{"source", ask_source}, std::pair{"target", ask_target}}) {
        if (!wanted) continue;
        auto password =
            ask_password(fmt::format("Password of {} at the {} {}: ", text_at(*m, fmt::format("{}_user", side)), side,
                                     text_at(*m, fmt::format("{}_url", side))),
                         fmt::format("--{}-password-file", side));
        if (!password) return std::unexpected(std::move(password.error()));
        body[fmt::format("{}_password", side)] = std::string(password->reveal());
    }
    auto done = c.api.ask({.verb = "POST", .target = target, .body = std::move(body), .may_repeat = false});
    if (!done) return std::unexpected(std::move(done.error()));
    c.show(done->json, [&] { return headline(whole(*done)) + "\n"; });
    return exit_codes::done;
}

result<int> make_link(noun_context& c) {
    auto m = named_mailbox(c);
    if (!m) return std::unexpected(std::move(m.error()));
    const std::string target = path_of(*m) + "/recredential-link";
    if (c.words.has("--remove")) {
        auto gone = c.api.ask({.verb = "DELETE", .target = target});
        if (!gone) return std::unexpected(std::move(gone.error()));
        c.say(fmt::format("no link leads to {} any more", text_at(*m, "source_user")));
        return exit_codes::done;
    }
    json::object body;
    if (c.words.has("--days")) {
        auto days = parse_number(c.words.text("--days"), "--days", 1, 30);
        if (!days) return std::unexpected(std::move(days.error()));
        body["days"] = *days;
    }
    auto made = c.api.ask({.verb = "POST", .target = target, .body = std::move(body), .may_repeat = false});
    if (!made) return std::unexpected(std::move(made.error()));
    c.show(made->json, [&] {
        return fmt::format("{}\nFor {} alone, until {}; it works once and is not shown again.\n",
                           text_at(whole(*made), "url"), text_at(*m, "source_user"),
                           moment_at(whole(*made), "expires"));
    });
    return exit_codes::done;
}

result<int> mailbox_log(noun_context& c) {
    auto m = named_mailbox(c);
    if (!m) return std::unexpected(std::move(m.error()));
    constexpr std::array<std::pair<std::string_view, std::string_view>, 2> filters{
        {{"--level", "level"}, {"--folder", "folder"}}};
    const std::string target =
        fmt::format("{}/log.{}{}", path_of(*m), c.json() ? "jsonl" : "txt", query_of(c.words, filters));
    auto done = c.words.has("--output") ? download(c, target, c.words.text("--output")) : download(c, target);
    if (!done) return std::unexpected(std::move(done.error()));
    return exit_codes::done;
}

std::string failures_text(const json::array& items) {
    text_table table({{"FOLDER:UID", false, true},
                      {"SIZE", true},
                      {"MESSAGE-ID", false, true},
                      {"CLASS"},
                      {"WAIVED"},
                      {"WHY", false, true}});
    for (const json::value& one : items) {
        if (!one.is_object()) continue;
        const json::object& f = one.get_object();
        table.add({fmt::format("{}:{}", text_at(f, "folder"), text_at(f, "source_uid")),
                   format_size(count_at(f, "bytes")), text_at(f, "message_id"), text_at(f, "class"),
                   text_at(object_at(f, "waived"), "by"), text_at(f, "reason")});
    }
    return table.empty() ? std::string("Nothing has failed.\n") : table.text(terminal_columns());
}

result<int> list_failures(noun_context& c) {
    auto m = named_mailbox(c);
    if (!m) return std::unexpected(std::move(m.error()));
    auto list = c.api.get(path_of(*m) + "/failures");
    if (!list) return std::unexpected(std::move(list.error()));
    const json::array& items = array_at(whole(*list), "items");
    if (c.json()) {
        for (const json::value& one : items) to_stdout(json::serialize(one) + "\n");
    } else {
        to_stdout(failures_text(items));
    }
    return exit_codes::done;
}

/// "Archive/2009:4711": the last colon parts them, folders may have others. Or a line of a file, with a tab.
result<json::object> place_of(std::string_view text, char between) {
    const std::size_t at = text.rfind(between);
    const auto uid = at == std::string_view::npos ? std::nullopt : parse_u32(text.substr(at + 1));
    if (!uid || *uid == 0 || at == 0)
        return misused(fmt::format("{} names no message: write FOLDER{}UID", quote_server_text(text, 200),
                                   between == '\t' ? ", tab, " : ":"));
    return json::object{{"folder", json::string_view(text.data(), at)}, {"source_uid", *uid}};
}

result<void> add_from_file(json::array& to, const std::string& file) {
    std::ifstream in(file);
    if (!in) return misused(fmt::format("--file: {} cannot be read", file));
    for (std::string line; std::getline(in, line) && to.size() <= most_waived_at_once;) {
        if (line.ends_with('\r')) line.pop_back();
        if (line.empty() || line.starts_with('#')) continue;
        auto place = place_of(line, '\t');
        if (!place) return std::unexpected(std::move(place.error()));
        to.push_back(std::move(*place));
    }
    return {};
}

result<json::array> places_of(noun_context& c, const std::string& path) {
    json::array out;
    for (const std::string& word : c.words.list("FOLDER:UID")) {
        auto place = place_of(word, ':');
        if (!place) return std::unexpected(std::move(place.error()));
        out.push_back(std::move(*place));
    }
    if (c.words.has("--file"))
        if (auto ok = add_from_file(out, c.words.text("--file")); !ok) return std::unexpected(std::move(ok.error()));
    if (c.words.has("--all")) {
        auto list = c.api.get(path + "/failures");
        if (!list) return std::unexpected(std::move(list.error()));
        for (const json::value& one : array_at(whole(*list), "items")) {
            if (!one.is_object()) continue;
            const json::object& f = one.get_object();
            const bool is_waived = !object_at(f, "waived").empty();
            if (is_waived == c.words.has("--undo"))
                out.push_back(
                    json::object{{"folder", text_at(f, "folder")}, {"source_uid", count_at(f, "source_uid")}});
        }
        if (out.empty()) return misused("there is nothing to waive: no message has failed that was not");
    }
    if (out.empty()) return misused("waive what? Name messages as FOLDER:UID, or give --file or --all");
    if (out.size() > most_waived_at_once)
        return misused(fmt::format("at most {} messages at once", most_waived_at_once));
    return out;
}

result<int> waive(noun_context& c) {
    const bool undo = c.words.has("--undo");
    if (!undo && c.words.text("--reason").empty())
        return misused("mailbox waive needs --reason TEXT: it is kept with your name");
    auto m = named_mailbox(c);
    if (!m) return std::unexpected(std::move(m.error()));
    auto places = places_of(c, path_of(*m));
    if (!places) return std::unexpected(std::move(places.error()));
    const std::size_t n = places->size();
    json::object body{{"messages", std::move(*places)}};
    if (!undo) body["reason"] = c.words.text("--reason");
    auto done = c.api.ask({.verb = "POST",
                           .target = fmt::format("{}/failures/{}", path_of(*m), undo ? "unwaive" : "waive"),
                           .body = std::move(body)});
    if (!done) return std::unexpected(std::move(done.error()));
    c.show(done->json, [&] {
        return fmt::format("{} {}; the next pass counts so: postferry mailbox retry {}\n", counted(n, "message"),
                           undo ? "counted again" : "waived", text_at(*m, "id"));
    });
    return exit_codes::done;
}

} // namespace

result<json::object> find_mailbox(const noun_context& c, const std::string& word) {
    std::string batch;
    if (c.words.has("--batch") && c.words.what->noun != "log") {
        auto found = find_batch(c, c.words.text("--batch"));
        if (!found) return std::unexpected(std::move(found.error()));
        batch = fmt::format("&batch={}", text_at(*found, "id"));
    } else if (c.words.has("BATCH")) {
        auto found = find_batch(c, c.words.text("BATCH"));
        if (!found) return std::unexpected(std::move(found.error()));
        batch = fmt::format("&batch={}", text_at(*found, "id"));
    }
    // The local part is most of what is mistyped least.
    const std::string local = word.substr(0, word.find('@'));
    return c.find("/mailboxes", word, "mailbox",
                  {.narrowed = fmt::format("?user={}{}", url_word(word), batch),
                   .all = fmt::format("?user={}{}", url_word(local.substr(0, 3)), batch),
                   .field = "source_user",
                   .other_field = "target_user"});
}

std::span<const noun_action> mailbox_actions() noexcept {
    static constexpr std::array<noun_action, 15> all{{{"mailbox show", show_mailbox},
                                                      {"mailbox add", add_mailbox},
                                                      {"mailbox retry", command_mailbox},
                                                      {"mailbox start", command_mailbox},
                                                      {"mailbox pause", command_mailbox},
                                                      {"mailbox resume", command_mailbox},
                                                      {"mailbox cancel", command_mailbox},
                                                      {"mailbox finish", command_mailbox},
                                                      {"mailbox priority", set_priority},
                                                      {"mailbox credentials", give_credentials},
                                                      {"mailbox link", make_link},
                                                      {"mailbox log", mailbox_log},
                                                      {"mailbox failures", list_failures},
                                                      {"mailbox waive", waive},
                                                      {"mailbox delete", delete_mailbox}}};
    return all;
}

} // namespace postferry::app

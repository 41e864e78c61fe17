// postferry server|workers|setting|event ...
#include "app/exit_code.hpp"
#include "app/noun_actions.hpp"
#include "app/remote_settings.hpp"
#include "app/standard_output.hpp"
#include "app/words.hpp"
#include "base/text.hpp"

#include <fmt/format.h>

#include <array>
#include <ctime>

namespace postferry::app {

namespace json = boost::json;

namespace {

std::string limit_text(const json::object& s, std::string_view name) {
    const auto n = number_at(s, name);
    return n ? grouped(static_cast<std::uint64_t>(std::max<std::int64_t>(*n, 0))) : std::string("-");
}

std::vector<std::string> server_row(const json::object& s) {
    const auto rate = number_at(s, "bytes_per_second");
    const std::string until = moment_at(s, "paused_until");
    return {text_at(s, "server"),
            grouped(count_at(s, "mailboxes")),
            grouped(count_at(s, "connections")),
            limit_text(s, "connections_max"),
            limit_text(s, "messages_per_second"),
            rate ? format_size(count_at(s, "bytes_per_second")) : std::string("-"),
            until.empty() ? std::string() : fmt::format("until {} {}", until, text_at(s, "paused_why"))};
}

text_table server_table() {
    return text_table({{"SERVER", false, true},
                       {"MAILBOXES", true},
                       {"CONNECTIONS", true},
                       {"AT MOST", true},
                       {"MESSAGES/S", true},
                       {"BYTES/S", true},
                       {"PAUSED", false, true}});
}

result<int> list_servers(noun_context& c) {
    return c.list("/servers", server_table(), server_row, "No mail server is at work, and none has limits");
}

std::string server_path(const noun_context& c) { return "/servers/" + url_word(c.words.text("SERVER")); }

result<int> edit_server(noun_context& c, const json::object& body) {
    auto now = c.api.edit(server_path(c), [&](const json::object&) { return std::optional(body); });
    if (!now) return std::unexpected(std::move(now.error()));
    c.show(now->json, [&] {
        text_table table = server_table();
        table.add(server_row(whole(*now)));
        return table.text(terminal_columns());
    });
    return exit_codes::done;
}

/// "off" takes a limit back.
template <class Read>
result<void> put_limit(const noun_context& c, std::string_view option, std::string_view field, json::object& body,
                       Read read) {
    if (!c.words.has(option)) return {};
    const json::string_view name(field.data(), field.size());
    if (c.words.text(option) == "off") {
        body[name] = nullptr;
        return {};
    }
    auto n = read(c.words.text(option));
    if (!n) return std::unexpected(std::move(n.error()));
    body[name] = *n;
    return {};
}

result<int> limit_server(noun_context& c) {
    json::object body;
    const auto number = [](std::string_view option) {
        return [option](const std::string& text) { return parse_number(text, option, 1, 1'000'000); };
    };
    const auto size = [](const std::string& text) -> result<std::int64_t> {
        const auto octets = parse_size(text);
        if (!octets || *octets > 1'000'000'000'000ULL) return misused("--rate takes a size such as 4MB, or off");
        return static_cast<std::int64_t>(*octets);
    };
    if (auto ok = put_limit(c, "--connections", "connections_max", body, number("--connections")); !ok)
        return std::unexpected(std::move(ok.error()));
    if (auto ok = put_limit(c, "--messages", "messages_per_second", body, number("--messages")); !ok)
        return std::unexpected(std::move(ok.error()));
    if (auto ok = put_limit(c, "--rate", "bytes_per_second", body, size); !ok)
        return std::unexpected(std::move(ok.error()));
    if (!body.empty()) return edit_server(c, body);
    auto now = c.api.get(server_path(c));
    if (!now) return std::unexpected(std::move(now.error()));
    c.show(now->json, [&] {
        text_table table = server_table();
        table.add(server_row(whole(*now)));
        return table.text(terminal_columns());
    });
    return exit_codes::done;
}

result<int> pause_server(noun_context& c) {
    if (c.words.has("--for") && c.words.has("--until")) return misused("--for and --until say two things");
    std::string until;
    if (c.words.has("--until")) {
        auto when = parse_moment(c.words.text("--until"), "--until");
        if (!when) return std::unexpected(std::move(when.error()));
        until = std::move(*when);
    } else {
        auto span = parse_span(c.words.has("--for") ? c.words.text("--for") : "1h", "--for");
        if (!span) return std::unexpected(std::move(span.error()));
        until = moment_after(*span);
    }
    json::object body{{"paused_until", until}};
    if (c.words.has("--reason")) body["paused_why"] = c.words.text("--reason");
    return edit_server(c, body);
}

result<int> resume_server(noun_context& c) {
    return edit_server(c, {{"paused_until", nullptr}, {"paused_why", nullptr}});
}

result<int> list_workers(noun_context& c) {
    text_table table({{"NAME", false, true},
                      {"HOST", false, true},
                      {"PID", true},
                      {"STATE"},
                      {"JOBS", true},
                      {"VERSION"},
                      {"STARTED"},
                      {"SEEN"}});
    std::string lines;
    auto ok = c.api.walk("/workers", [&](const json::object& w) {
        if (text_at(w, "state") == "gone" && !c.words.has("--all")) return true;
        if (c.json()) lines += json::serialize(w) + "\n";
        table.add({text_at(w, "name"), text_at(w, "host"), text_at(w, "pid"), text_at(w, "state"), text_at(w, "jobs"),
                   text_at(w, "version"), moment_at(w, "started"), moment_at(w, "seen", true)});
        return true;
    });
    if (!ok) return std::unexpected(std::move(ok.error()));
    if (c.json())
        to_stdout(lines);
    else if (table.empty())
        c.say("No worker runs: nothing is moved");
    else
        to_stdout(table.text(terminal_columns()));
    return exit_codes::done;
}

result<std::string> setting_path(const noun_context& c) {
    auto project = find_project(c);
    if (!project) return std::unexpected(std::move(project.error()));
    return *project ? fmt::format("/settings/batch?project={}", **project) : std::string("/settings/batch");
}

result<int> get_setting(noun_context& c) {
    auto path = setting_path(c);
    if (!path) return std::unexpected(std::move(path.error()));
    auto now = c.api.get(*path);
    if (!now) return std::unexpected(std::move(now.error()));
    c.show(now->json, [&] {
        const json::object& value = object_at(whole(*now), "value");
        if (value.empty()) return std::string("nothing is set: batches begin with the defaults\n");
        std::string out;
        for (const auto& member : value)
            out += fmt::format("{:<20} {}\n",
                               quote_server_text(std::string_view(member.key().data(), member.key().size()), 100),
                               json::serialize(member.value()));
        return out;
    });
    return exit_codes::done;
}

/// RFC 7396, which the API does for batches and not here: null takes back.
void merge(json::object& into, const json::object& patch) {
    for (const auto& member : patch) {
        if (member.value().is_null()) {
            into.erase(member.key());
        } else if (member.value().is_object()) {
            json::value& there = into[member.key()];
            if (!there.is_object()) there = json::object();
            merge(there.get_object(), member.value().get_object());
        } else {
            into[member.key()] = member.value();
        }
    }
}

result<int> set_setting(noun_context& c) {
    auto patch = settings_patch(c.words);
    if (!patch) return std::unexpected(std::move(patch.error()));
    if (patch->empty())
        return misused("setting set changes nothing: name a setting", "postferry setting set --help lists them");
    auto path = setting_path(c);
    if (!path) return std::unexpected(std::move(path.error()));
    for (int tries = 1;; ++tries) {
        auto now = c.api.get(*path);
        if (!now) return std::unexpected(std::move(now.error()));
        json::object value = object_at(whole(*now), "value");
        merge(value, *patch);
        auto done = c.api.ask(
            {.verb = "PUT", .target = *path, .body = json::object{{"value", std::move(value)}}, .if_match = now->etag});
        if (!done && done.error().response_code == "412" && tries < 3) continue;
        if (!done) return std::unexpected(std::move(done.error()));
        c.show(done->json, [] { return std::string("set; batches that are made from now on begin with it\n"); });
        return exit_codes::done;
    }
}

/// What is asked for of events, as a query with "?" in front, or empty.
result<std::string> event_query(const noun_context& c) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 3> plain{
        {{"--kind", "kind"}, {"--actor", "actor"}, {"--after", "after"}}};
    std::string out = query_of(c.words, plain);
    const auto add = [&](std::string_view name, const std::string& value) {
        out += fmt::format("{}{}={}", out.empty() ? '?' : '&', name, url_word(value));
    };
    auto project = find_project(c);
    if (!project) return std::unexpected(std::move(project.error()));
    if (*project) add("project", fmt::format("{}", **project));
    if (c.words.has("--batch")) {
        auto batch = find_batch(c, c.words.text("--batch"));
        if (!batch) return std::unexpected(std::move(batch.error()));
        add("batch", text_at(*batch, "id"));
    }
    if (c.words.has("--mailbox")) {
        auto mailbox = find_mailbox(c, c.words.text("--mailbox"));
        if (!mailbox) return std::unexpected(std::move(mailbox.error()));
        add("mailbox", text_at(*mailbox, "id"));
    }
    for (const auto& [option, field] : {std::pair{"--from", "from"}, std::pair{"--to", "to"}}) {
        if (!c.words.has(option)) continue;
        auto when = parse_moment(c.words.text(option), option);
        if (!when) return std::unexpected(std::move(when.error()));
        add(field, *when);
    }
    return out;
}

/// "queued -> copying"; of an edit what has become of its members: "role operator -> admin".
std::string change_text(const json::object& e) {
    const json::object &before = object_at(e, "before"), &after = object_at(e, "after");
    if (before.empty() && after.empty()) {
        const std::string from = text_at(e, "before"), to = text_at(e, "after");
        return from.empty() || to.empty() ? from + to : fmt::format("{} -> {}", from, to);
    }
    const auto word = [](const json::object& o, std::string_view name) {
        const json::value* v = o.if_contains(json::string_view(name.data(), name.size()));
        return v == nullptr ? std::string("-") : v->is_string() ? text_at(o, name) : json::serialize(*v);
    };
    if (before.empty() || after.empty()) return word(before.empty() ? after : before, "name");
    std::string out;
    for (const auto& member : after) {
        const std::string_view name(member.key().data(), member.key().size());
        const std::string from = word(before, name), to = word(after, name);
        if (from != to)
            out += fmt::format("{}{} {} -> {}", out.empty() ? "" : ", ", quote_server_text(name, 100), from, to);
    }
    return out;
}

result<int> list_events(noun_context& c) {
    auto query = event_query(c);
    if (!query) return std::unexpected(std::move(query.error()));
    text_table table({{"ID", true},
                      {"AT"},
                      {"BY"},
                      {"KIND"},
                      {"BATCH", true},
                      {"MAILBOX", true},
                      {"CHANGE", false, true},
                      {"WHY", false, true}});
    const auto row = [](const json::object& e) -> std::vector<std::string> {
        return {text_at(e, "id"),    moment_at(e, "at", true),
                text_at(e, "actor"), text_at(e, "kind"),
                text_at(e, "batch"), text_at(e, "mailbox"),
                change_text(e),      text_at(object_at(e, "detail"), "reason")};
    };
    return c.list("/events" + *query, std::move(table), row, "Nothing of the kind has happened", 100);
}

result<int> follow(noun_context& c) {
    auto query = event_query(c);
    if (!query) return std::unexpected(std::move(query.error()));
    return follow_events(c, *query);
}

} // namespace

std::span<const noun_action> service_actions() noexcept {
    static constexpr std::array<noun_action, 9> all{{{"server list", list_servers},
                                                     {"server limit", limit_server},
                                                     {"server pause", pause_server},
                                                     {"server resume", resume_server},
                                                     {"workers list", list_workers},
                                                     {"setting get", get_setting},
                                                     {"setting set", set_setting},
                                                     {"event list", list_events},
                                                     {"event follow", follow}}};
    return all;
}

} // namespace postferry::app

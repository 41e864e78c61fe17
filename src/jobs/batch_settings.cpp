#include "jobs/batch_settings.hpp"

#include "base/week.hpp"
#include "message/repair.hpp"
#include "transfer/folder_rules.hpp"

#include <fmt/format.h>

namespace postferry::jobs {

namespace json = boost::json;
using input::fields;

namespace {

constexpr std::array<std::string_view, 7> names_of_days{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

/// By existing_account.
constexpr std::array<std::string_view, 3> words_of_existing{"update", "keep", "refuse"};

window read_window(fields f) {
    window w;
    if (const auto days = f.text("days")) {
        const auto known = parse_days(*days);
        if (!known) f.fault("days", "must be days like mon-fri, sat,sun or daily");
        w.days = known.value_or(w.days);
    }
    for (const auto& [name, to] : {std::pair{"from", &w.from_minute}, std::pair{"to", &w.to_minute}}) {
        const auto text = f.required(name).text(name);
        if (!text) continue;
        const auto minute = parse_time_of_day(*text);
        if (!minute) f.fault(name, "must be a time from 00:00 to 24:00");
        *to = minute.value_or(0);
    }
    w.time_zone = f.text("time_zone").value_or("UTC");
    if (!is_time_zone(w.time_zone)) f.fault("time_zone", "must be a time zone like Europe/Berlin or UTC");
    f.done();
    return w;
}

copy_settings read_copy(fields f) {
    constexpr input::text_rule pattern{.least = 1, .most = 1'000};
    copy_settings c;
    for (const auto& [name, to] :
         {std::pair{"map", &c.map}, std::pair{"include", &c.include}, std::pair{"exclude", &c.exclude}})
        if (auto texts = f.texts(name, 100, pattern)) *to = std::move(*texts);
    c.since = f.text("since", {.least = 10, .most = 10});
    c.max_size = f.integer("max_size", 1, std::int64_t{1} << 40);
    c.repair = f.text("repair");
    for (std::size_t i = 0; i < c.map.size(); ++i)
        if (const auto rule = transfer::parse_map_rule(c.map[i]); !rule)
            f.fault("map", fmt::format("rule {} must be REGEX=>REPLACEMENT: {}", i + 1, rule.error().what));
    if (c.since && !parse_day(*c.since)) f.fault("since", "must be a day such as 2024-02-29");
    if (c.repair && *c.repair != "none" && !message::parse_repairs(*c.repair))
        f.fault("repair", "must be all, none, or names of repairs with commas between: " +
                              message::names_of(message::repair_set::all()));
    c.acl = f.flag("acl").value_or(false);
    if (const auto percent = f.integer("sample_percent", 1, 100)) c.sample_percent = static_cast<int>(*percent);
    f.done();
    return c;
}

hook_settings read_hook(fields f) {
    hook_settings h;
    if (auto command = f.texts("command", 50, {.least = 0, .most = 4'000})) h.command = std::move(*command);
    if (!h.command.empty() && !h.command.front().starts_with('/'))
        f.fault("command", "must begin with the path of a program, from the root");
    h.with_password = f.flag("with_password").value_or(false);
    h.patience_seconds = static_cast<int>(f.integer("patience_seconds", 1, 3'600).value_or(60));
    f.done();
    return h;
}

std::string time_text(int minute) { return fmt::format("{:02}:{:02}", minute / 60, minute % 60); }

std::string days_text(std::uint8_t days) {
    if (days == 0x7F) return "daily";
    std::string out;
    for (unsigned d = 0; d < 7; ++d)
        if ((days >> d & 1U) != 0) out += (out.empty() ? "" : ",") + std::string(names_of_days[d]);
    return out;
}

json::array texts(const std::vector<std::string>& all) {
    json::array out;
    for (const std::string& one : all) out.emplace_back(one);
    return out;
}

template <class T> json::value or_null(const std::optional<T>& v) {
    if (!v) return nullptr;
    return json::value(*v);
}

} // namespace

batch_settings read_settings(fields f) {
    batch_settings s;
    s.mailboxes_at_a_time = static_cast<int>(f.integer("mailboxes_at_a_time", 0, 10'000).value_or(0));
    s.priority = static_cast<int>(f.integer("priority", -100, 100).value_or(0));
    if (auto windows = f.objects("windows", 50))
        for (fields& w : *windows) s.windows.push_back(read_window(std::move(w)));
    if (const auto every = f.integer("delta_every_minutes", 0, 10'080)) {
        if (*every > 0 && *every < 5) f.fault("delta_every_minutes", "must be 5 to 10080, or 0 for none");
        s.delta_every_minutes = static_cast<int>(*every);
    }
    s.retries = static_cast<int>(f.integer("retries", 0, 100).value_or(s.retries));
    s.provisioning = f.text("provisioning", {.least = 1, .most = 100}).value_or(s.provisioning);
    if (const auto existing = f.word("existing", words_of_existing))
        s.existing = static_cast<batch_settings::existing_account>(*existing);
    if (const auto how = f.word("alias_discovery", directory::words_of_alias_discovery))
        s.alias_discovery = static_cast<directory::alias_discovery>(*how);
    if (auto copy = f.object("copy")) s.copy = read_copy(std::move(*copy));
    if (auto hook = f.object("hook")) s.hook = read_hook(std::move(*hook));
    f.done();
    return s;
}

result<batch_settings> parse_settings(const store::json_text& text) {
    auto body = input::parse_object(text);
    std::vector<input::field_fault> faults;
    batch_settings s;
    if (body) s = read_settings(fields(*body, faults));
    if (body && faults.empty()) return s;
    return fail(retry_class::local, phase::ledger,
                fmt::format("The settings of a batch in the store cannot be read: {}",
                            body ? faults.front().field + " " + faults.front().reason : body.error().what),
                "They were written by a newer version, or by hand; set them again");
}

json::object json_of(const batch_settings& s) {
    json::array windows;
    for (const window& w : s.windows)
        windows.push_back(json::object{{"days", days_text(w.days)},
                                       {"from", time_text(w.from_minute)},
                                       {"to", time_text(w.to_minute)},
                                       {"time_zone", w.time_zone}});
    return {{"mailboxes_at_a_time", s.mailboxes_at_a_time},
            {"priority", s.priority},
            {"windows", std::move(windows)},
            {"delta_every_minutes", or_null(s.delta_every_minutes)},
            {"retries", s.retries},
            {"provisioning", s.provisioning},
            {"existing", words_of_existing[static_cast<std::size_t>(s.existing)]},
            {"alias_discovery",
             s.alias_discovery ? json::value(directory::name_of(*s.alias_discovery)) : json::value(nullptr)},
            {"copy", json::object{{"map", texts(s.copy.map)},
                                  {"include", texts(s.copy.include)},
                                  {"exclude", texts(s.copy.exclude)},
                                  {"since", or_null(s.copy.since)},
                                  {"max_size", or_null(s.copy.max_size)},
                                  {"repair", or_null(s.copy.repair)},
                                  {"acl", s.copy.acl},
                                  {"sample_percent", or_null(s.copy.sample_percent)}}},
            {"hook", json::object{{"command", texts(s.hook.command)},
                                  {"with_password", s.hook.with_password},
                                  {"patience_seconds", s.hook.patience_seconds}}}};
}

} // namespace postferry::jobs

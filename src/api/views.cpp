#include "api/views.hpp"

namespace postferry::api {

namespace json = boost::json;

json::value moment_or_null(std::optional<store::unix_ms> ms) {
    if (!ms) return nullptr;
    return json::value(rfc3339_of(*ms));
}

json::value parsed(const store::json_text& text) {
    boost::system::error_code ec;
    json::value v = json::parse(text, ec);
    return ec ? json::value(json::object()) : v;
}

namespace {

template <class T> json::value or_null(const std::optional<T>& value) {
    if (!value) return nullptr;
    return json::value(*value);
}

json::value text_or_null(const std::string& text) {
    if (text.empty()) return nullptr;
    return json::value(text);
}

/// What is written in one place for pages, and read from there for single rows.
template <class Write> json::object as_object(Write write) {
    std::string text;
    json_writer to(text);
    write(to);
    boost::system::error_code ec;
    json::parse_options any_octets;
    any_octets.allow_invalid_utf8 = true;
    json::value v = json::parse(text, ec, {}, any_octets);
    return ec ? json::object() : std::move(v).as_object();
}

} // namespace

json::object view_of(const store::project& p) {
    return {{"id", p.id}, {"name", p.name}, {"created", rfc3339_of(p.created)}};
}

json::object view_of(const store::setting& s) {
    return {{"scope", s.scope}, {"name", s.name}, {"value", parsed(s.value)}};
}

json::object view_of(const store::domain& d) {
    return {{"id", d.id},
            {"project", d.project},
            {"name", d.name},
            {"display", d.display},
            {"overrides", parsed(d.overrides)},
            {"provisioning_frozen", d.provisioning_frozen},
            {"password_changes_frozen", d.passwords_frozen},
            {"created", rfc3339_of(d.created)}};
}

json::object view_of(const store::account& a) {
    return {{"id", a.id},
            {"domain", a.domain},
            {"address", a.address},
            {"name", a.name},
            {"quota", or_null(a.quota)},
            {"language", text_or_null(a.language)},
            {"time_zone", text_or_null(a.time_zone)},
            {"services", parsed(a.services)},
            {"state", store::name_of(a.state)},
            {"reason", text_or_null(a.reason)},
            {"created", rfc3339_of(a.created)}};
}

namespace {

json::value seen_or_null(const store::alias& a) {
    if (a.seen_messages == 0) return nullptr;
    return json::object{
        {"messages", a.seen_messages}, {"newest", moment_or_null(a.seen_newest)}, {"fields", a.seen_in}};
}

} // namespace

json::object view_of(const store::alias& a) {
    return {{"id", a.id},
            {"domain", a.domain},
            {"address", a.address},
            {"goes_to", a.goes_to},
            {"origin", store::name_of(a.origin)},
            {"state", store::name_of(a.state)},
            {"reason", text_or_null(a.reason)},
            {"seen", seen_or_null(a)}};
}

namespace {

// The names are those of the report (docs/json.md).
void write_counts(json_writer& to, const store::message_counts& c) {
    const auto done = c.messages_copied + c.messages_present + c.messages_skipped + c.messages_failed;
    to.open("messages");
    to.put("source", c.messages_source);
    to.put("copied", c.messages_copied);
    to.put("present", c.messages_present);
    to.put("skipped", c.messages_skipped);
    to.put("failed", c.messages_failed);
    to.put("residual", static_cast<std::int64_t>(c.messages_source) - static_cast<std::int64_t>(done));
    to.close();
    to.open("bytes");
    to.put("source", c.octets_source);
    to.put("copied", c.octets_copied);
    to.close();
}

} // namespace

json::object view_of(const store::message_counts& c) {
    return as_object([&](json_writer& to) {
        to.open();
        write_counts(to, c);
        to.close();
    });
}

json::object view_of(const store::batch& b, const std::vector<store::batch_tally>& tally) {
    json::object states;
    store::message_counts sum;
    std::uint64_t mailboxes = 0;
    for (const store::batch_tally& one : tally) {
        states[store::name_of(one.state)] = one.mailboxes;
        mailboxes += static_cast<std::uint64_t>(one.mailboxes);
        sum.messages_source += one.counts.messages_source;
        sum.messages_copied += one.counts.messages_copied;
        sum.messages_present += one.counts.messages_present;
        sum.messages_skipped += one.counts.messages_skipped;
        sum.messages_failed += one.counts.messages_failed;
        sum.octets_source += one.counts.octets_source;
        sum.octets_copied += one.counts.octets_copied;
    }
    json::object view{{"id", b.id},
                      {"project", b.project},
                      {"name", b.name},
                      {"state", store::name_of(b.state)},
                      {"mode", store::name_of(b.mode)},
                      {"settings", parsed(b.settings)},
                      {"start_at", moment_or_null(b.start_at)},
                      {"created", rfc3339_of(b.created)},
                      {"created_by", b.created_by},
                      {"mailboxes", mailboxes},
                      {"mailbox_states", std::move(states)}};
    for (auto& member : view_of(sum)) view[member.key()] = std::move(member.value());
    return view;
}

void write_view(json_writer& to, const store::migration& m) {
    to.open();
    to.put("id", m.id);
    to.put("batch", m.batch);
    to.put("account", m.account);
    to.put("source_url", m.source_url);
    to.put("source_user", m.source_user);
    to.put("target_url", m.target_url);
    to.put("target_user", m.target_user);
    to.put("source_server", m.source_server);
    to.put("target_server", m.target_server);
    to.put("state", store::name_of(m.state));
    to.put_moment("since", m.since);
    to.put_or_null("reason", m.reason);
    to.put_or_null("class", m.reason_class);
    to.put_moment("until", m.until);
    to.put_or_null("throttled_by", m.throttled_by);
    to.put("priority", m.priority);
    to.put_or_null("next_pass", m.next_pass);
    to.put_moment("due", m.due);
    to.put_or_null("grade", m.grade);
    to.put("passes", m.passes);
    to.put("row", m.position);
    to.put_moment("created", m.created);
    to.put_or_null("notify", m.notify);
    to.open("seconds");
    to.put("queued", m.queued_ms / 1000);
    to.put("running", m.running_ms / 1000);
    to.put("throttled", m.throttled_ms / 1000);
    to.put("stalled", m.stalled_ms / 1000);
    to.close();
    write_counts(to, m.counts);
    to.close();
}

json::object view_of(const store::migration& m) {
    return as_object([&](json_writer& to) { write_view(to, m); });
}

json::object view_of(const store::pass_record& p) {
    json::object view{{"id", p.id},
                      {"mailbox", p.migration},
                      {"pass", p.kind},
                      {"started", rfc3339_of(p.started)},
                      {"ended", moment_or_null(p.ended)},
                      {"worker", p.worker},
                      {"outcome", text_or_null(p.outcome)}};
    for (auto& member : view_of(p.counts)) view[member.key()] = std::move(member.value());
    return view;
}

json::object view_of(const store::event& e) {
    const auto state_or_json = [](const std::string& text) -> json::value {
        if (text.empty()) return nullptr;
        if (text.front() == '{') return parsed(text);
        return json::value(text);
    };
    return {{"id", e.id},
            {"at", rfc3339_of(e.at)},
            {"actor", e.actor},
            {"kind", e.kind},
            {"project", or_null(e.project)},
            {"batch", or_null(e.batch)},
            {"mailbox", or_null(e.migration)},
            {"before", state_or_json(e.before)},
            {"after", state_or_json(e.after)},
            {"detail", parsed(e.detail)}};
}

json::object view_of(const store::log_line& l) {
    return {{"id", l.id},
            {"at", rfc3339_of(l.at)},
            {"batch", l.batch},
            {"mailbox", or_null(l.migration)},
            {"folder", or_null(l.folder)},
            {"level", store::name_of(l.level)},
            {"text", l.text}};
}

json::object view_of(const store::worker& w) {
    return {{"id", w.id},
            {"name", w.name},
            {"host", w.host},
            {"pid", w.pid},
            {"version", w.version},
            {"jobs", w.jobs},
            {"state", store::name_of(w.state)},
            {"started", rfc3339_of(w.started)},
            {"seen", rfc3339_of(w.seen)}};
}

json::object view_of(const store::server_use& s) {
    return {{"server", s.limits.key},
            {"connections_max", or_null(s.limits.connections_max)},
            {"messages_per_second", or_null(s.limits.messages_per_second)},
            {"bytes_per_second", or_null(s.limits.octets_per_second)},
            {"paused_until", moment_or_null(s.limits.paused_until)},
            {"paused_why", text_or_null(s.limits.paused_why)},
            {"mailboxes", s.mailboxes},
            {"connections", s.connections},
            {"workers", s.workers}};
}

json::object view_of(const store::person& p) {
    return {{"id", p.id},
            {"name", p.name},
            {"display", p.display},
            {"role", store::name_of(p.role)},
            {"disabled", p.disabled},
            {"can_sign_in", !p.password.empty() && !p.disabled},
            {"created", rfc3339_of(p.created)}};
}

json::object view_of(const store::api_token& t) {
    json::array scopes;
    for (std::string_view rest = t.scopes; !rest.empty();) {
        const std::string_view word = rest.substr(0, rest.find(' '));
        rest.remove_prefix(std::min(rest.size(), word.size() + 1));
        scopes.emplace_back(word);
    }
    return {{"id", t.id},
            {"user", t.person},
            {"name", t.name},
            {"scopes", std::move(scopes)},
            {"created", rfc3339_of(t.created)},
            {"expires", moment_or_null(t.expires)},
            {"used", moment_or_null(t.used)}};
}

} // namespace postferry::api

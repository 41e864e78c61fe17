// A CSV of accounts: sent, looked at, committed.
#include "api/batch_settings_edit.hpp"
#include "api/listing.hpp"
#include "api/routes.hpp"
#include "base/percent.hpp"
#include "jobs/import.hpp"
#include "jobs/worker_id.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

namespace postferry::api {

namespace json = boost::json;
using jobs::import_form;
using jobs::import_view;
using store::tables;

namespace {

constexpr std::uint64_t largest_file = 256'000'000;
constexpr std::size_t longest_password = 1'000;

std::unexpected<problem> refuse_no_imports() {
    return refuse(409, "This service has no key file ([store] key_file), and can keep no passwords");
}

json::object view_of(const import_view& v) {
    const auto texts = [](const std::vector<std::string>& all) {
        json::array out;
        for (const std::string& one : all) out.emplace_back(one);
        return out;
    };
    const import_view::counts& a = v.added;
    json::array batches;
    for (const store::record_id id : v.batch_ids) batches.emplace_back(id);
    return {{"id", v.id},
            {"state", jobs::name_of(v.at)},
            {"name", v.name},
            {"summary", v.summary},
            {"preset", v.preset},
            {"encoding", v.encoding},
            {"separator", v.separator},
            {"project", v.project},
            {"batch", v.batch},
            {"mode", store::name_of(v.mode)},
            {"rows", v.rows},
            {"faulty_rows", v.faulty_rows},
            {"faults", v.fault_count},
            {"new_domains", texts(v.new_domains)},
            {"new_domain_count", v.new_domain_count},
            {"notes", texts(v.notes)},
            {"error", v.why ? json::value(v.why->message()) : json::value()},
            {"created", rfc3339_of(v.created)},
            {"expires", rfc3339_of(v.expires)},
            {"added", json::object{{"batches", a.batches},
                                   {"domains", a.domains},
                                   {"accounts", a.accounts},
                                   {"aliases", a.aliases},
                                   {"mailboxes", a.mailboxes},
                                   {"known_accounts", a.known_accounts},
                                   {"known_aliases", a.known_aliases},
                                   {"known_mailboxes", a.known_mailboxes},
                                   {"skipped_rows", a.skipped_rows}}},
            {"batches", std::move(batches)}};
}

/// What the query says of the file; `faults` of its fields.
struct wishes {
    import_form form;
    std::optional<store::batch_mode> mode;
    json::object settings; ///< of a batch that is made
};

bool flag_of(const context& c, std::string_view name, std::vector<field_fault>& faults) {
    const auto text = c.query(name);
    if (text && *text != "true" && *text != "false")
        faults.push_back({.field = "?" + std::string(name), .reason = "must be true or false"});
    return !text || *text == "true";
}

std::string text_of(const context& c, std::string_view name, std::size_t most, std::vector<field_fault>& faults) {
    const std::string text(c.query(name).value_or(""));
    const auto control = [](char ch) { return static_cast<unsigned char>(ch) < 0x20 || ch == 0x7f; };
    if (text.size() > most || std::ranges::any_of(text, control))
        faults.push_back({.field = "?" + std::string(name),
                          .reason = fmt::format("must be at most {} octets without control characters", most)});
    return text;
}

/// In a header field, as it is no part of the URL that servers write to their logs; percent-encoded.
secret password_in(const context& c, std::string_view name, std::vector<field_fault>& faults) {
    const std::string_view sent = c.request.header(name);
    auto text = percent_decode(sent);
    if (!text || text->size() > longest_password) {
        faults.push_back({.field = std::string(name), .reason = "must be percent-encoded, at most 1,000 octets"});
        return {};
    }
    return secret(std::move(*text));
}

outcome<wishes> read_wishes(const context& c) {
    std::vector<field_fault> faults;
    wishes w;
    w.form.batch = text_of(c, "batch", 200, faults);
    if (auto name = text_of(c, "name", 200, faults); !name.empty()) w.form.name = std::move(name);
    auto project = c.query_id("project");
    if (!project) return std::unexpected(std::move(project.error()));
    w.form.project = project->value_or(store::default_project);
    if (const auto mode = c.query("mode")) {
        w.mode = store::parse<store::batch_mode>(*mode);
        if (!w.mode)
            faults.push_back(
                {.field = "?mode", .reason = "must be create-only, upsert, messages-only or passwords-only"});
    }
    for (const std::string_view name : {"provisioning", "existing"})
        if (auto text = text_of(c, name, 100, faults); !text.empty()) w.settings[name] = std::move(text);
    if (const auto existing = c.query("existing");
        existing && *existing != "update" && *existing != "keep" && *existing != "refuse")
        faults.push_back({.field = "?existing", .reason = "must be update, keep or refuse"});
    w.form.defaults.source.url = text_of(c, "source", 8'000, faults);
    w.form.defaults.target.url = text_of(c, "target", 8'000, faults);
    w.form.defaults.source.password = password_in(c, "Postferry-Source-Password", faults);
    w.form.defaults.target.password = password_in(c, "Postferry-Target-Password", faults);
    w.form.make_domains = flag_of(c, "make_domains", faults);
    w.form.check_hosts = flag_of(c, "check_hosts", faults);
    w.form.local_places = true; // whoever may import may name them for a mailbox, too
    for (const auto& [name, url] :
         {std::pair{"?source", &w.form.defaults.source.url}, std::pair{"?target", &w.form.defaults.target.url}}) {
        if (url->empty()) continue;
        if (auto end = mailbox::parse_endpoint(*url, "user@example.org"); !end)
            faults.push_back({.field = name, .reason = end.error().message()});
    }
    if (faults.empty() && w.form.batch.empty())
        faults.push_back({.field = "?batch", .reason = "is missing: where do the rows go?"});
    if (!faults.empty()) return invalid(std::move(faults));
    return w;
}

/// Its batch's mode and settings when there is one; else what new batches begin with, and the wishes over it.
task<outcome<import_form>> complete(route_parts with, wishes w) {
    struct found {
        std::optional<store::batch> batch;
        outcome<store::json_text> settings;
    };
    auto known = co_await with.db.read([w](tables& t) -> result<found> {
        auto project = t.settings.find_project(w.form.project);
        if (!project) return std::unexpected(std::move(project.error()));
        if (!*project) return store::refusal::refuse(store::refusal::missing, "There is no such project");
        auto batch = t.batches.find(w.form.project, w.form.batch);
        if (!batch) return std::unexpected(std::move(batch.error()));
        auto settings = settings_for_new(t, w.form.project, w.settings);
        if (!settings) return std::unexpected(std::move(settings.error()));
        return found{.batch = std::move(*batch), .settings = std::move(*settings)};
    });
    if (!known) co_return refuse(known.error());
    import_form form = std::move(w.form);
    if (known->batch) {
        const store::batch& b = *known->batch;
        if (w.mode && *w.mode != b.mode)
            co_return invalid("?mode", fmt::format("is {} in the batch {}", store::name_of(b.mode), b.name));
        form.mode = b.mode;
        known->settings = b.settings;
    } else {
        form.mode = w.mode.value_or(form.mode);
    }
    if (!known->settings) co_return std::unexpected(std::move(known->settings.error()));
    auto settings = jobs::parse_settings(*known->settings);
    if (!settings) co_return refuse(settings.error());
    form.settings = std::move(*settings);
    if (with.directory != nullptr && !known->batch)
        if (auto driver = with.directory->drivers().find(form.settings.provisioning); !driver)
            co_return invalid("?provisioning", driver.error().message());
    co_return form;
}

task<outcome<http::reply>> add_import(route_parts with, context& c) {
    if (with.imports == nullptr) co_return refuse_no_imports();
    const std::string_view type = c.request.header("content-type");
    if (!type.starts_with("text/csv")) co_return refuse(415, "Send the file itself, as Content-Type: text/csv");
    auto wished = read_wishes(c);
    if (!wished) co_return std::unexpected(std::move(wished.error()));
    auto form = co_await complete(with, std::move(*wished));
    if (!form) co_return std::unexpected(std::move(form.error()));
    const auto file = with.uploads / fmt::format("{}{}", jobs::import_desk::upload_prefix, jobs::new_worker_id());
    auto sent = co_await c.request.body_to_file(file, largest_file);
    if (!sent) co_return refuse(sent.error());
    auto view = co_await with.imports->preview(file, std::move(*form));
    if (!view) co_return refuse(view.error());
    http::reply r = json_reply(view_of(*view), 201);
    r.fields.emplace_back("Location", fmt::format("/api/v1/imports/{}", view->id));
    co_return r;
}

task<outcome<http::reply>> show_import(route_parts with, context& c) {
    if (with.imports == nullptr) co_return refuse_no_imports();
    auto view = with.imports->find(c.parameters.at(0));
    if (!view) co_return refuse(view.error());
    co_return json_reply(view_of(*view));
}

task<outcome<http::reply>> list_faults(route_parts with, context& c) {
    if (with.imports == nullptr) co_return refuse_no_imports();
    auto page = c.page();
    if (!page) co_return std::unexpected(std::move(page.error()));
    const auto from = static_cast<std::size_t>(page->after), limit = static_cast<std::size_t>(page->limit);
    auto some = with.imports->faults(c.parameters.at(0), from, limit + 1);
    if (!some) co_return refuse(some.error());
    json::array items;
    for (std::size_t i = 0; i < std::min(limit, some->size()); ++i) {
        const accounts::csv_fault& f = (*some)[i];
        items.push_back(json::object{{"row", f.row}, {"line", f.line}, {"column", f.column}, {"reason", f.what}});
    }
    const auto behind = static_cast<store::record_id>(from + limit);
    co_return page_reply(std::move(items), some->size() > limit ? std::optional(behind) : std::nullopt);
}

task<outcome<http::reply>> remove_import(route_parts with, context& c) {
    if (with.imports == nullptr) co_return refuse_no_imports();
    if (auto gone = with.imports->forget(c.parameters.at(0)); !gone) co_return refuse(gone.error());
    co_return http::reply::empty();
}

task<outcome<http::reply>> commit_import(route_parts with, context& c) {
    if (with.imports == nullptr) co_return refuse_no_imports();
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    const bool skip = body.flag("skip_invalid").value_or(false);
    const bool start = body.flag("start").value_or(false);
    body.done();
    if (!faults.empty()) co_return invalid(std::move(faults));
    auto view = co_await with.imports->commit(c.parameters.at(0), skip, c.who.actor);
    if (!view) co_return refuse(view.error());
    for (const store::record_id batch : view->batch_ids) {
        if (!start) break;
        auto begun = co_await with.commands.batch(batch, jobs::command::start, c.who.actor);
        if (!begun) co_return refuse(begun.error());
    }
    co_return json_reply(view_of(*view));
}

} // namespace

void add_import_routes(router& to, route_parts with) {
    const route_adder add{.to = to, .bound = {with}};
    const bound_to& bound = add.bound;
    using http::method;
    to.add({.verb = method::post,
            .pattern = "/imports",
            .needs = access::admin,
            .body = route::takes::raw,
            .holds_secret = true, // a body of any size has no mark that an Idempotency-Key could be held against
            .run = bound(add_import)});
    add(method::get, "/imports/{import}", access::admin, show_import);
    add(method::del, "/imports/{import}", access::admin, remove_import);
    add(method::get, "/imports/{import}/faults", access::admin, list_faults);
    add(method::post, "/imports/{import}/commit", access::admin, commit_import, route::takes::json);
}

} // namespace postferry::api

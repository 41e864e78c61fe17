// The mailboxes of batches: listed, added one by one, shown, edited, taken out. What is done with them:
// mailbox_action_routes.cpp; what has become of them: history_routes.cpp.
#include "api/audit.hpp"
#include "api/batch_view.hpp"
#include "api/listing.hpp"
#include "api/passwords.hpp"
#include "api/routes.hpp"
#include "jobs/batch_settings.hpp"
#include "jobs/mailbox_place.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

namespace postferry::api {

using store::mailbox_state;
using store::migration;
using store::tables;
namespace refusal = store::refusal;

namespace {

constexpr input::text_rule a_url{.least = 1, .most = 2'000}, a_user{.least = 1, .most = 500};

outcome<store::migration_filter> filter_of(const context& c) {
    store::migration_filter f;
    auto states = states_in<mailbox_state>(c);
    if (!states) return std::unexpected(std::move(states.error()));
    f.states = *states;
    if (const auto grade = c.query("grade")) {
        static constexpr std::array<std::string_view, 4> known{"perfect", "good", "investigate", "poor"};
        if (std::ranges::find(known, *grade) == known.end())
            return invalid("?grade", fmt::format("must be one of: {}", fmt::join(known, ", ")));
        f.grade = *grade;
    }
    const std::string_view user = c.query("user").value_or("").substr(0, 200);
    if (user.starts_with('*'))
        f.user_contains = user.substr(1);
    else
        f.user_begins = user;
    return f;
}

struct mailbox_page {
    std::string text;
    bool empty = false;
};

result<mailbox_page> read_page(tables& t, const store::migration_filter& filter, const store::paging& where) {
    page_body body(where.limit);
    auto end = t.migrations.each(filter, where, [&](const migration& m) { body.add(m); });
    if (!end) return std::unexpected(std::move(end.error()));
    return mailbox_page{.text = std::move(body).done(end->more ? std::optional(end->last) : std::nullopt),
                        .empty = end->last == 0};
}

/// @param batch_must_be_there where mailboxes are, their batch is; it is looked for only when there are none
task<outcome<http::reply>> page_of(store::database& db, const context& c, store::migration_filter filter,
                                   bool batch_must_be_there = false) {
    auto page = c.page();
    if (!page) co_return std::unexpected(std::move(page.error()));
    const store::paging where{.after = page->after, .limit = page->limit};
    const auto read = [filter, where](tables& t) { return read_page(t, filter, where); };
    using kind = store::database_job::kind;
    const kind how = store::migration_repository::asks_once(filter) ? kind::single_read : kind::read;
    auto made = co_await db.ask(how, read);
    if (!made) co_return refuse(made.error());
    if (made->empty && batch_must_be_there) {
        auto batch = co_await db.read_single([id = *filter.batch](tables& t) { return existing_batch(t, id); });
        if (!batch) co_return refuse(batch.error());
    }
    co_return page_reply(std::move(made->text));
}

task<outcome<http::reply>> list_all(route_parts with, context& c) {
    auto filter = filter_of(c);
    if (!filter) co_return std::unexpected(std::move(filter.error()));
    for (const auto& [name, to] : {std::pair{"batch", &filter->batch}, std::pair{"account", &filter->account}}) {
        auto id = c.query_id(name);
        if (!id) co_return std::unexpected(std::move(id.error()));
        *to = *id;
    }
    if (const auto server = c.query("server")) filter->server = server->substr(0, 300);
    co_return co_await page_of(with.db, c, std::move(*filter));
}

task<outcome<http::reply>> list_of_batch(route_parts with, context& c) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    auto filter = filter_of(c);
    if (!filter) co_return std::unexpected(std::move(filter.error()));
    filter->batch = *id;
    co_return co_await page_of(with.db, c, std::move(*filter), true);
}

task<outcome<http::reply>> show_mailbox(route_parts with, context& c) {
    return show(with.db, c, [](tables& t, store::record_id id) { return t.migrations.find(id); });
}

/// A place as the body names it, else as it is stored.
struct end_words {
    std::optional<std::string> url = {}, user = {};
    [[nodiscard]] bool said() const noexcept { return url || user; }
};

end_words read_end(fields& body, std::string_view url, std::string_view user) {
    return {.url = body.text(url, a_url), .user = body.text(user, a_user)};
}

/// Puts one end of `m` to what was said; a URL that does not make sense is a fault.
std::optional<jobs::mailbox_place> put_end(migration& m, const end_words& said, bool target, fields& body) {
    std::string& url = target ? m.target_url : m.source_url;
    std::string& user = target ? m.target_user : m.source_user;
    if (said.url) url = *said.url;
    if (said.user) user = *said.user;
    auto place = jobs::place_of(url, user, target);
    if (!place) {
        body.fault(target ? "target_url" : "source_url", place.error().message());
        return std::nullopt;
    }
    url = place->url;
    (target ? m.target_server : m.source_server) = place->server;
    return std::move(*place);
}

/// A mailbox that can be begun, as far as is known here, or the reason why not.
result<std::string> lacking(tables& t, const migration& m, const std::vector<store::credential_value>& given,
                            const jobs::mailbox_place& from, const jobs::mailbox_place& to) {
    for (const auto& [place, purpose] : {std::pair{&from, "source"}, std::pair{&to, "target"}}) {
        if (!place->wants_password ||
            std::ranges::any_of(given, [&](const auto& c) { return c.key.purpose == purpose; }))
            continue;
        auto shared =
            t.credentials.find({.kind = store::owner_kind::server, .owner = place->server, .purpose = purpose});
        if (!shared) return std::unexpected(std::move(shared.error()));
        if (!*shared) return fmt::format("No password is stored for the {}", purpose);
    }
    (void)m;
    return std::string();
}

struct new_mailbox {
    migration row;
    jobs::mailbox_place from, to;
    std::vector<store::credential_value> passwords;
    std::optional<int> priority;
};

outcome<new_mailbox> read_new(route_parts with, context& c) {
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    new_mailbox made;
    for (const std::string_view name : {"source_url", "source_user", "target_url", "target_user"}) body.required(name);
    const auto source = read_end(body, "source_url", "source_user"),
               target = read_end(body, "target_url", "target_user");
    made.passwords = read_passwords(body, {"source_password", "target_password"});
    made.row.account = body.integer("account", 1, INT64_MAX);
    if (const auto priority = body.integer("priority", -100, 100)) made.priority = static_cast<int>(*priority);
    if (faults.empty()) {
        if (auto place = put_end(made.row, source, false, body)) made.from = std::move(*place);
        if (auto place = put_end(made.row, target, true, body)) made.to = std::move(*place);
    }
    body.done();
    if (!faults.empty()) return invalid(std::move(faults));
    if (!made.passwords.empty() && with.vault == nullptr) return refuse_passwords();
    return made;
}

/// States of a batch into which mailboxes may still come.
constexpr store::batch_states growing{store::batch_state::draft,     store::batch_state::ready,
                                      store::batch_state::scheduled, store::batch_state::syncing,
                                      store::batch_state::synced,    store::batch_state::stopped};

result<outcome<migration>> put_new(tables& t, store::vault* vault, store::record_id batch, new_mailbox made,
                                   const std::string& actor) {
    using answer = outcome<migration>;
    auto row = t.batches.keep(batch);
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return refusal::refuse(refusal::missing, "There is no such batch");
    if (!growing.has((*row)->state))
        return refusal::refuse(refusal::not_allowed, fmt::format("A batch that is {} takes no more mailboxes",
                                                                 store::name_of((*row)->state)));
    auto settings = jobs::parse_settings((*row)->settings);
    if (!settings) return std::unexpected(std::move(settings.error()));
    if (made.row.account) {
        auto account = t.directory.find_account(*made.row.account);
        if (!account) return std::unexpected(std::move(account.error()));
        if (!*account) return answer(invalid("/account", "there is no such account"));
    }
    auto now = t.now();
    if (!now) return std::unexpected(std::move(now.error()));
    migration& m = made.row;
    auto reason = lacking(t, m, made.passwords, made.from, made.to);
    if (!reason) return std::unexpected(std::move(reason.error()));
    m.batch = batch;
    m.priority = made.priority.value_or(settings->priority);
    m.state = reason->empty() ? mailbox_state::ready : mailbox_state::needs_credentials;
    m.reason = std::move(*reason);
    m.next_pass = "bulk";
    m.since = m.created = *now;
    auto ids = t.migrations.add({m});
    if (!ids) return std::unexpected(std::move(ids.error()));
    if (ids->front() == 0)
        return refusal::refuse(refusal::duplicate, "The batch has a mailbox of these two places already");
    if (auto ok = seal(t, vault, ids->front(), std::move(made.passwords)); !ok)
        return std::unexpected(std::move(ok.error()));
    auto stored = existing_mailbox(t, ids->front());
    if (!stored) return std::unexpected(std::move(stored.error()));
    auto kept = audit(t, actor,
                      {.what = "mailbox.create",
                       .after = view_of(*stored),
                       .project = (*row)->project,
                       .batch = batch,
                       .migration = stored->id});
    if (!kept) return std::unexpected(std::move(kept.error()));
    return answer(std::move(*stored));
}

task<outcome<http::reply>> add_mailbox(route_parts with, context& c) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    auto made = read_new(with, c);
    if (!made) co_return std::unexpected(std::move(made.error()));
    auto added = co_await with.db.synced([vault = with.vault, batch = *id, made = *made, actor = c.who.actor](
                                             tables& t) { return put_new(t, vault, batch, made, actor); });
    if (!added) co_return refuse(added.error());
    if (!*added) co_return std::unexpected(std::move(added->error()));
    co_return created_reply(view_of(**added), (*added)->version, fmt::format("/api/v1/mailboxes/{}", (*added)->id));
}

struct mailbox_words {
    end_words source, target;
    std::optional<store::record_id> account;
    std::optional<int> priority;
    [[nodiscard]] bool moves() const noexcept { return source.said() || target.said() || account; }
};

result<outcome<migration>> change_mailbox(tables& t, edited_row at, const mailbox_words& w, const std::string& actor) {
    using answer = outcome<migration>;
    auto before = existing_mailbox(t, at.id);
    if (!before) return std::unexpected(std::move(before.error()));
    if (w.moves() && store::running_states.has(before->state))
        return refusal::refuse(refusal::not_allowed, "A worker is at work on the mailbox", "Pause it first");
    migration after = *before;
    after.version = at.from;
    std::vector<field_fault> faults;
    const boost::json::object nothing;
    fields body(nothing, faults);
    if (w.source.said()) (void)put_end(after, w.source, false, body);
    if (w.target.said()) (void)put_end(after, w.target, true, body);
    if (!faults.empty()) return answer(invalid(std::move(faults)));
    if (w.account) {
        auto account = t.directory.find_account(*w.account);
        if (!account) return std::unexpected(std::move(account.error()));
        if (!*account) return answer(invalid("/account", "there is no such account"));
        after.account = w.account;
    }
    if (w.priority) after.priority = *w.priority;
    if (w.source.said() || w.target.said()) after.next_pass = "bulk"; // another place: nothing is known of it
    auto stored = t.migrations.update(after);
    if (!stored) return std::unexpected(std::move(stored.error()));
    auto kept = audit(t, actor,
                      {.what = "mailbox.update",
                       .before = view_of(*before),
                       .after = view_of(*stored),
                       .batch = stored->batch,
                       .migration = at.id});
    if (!kept) return std::unexpected(std::move(kept.error()));
    return answer(std::move(*stored));
}

task<outcome<http::reply>> edit_mailbox(route_parts with, context& c) {
    auto at = c.edited();
    if (!at) co_return std::unexpected(std::move(at.error()));
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    mailbox_words w{.source = read_end(body, "source_url", "source_user"),
                    .target = read_end(body, "target_url", "target_user"),
                    .account = body.integer("account", 1, INT64_MAX),
                    .priority = {}};
    if (const auto priority = body.integer("priority", -100, 100)) w.priority = static_cast<int>(*priority);
    body.done();
    if (!faults.empty()) co_return invalid(std::move(faults));
    // A place may be a folder of this machine, and the stored passwords go where the URL says.
    if (w.moves() && c.who.most < access::admin)
        co_return refuse(403, "Places, users and accounts of mailboxes are changed by admins");
    auto stored = co_await with.db.synced(
        [at = *at, w, actor = c.who.actor](tables& t) { return change_mailbox(t, at, w, actor); });
    if (!stored) co_return refuse(stored.error());
    if (!*stored) co_return std::unexpected(std::move(stored->error()));
    with.woken();
    co_return versioned_reply(view_of(**stored), (*stored)->version);
}

task<outcome<http::reply>> remove_mailbox(route_parts with, context& c) {
    auto at = c.edited();
    if (!at) co_return std::unexpected(std::move(at.error()));
    auto gone = co_await with.db.synced([at = *at, actor = c.who.actor](tables& t) -> result<void> {
        auto before = existing_mailbox(t, at.id);
        if (!before) return std::unexpected(std::move(before.error()));
        if (before->version != at.from)
            return refusal::refuse(refusal::conflict, "The mailbox has been changed by somebody else");
        if (auto ok = t.migrations.remove(at.id); !ok) {
            const bool held = refusal::is(ok.error(), refusal::conflict);
            return held ? refusal::refuse(refusal::not_allowed, "A worker is at work on the mailbox", "Cancel it first")
                        : ok;
        }
        return audit(
            t, actor,
            {.what = "mailbox.delete", .before = view_of(*before), .batch = before->batch, .migration = at.id});
    });
    if (!gone) co_return refuse(gone.error());
    co_return http::reply::empty();
}

} // namespace

void add_mailbox_routes(router& to, route_parts with) {
    const route_adder add{.to = to, .bound = {with}};
    using http::method;
    constexpr auto json = route::takes::json;
    add(method::get, "/batches/{batch}/mailboxes", access::read, list_of_batch);
    add(method::post, "/batches/{batch}/mailboxes", access::admin, add_mailbox, json);
    add(method::get, "/mailboxes", access::read, list_all);
    add(method::get, "/mailboxes/{mailbox}", access::read, show_mailbox);
    add(method::patch, "/mailboxes/{mailbox}", access::operate, edit_mailbox, json);
    add(method::del, "/mailboxes/{mailbox}", access::admin, remove_mailbox);
}

} // namespace postferry::api

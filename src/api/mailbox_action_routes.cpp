// What is done with one mailbox: credentials, commands, waived messages.
#include "api/audit.hpp"
#include "api/batch_view.hpp"
#include "api/failures.hpp"
#include "api/passwords.hpp"
#include "api/routes.hpp"
#include "jobs/credentials_given.hpp"
#include "store/change_state.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

namespace postferry::api {

using jobs::command;
using store::mailbox_state;
using store::migration;
using store::tables;

namespace {

task<outcome<http::reply>> carry_out(route_parts with, command what, context& c) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    auto done = co_await with.commands.mailbox(*id, what, c.who.actor);
    if (!done) co_return refuse(done.error());
    auto kept = co_await with.db.synced([m = *done, what, actor = c.who.actor](tables& t) {
        return audit(t, actor,
                     {.what = fmt::format("mailbox.{}", jobs::name_of(what)), .batch = m.batch, .migration = m.id});
    });
    if (!kept) co_return refuse(kept.error());
    co_return versioned_reply(view_of(*done), done->version);
}

task<outcome<http::reply>> set_credentials(route_parts with, context& c) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    auto given =
        read_passwords(body, {"source_password", "target_password", "source_refresh_token", "target_refresh_token"});
    body.done();
    if (given.empty() && faults.empty()) body.fault("source_password", "is missing, and so is every other password");
    if (!faults.empty()) co_return invalid(std::move(faults));
    if (with.vault == nullptr) co_return refuse_passwords();
    auto stored = co_await with.db.synced(
        [vault = with.vault, id = *id, given = std::move(given), actor = c.who.actor](tables& t) -> result<migration> {
            auto row = existing_mailbox(t, id);
            if (!row) return row;
            boost::json::array what;
            for (const auto& one : given) what.emplace_back(one.key.purpose);
            if (auto ok = seal(t, vault, id, given); !ok) return std::unexpected(std::move(ok.error()));
            auto kept = audit(t, actor,
                              {.what = "mailbox.credentials",
                               .detail = {{"given", std::move(what)}},
                               .batch = row->batch,
                               .migration = id});
            if (!kept) return std::unexpected(std::move(kept.error()));
            return row->state == mailbox_state::needs_credentials ? jobs::credentials_given(t, id, actor) : row;
        });
    if (!stored) co_return refuse(stored.error());
    with.woken();
    co_return versioned_reply(view_of(*stored), stored->version);
}

task<outcome<http::reply>> purge_credentials(route_parts with, context& c) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    auto gone = co_await with.db.synced([id = *id, actor = c.who.actor](tables& t) -> result<void> {
        auto row = existing_mailbox(t, id);
        if (!row) return std::unexpected(std::move(row.error()));
        auto count = t.credentials.remove_of(store::owner_kind::migration, std::to_string(id));
        if (!count) return std::unexpected(std::move(count.error()));
        return audit(t, actor,
                     {.what = "mailbox.purge_credentials",
                      .detail = {{"credentials", *count}},
                      .batch = row->batch,
                      .migration = id});
    });
    if (!gone) co_return refuse(gone.error());
    co_return http::reply::empty();
}

struct waive_words {
    std::vector<store::waiver> messages;
    std::string reason;
};

outcome<waive_words> read_messages(context& c, bool with_reason) {
    std::vector<field_fault> faults;
    fields body(c.body, faults);
    waive_words w;
    auto all = body.required("messages").objects("messages", 1'000);
    if (all && all->empty()) body.fault("messages", "must name at least one");
    if (all)
        for (fields& one : *all) {
            one.required("folder");
            one.required("source_uid");
            store::waiver m{.folder = one.text("folder", {.least = 1, .most = 1'000}).value_or("")};
            m.source_uid = static_cast<std::uint32_t>(one.integer("source_uid", 1, UINT32_MAX).value_or(0));
            one.done();
            w.messages.push_back(std::move(m));
        }
    if (with_reason) w.reason = body.required("reason").text("reason", {.least = 1, .most = 1'000}).value_or("");
    body.done();
    if (!faults.empty()) return invalid(std::move(faults));
    return w;
}

boost::json::array places_of(const std::vector<store::waiver>& messages) {
    boost::json::array out;
    for (const store::waiver& w : messages)
        out.push_back(boost::json::object{{"folder", w.folder}, {"source_uid", w.source_uid}});
    return out;
}

task<outcome<http::reply>> waive(route_parts with, bool take_back, context& c) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    auto words = read_messages(c, !take_back);
    if (!words) co_return std::unexpected(std::move(words.error()));
    auto now = co_await with.db.synced(
        [id = *id, take_back, w = *words, actor = c.who.actor](tables& t) -> result<boost::json::object> {
            auto row = existing_mailbox(t, id);
            if (!row) return std::unexpected(std::move(row.error()));
            auto at = t.now();
            if (!at) return std::unexpected(std::move(at.error()));
            std::vector<store::waiver> all = w.messages;
            for (store::waiver& one : all) {
                one.migration = id;
                one.by = actor;
                one.at = *at;
                one.why = w.reason;
                if (!take_back) continue;
                if (auto gone = t.waivers.remove(id, one.folder, one.source_uid); !gone)
                    return std::unexpected(std::move(gone.error()));
            }
            if (!take_back)
                if (auto ok = t.waivers.add(all); !ok) return std::unexpected(std::move(ok.error()));
            boost::json::object detail{{"messages", places_of(all)}};
            if (!take_back) detail["reason"] = w.reason;
            auto kept = audit(t, actor,
                              {.what = take_back ? "mailbox.unwaive" : "mailbox.waive",
                               .detail = std::move(detail),
                               .batch = row->batch,
                               .migration = id});
            if (!kept) return std::unexpected(std::move(kept.error()));
            return failures_of(t, id);
        });
    if (!now) co_return refuse(now.error());
    co_return json_reply(std::move(*now));
}

} // namespace

void add_mailbox_action_routes(router& to, route_parts with) {
    using http::method;
    constexpr auto json = route::takes::json;
    to.add({.verb = method::post,
            .pattern = "/mailboxes/{mailbox}/credentials",
            .needs = access::admin,
            .body = json,
            .holds_secret = true,
            .run = [with](context& c) { return set_credentials(with, c); }});
    to.add({.verb = method::del,
            .pattern = "/mailboxes/{mailbox}/credentials",
            .needs = access::admin,
            .run = [with](context& c) { return purge_credentials(with, c); }});
    static constexpr std::array<std::pair<command, std::string_view>, 6> actions{
        {{command::start, "/mailboxes/{mailbox}/start"},
         {command::pause, "/mailboxes/{mailbox}/pause"},
         {command::resume, "/mailboxes/{mailbox}/resume"},
         {command::cancel, "/mailboxes/{mailbox}/cancel"},
         {command::retry, "/mailboxes/{mailbox}/retry"},
         {command::finish, "/mailboxes/{mailbox}/finish"}}};
    for (const auto& [what, pattern] : actions)
        to.add({.verb = method::post, .pattern = pattern, .needs = access::operate, .run = [with, what](context& c) {
                    return carry_out(with, what, c);
                }});
    to.add({.verb = method::post,
            .pattern = "/mailboxes/{mailbox}/failures/waive",
            .needs = access::operate,
            .body = json,
            .run = [with](context& c) { return waive(with, false, c); }});
    to.add({.verb = method::post,
            .pattern = "/mailboxes/{mailbox}/failures/unwaive",
            .needs = access::operate,
            .body = json,
            .run = [with](context& c) { return waive(with, true, c); }});
}

} // namespace postferry::api

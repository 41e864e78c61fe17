#include "jobs/provision.hpp"

#include "directory/password_hash.hpp"
#include "jobs/decide.hpp"
#include "jobs/directory_desk.hpp"
#include "jobs/provision_plan.hpp"
#include "jobs/worker_id.hpp"
#include "store/change_state.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::jobs {

using store::batch_mode;
using store::mailbox_state;
using store::tables;
namespace refusal = store::refusal;

namespace {

constexpr std::string_view being_made = "being made, attempt ";
/// Who claims mailboxes has so long: then others take them.
constexpr unix_ms claim_term = 600'000;

bool sets_passwords(batch_mode mode) noexcept { return mode != batch_mode::messages_only; }
bool makes_accounts(batch_mode mode) noexcept { return mode == batch_mode::create_only || mode == batch_mode::upsert; }

/// The account's own password, else the one that logs in on the new server.
result<std::optional<secret>> password_for(tables& t, store::vault& vault, store::record_id mailbox) {
    for (const std::string_view purpose : {"account", "target"}) {
        auto kept = vault.get(
            t,
            {.kind = store::owner_kind::migration, .owner = std::to_string(mailbox), .purpose = std::string(purpose)});
        if (!kept || *kept) return kept;
    }
    return std::nullopt;
}

error needs_password(std::string what) {
    return {.cls = retry_class::auth,
            .where = phase::usage,
            .what = std::move(what),
            .server_said = {},
            .advice = "Give the mailbox its password",
            .response_code = {}};
}

error refused(std::string what, std::string advice = {}) {
    return {.cls = retry_class::config,
            .where = phase::usage,
            .what = std::move(what),
            .server_said = {},
            .advice = std::move(advice),
            .response_code = {}};
}

} // namespace

bool ends_with_account(batch_mode mode) noexcept {
    return mode == batch_mode::create_only || mode == batch_mode::passwords_only;
}

bool begins_with_account(const store::migration& m, batch_mode mode, const batch_settings& settings) noexcept {
    if (ends_with_account(mode)) return true;
    if (m.passes > 0 && m.ledger_mailbox) return false;
    return next_pass_of(m) == transfer::pass_kind::bulk && m.account && settings.provisioning != "none";
}

const store::domain* provisioner_desk::plan::domain_of(const order& o) const {
    if (!o.account) return nullptr;
    const auto at = domains.find(o.account->domain);
    return at == domains.end() ? nullptr : &at->second;
}

directory::new_password password_of(secret text) {
    constexpr std::size_t shortest_hash = 13; // crypt(3) of old
    if (text.empty()) return {};
    const std::string_view s = text.reveal();
    const bool hash = s.starts_with('{') && s.size() - std::min(s.size(), s.find('}')) > shortest_hash &&
                      directory::check_hashed(text).has_value();
    return {.form = hash ? directory::new_password::kind::hashed : directory::new_password::kind::plain,
            .value = std::move(text)};
}

/// Everything that is to be known, and a mark on what is about to be made, in one transaction.
task<result<provisioner_desk::plan>> provisioner_desk::look(store::record_id migration, std::string actor) {
    const std::string attempt = fmt::format("{}{}", being_made, new_worker_id().substr(0, 8));
    co_return co_await db_.alone([&vault = vault_, migration, actor, attempt](tables& t) -> result<plan> {
        plan p;
        p.actor = actor;
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        auto first = t.migrations.find(migration);
        if (!first) return std::unexpected(std::move(first.error()));
        if (!*first) return refusal::refuse(refusal::missing, "There is no such mailbox");
        auto batch = t.batches.find((*first)->batch);
        if (!batch) return std::unexpected(std::move(batch.error()));
        if (!*batch) return refusal::refuse(refusal::missing, "There is no such batch");
        p.batch = std::move(**batch);
        auto settings = parse_settings(p.batch.settings);
        if (!settings) return std::unexpected(std::move(settings.error()));
        p.settings = std::move(*settings);
        auto company = company_settings(t);
        if (!company) return std::unexpected(std::move(company.error()));
        p.company = std::move(*company);
        p.orders.push_back({.mailbox = std::move(**first)});
        // A hook runs for each mailbox, and is the worker's.
        if (ends_with_account(p.batch.mode) && p.settings.hook.command.empty()) {
            p.claimed_until = *now + claim_term;
            auto more = t.migrations.claim(p.batch.id, *now, p.claimed_until, bite - 1);
            if (!more) return std::unexpected(std::move(more.error()));
            for (store::migration& m : *more) p.orders.push_back({.mailbox = std::move(m)});
        }
        std::vector<std::string> addresses;
        for (order& o : p.orders) {
            if (!o.mailbox.account) {
                if (ends_with_account(p.batch.mode)) o.why = refused("the mailbox names no account");
                o.good = !o.why;
                continue;
            }
            auto account = t.directory.find_account(*o.mailbox.account);
            if (!account) return std::unexpected(std::move(account.error()));
            if (!*account) {
                o.why = refused("its account was removed");
                continue;
            }
            o.account = std::move(**account);
            o.was_active = o.account->state == store::account_state::active;
            o.good = o.was_active && p.batch.mode != batch_mode::passwords_only;
            if (o.good) continue;
            if (!p.domains.contains(o.account->domain)) {
                auto domain = t.directory.find_domain(o.account->domain);
                if (!domain) return std::unexpected(std::move(domain.error()));
                if (*domain) p.domains.emplace((*domain)->id, std::move(**domain));
            }
            if (sets_passwords(p.batch.mode)) {
                auto kept = password_for(t, vault, o.mailbox.id);
                if (!kept && kept.error().response_code.empty()) return std::unexpected(std::move(kept.error()));
                if (!kept) o.why = needs_password(kept.error().what);
                if (kept && *kept) o.password = password_of(std::move(**kept));
                if (!o.why && o.password.form == directory::new_password::kind::none &&
                    p.batch.mode != batch_mode::upsert)
                    o.why = needs_password("there is no password for the account");
            }
            if (!makes_accounts(p.batch.mode)) continue;
            addresses.push_back(o.account->address);
            o.begun_before = o.account->reason.starts_with(being_made) && o.account->reason != attempt;
            if (o.account->state == store::account_state::suspended) continue;
            auto marked = t.directory.set_state(o.account->id, store::account_state::planned, attempt);
            if (!marked) return std::unexpected(std::move(marked.error()));
        }
        auto aliases = t.directory.find_aliases_onto(addresses);
        if (!aliases) return std::unexpected(std::move(aliases.error()));
        p.aliases = std::move(*aliases);
        std::vector<std::string> names;
        for (const store::alias& a : p.aliases) names.push_back(a.address);
        auto same = t.directory.find_aliases(names);
        if (!same) return std::unexpected(std::move(same.error()));
        p.same_address = std::move(*same);
        return p;
    });
}

task<provision_end> provisioner_desk::run(work what, std::string actor, std::stop_token stop) {
    using how = provision_end::how;
    auto p = co_await look(what.mailbox.id, actor);
    if (!p) co_return provision_end{.what = how::failed, .why = std::move(p.error())};
    auto driver = drivers_.find(p->settings.provisioning);
    if (!driver) p->refuse(driver.error(), [](const order&) { return true; });
    const auto goes_on = [&] { return !stop.stop_requested() && (!what.lease || what.lease->stands()); };
    if (driver && goes_on()) {
        for (const auto& [id, d] : p->domains) {
            const bool frozen =
                p->batch.mode == batch_mode::passwords_only ? d.passwords_frozen : d.provisioning_frozen;
            if (!frozen || p->batch.mode == batch_mode::messages_only) continue;
            const auto kind =
                p->batch.mode == batch_mode::passwords_only ? freeze_kind::passwords : freeze_kind::provisioning;
            p->refuse(refused(frozen_words(kind, d.name), "Lift the freeze of the domain, then retry"),
                      [&, id](const order& o) { return o.account && o.account->domain == id; });
        }
        if (makes_accounts(p->batch.mode)) co_await make_domains(*p, **driver);
        if (goes_on()) co_await make_accounts(*p, **driver);
        if (makes_accounts(p->batch.mode) && goes_on()) co_await make_aliases(*p, **driver);
    }
    auto kept = co_await keep(*p);
    order& mine = p->orders.front();
    provision_end end;
    if (!mine.note.empty()) end.notes.push_back(mine.note);
    if (!mine.what.empty()) end.notes.push_back(fmt::format("account {}: {}", mine.account->address, mine.what));
    for (const store::alias& a : p->changed)
        if (mine.account && a.goes_to == mine.account->address)
            end.notes.push_back(fmt::format("alias {}: {}{}", a.address, store::name_of(a.state),
                                            a.reason.empty() ? "" : " (" + a.reason + ")"));
    end.why = mine.why;
    if (!kept && !end.why) end.why = std::move(kept.error());
    if (end.why) {
        end.what = how::failed;
    } else if (!mine.good) {
        end.what = how::stopped;
    } else {
        end.what = ends_with_account(p->batch.mode) ? how::done : how::go_on;
    }
    co_return end;
}

namespace {

/// What has become of a claimed mailbox. Others may have taken it, paused or cancelled it meanwhile: then it stays.
result<void> finish(tables& t, const store::migration& was, unix_ms claimed_until, const batch_settings& settings,
                    bool good, const std::optional<error>& why, const std::string& actor, unix_ms now) {
    auto found = t.migrations.find(was.id);
    if (!found) return std::unexpected(std::move(found.error()));
    const auto& m = *found;
    if (!m || m->state != mailbox_state::queued || m->due != claimed_until) return {};
    const bool passing = why && (why->cls == retry_class::transient || why->cls == retry_class::throttled);
    // A worker takes it by itself then, and counts the attempts.
    if (passing || (!good && !why))
        return t.migrations.set_due(m->id, passing ? now + pause_before(1, m->id) : now, m->next_pass);
    auto at_work = store::change_state(t, m->id, {.to = mailbox_state::provisioning, .actor = actor});
    if (!at_work) return std::unexpected(std::move(at_work.error()));
    store::mailbox_change c{.to = mailbox_state::completed, .actor = actor};
    if (why) {
        c = after_pass({.mailbox = *at_work, .settings = settings, .now = now},
                       {.what = pass_end::how::failed, .why = why})
                .change;
        c.actor = actor;
    }
    auto done = store::change_state(t, m->id, c);
    if (!done) return std::unexpected(std::move(done.error()));
    return {};
}

} // namespace

task<result<void>> provisioner_desk::keep(plan& p) {
    co_return co_await db_.synced([p](tables& t) -> result<void> {
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        for (const order& o : p.orders) {
            const bool mine = &o == &p.orders.front();
            if (o.account && (o.touched || o.why)) {
                const bool planned = o.account->state == store::account_state::planned ||
                                     o.account->state == store::account_state::failed;
                store::account_state to = o.account->state;
                if (planned) to = o.good ? store::account_state::active : store::account_state::failed;
                const bool may_pass =
                    o.why && o.why->cls != retry_class::config && o.why->cls != retry_class::permanent;
                if (planned && may_pass) to = store::account_state::planned;
                auto set = t.directory.set_state(o.account->id, to, o.why ? o.why->message() : o.note);
                if (!set && !refusal::is(set.error(), refusal::missing)) return set;
                auto told = t.events.add({.at = *now,
                                          .actor = p.actor,
                                          .kind = "account.state",
                                          .batch = p.batch.id,
                                          .migration = o.mailbox.id,
                                          .before = std::string(store::name_of(o.account->state)),
                                          .after = std::string(store::name_of(to)),
                                          .detail = boost::json::serialize(
                                              boost::json::object{{"account", o.account->id}, {"change", o.what}})});
                if (!told) return std::unexpected(std::move(told.error()));
            }
            if (mine) continue;
            auto ended = finish(t, o.mailbox, p.claimed_until, p.settings, o.good, o.why, p.actor, *now);
            if (!ended) return ended;
        }
        for (const store::alias& a : p.changed) {
            auto set = t.directory.set_alias_state(a.id, a.state, a.reason);
            if (!set && !refusal::is(set.error(), refusal::missing)) return set;
        }
        return {};
    });
}

} // namespace postferry::jobs

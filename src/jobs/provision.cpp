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
#include <ranges>

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

/// The batch, the caller's mailbox and those that are done along with it.
result<void> provisioner_desk::begin(tables& t, plan& p, store::record_id migration, unix_ms now) {
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
    if (!ends_with_account(p.batch.mode) || !p.settings.hook.command.empty()) return {};
    p.claimed_until = now + claim_term;
    auto more = t.migrations.claim(p.batch.id, now, p.claimed_until, bite - 1);
    if (!more) return std::unexpected(std::move(more.error()));
    for (store::migration& m : *more) p.orders.push_back({.mailbox = std::move(m)});
    return {};
}

/// Those of the mailboxes, and the domains of those that are to be made or changed.
result<void> provisioner_desk::find_accounts(tables& t, plan& p) {
    std::set<store::record_id> wanted;
    for (const order& o : p.orders)
        if (o.mailbox.account) wanted.insert(*o.mailbox.account);
    auto found = t.directory.accounts_of({wanted.begin(), wanted.end()});
    if (!found) return std::unexpected(std::move(found.error()));
    std::map<store::record_id, const store::account*> by_id;
    for (const store::account& a : *found) by_id.emplace(a.id, &a);
    std::set<store::record_id> domains;
    for (order& o : p.orders) {
        if (!o.mailbox.account) {
            if (ends_with_account(p.batch.mode)) o.why = refused("the mailbox names no account");
            o.good = !o.why;
            continue;
        }
        const auto at = by_id.find(*o.mailbox.account);
        if (at == by_id.end()) {
            o.why = refused("its account was removed");
            continue;
        }
        o.account = *at->second;
        o.was_active = o.account->state == store::account_state::active;
        o.good = o.was_active && p.batch.mode != batch_mode::passwords_only;
        if (!o.good) domains.insert(o.account->domain);
    }
    auto their = t.directory.domains_of({domains.begin(), domains.end()});
    if (!their) return std::unexpected(std::move(their.error()));
    for (store::domain& d : *their) p.domains.emplace(d.id, std::move(d));
    return {};
}

/// The account's own password, else the one that logs in on the new server.
result<void> provisioner_desk::find_passwords(tables& t, store::vault& vault, plan& p) {
    if (!sets_passwords(p.batch.mode)) return {};
    std::vector<std::string> owners;
    for (const order& o : p.orders)
        if (o.account && !o.good) owners.push_back(std::to_string(o.mailbox.id));
    auto found = t.credentials.of(store::owner_kind::migration, owners);
    if (!found) return std::unexpected(std::move(found.error()));
    std::map<store::credential_key, const store::credential*> kept;
    for (const store::credential& c : *found) kept.emplace(c.key, &c);
    for (order& o : p.orders) {
        if (!o.account || o.good) continue;
        const auto of_purpose = [&](const char* purpose) {
            return kept.find({.owner = std::to_string(o.mailbox.id), .purpose = purpose});
        };
        auto at = of_purpose("account");
        if (at == kept.end()) at = of_purpose("target");
        if (at != kept.end()) {
            auto plain = vault.unseal(*at->second);
            if (!plain)
                o.why = needs_password(plain.error().what);
            else
                o.password = password_of(std::move(*plain));
        }
        if (!o.why && o.password.form == directory::new_password::kind::none && p.batch.mode != batch_mode::upsert)
            o.why = needs_password("there is no password for the account");
    }
    return {};
}

/// On what is about to be made, so that an attempt that is cut off is known for one.
result<void> provisioner_desk::mark(tables& t, plan& p, const std::string& attempt) {
    if (!makes_accounts(p.batch.mode)) return {};
    std::map<store::record_id, store::directory_repository::account_change> marks; // two sources, one target
    for (order& o : p.orders) {
        if (!o.account || o.good) continue;
        o.begun_before = o.account->reason.starts_with(being_made);
        if (o.account->state != store::account_state::suspended)
            marks.try_emplace(o.account->id,
                              store::directory_repository::account_change{
                                  .account = o.account->id, .state = store::account_state::planned, .reason = attempt});
    }
    const auto all = std::views::values(marks);
    return t.directory.set_states(std::vector(all.begin(), all.end()));
}

result<void> provisioner_desk::find_aliases(tables& t, plan& p, const std::vector<std::string>& onto) {
    auto aliases = t.directory.find_aliases_onto(onto);
    if (!aliases) return std::unexpected(std::move(aliases.error()));
    p.aliases = std::move(*aliases);
    std::set<std::string> names;
    for (const store::alias& a : p.aliases) names.insert(a.address);
    auto same = t.directory.find_aliases({names.begin(), names.end()});
    if (!same) return std::unexpected(std::move(same.error()));
    p.same_address = std::move(*same);
    return {};
}

/// Everything that is to be known, and a mark on what is about to be made, in one transaction.
task<result<provisioner_desk::plan>> provisioner_desk::look(store::record_id migration, std::string actor) {
    const std::string attempt = fmt::format("{}{}", being_made, new_worker_id().substr(0, 8));
    co_return co_await db_.alone([&vault = vault_, migration, actor, attempt](tables& t) -> result<plan> {
        plan p;
        p.actor = actor;
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        auto done = begin(t, p, migration, *now);
        if (done) done = find_accounts(t, p);
        if (done) done = find_passwords(t, vault, p);
        if (done) done = mark(t, p, attempt);
        std::vector<std::string> addresses;
        for (const order& o : p.orders)
            if (o.account && !o.good && makes_accounts(p.batch.mode)) addresses.push_back(o.account->address);
        if (done) done = find_aliases(t, p, addresses);
        if (!done) return std::unexpected(std::move(done.error()));
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

/// What has become of the claimed mailboxes. Others may have taken one, paused or cancelled it meanwhile: then it
/// stays.
result<void> provisioner_desk::finish(tables& t, const plan& p, unix_ms now) {
    std::map<store::record_id, const order*> claimed;
    for (const order& o : p.orders) claimed.emplace(o.mailbox.id, &o);
    claimed.erase(p.orders.front().mailbox.id); // the caller's
    const auto keys = std::views::keys(claimed);
    std::vector<store::migration_repository::next_turn> later;
    auto done = store::change_states(t, {keys.begin(), keys.end()}, [&](const store::migration& m) {
        const order& o = *claimed.at(m.id);
        if (m.state != mailbox_state::queued || m.due != p.claimed_until) return store::changes{};
        const bool passing = o.why && (o.why->cls == retry_class::transient || o.why->cls == retry_class::throttled);
        // A worker takes it by itself then, and counts the attempts.
        if (passing || (!o.good && !o.why)) {
            later.push_back({m.id, passing ? now + pause_before(1, m.id) : now, m.next_pass});
            return store::changes{};
        }
        const store::mailbox_change to_work{.to = mailbox_state::provisioning, .actor = p.actor};
        store::mailbox_change end{.to = mailbox_state::completed, .actor = p.actor};
        if (o.why) {
            store::migration at_work = m;
            at_work.state = to_work.to;
            end = after_pass({.mailbox = at_work, .settings = p.settings, .now = now},
                             {.what = pass_end::how::failed, .why = o.why})
                      .change;
            end.actor = p.actor;
        }
        return store::changes{to_work, std::move(end)};
    });
    if (!done) return std::unexpected(std::move(done.error()));
    return t.migrations.set_due(later);
}

result<void> provisioner_desk::keep_accounts(tables& t, const plan& p, unix_ms now) {
    std::map<store::record_id, store::directory_repository::account_change> changed;
    std::vector<store::event> events;
    for (const order& o : p.orders) {
        if (!o.account || (!o.touched && !o.why)) continue;
        const bool planned =
            o.account->state == store::account_state::planned || o.account->state == store::account_state::failed;
        store::account_state to = o.account->state;
        if (planned) to = o.good ? store::account_state::active : store::account_state::failed;
        const bool may_pass = o.why && o.why->cls != retry_class::config && o.why->cls != retry_class::permanent;
        if (planned && may_pass) to = store::account_state::planned;
        changed.insert_or_assign(
            o.account->id, store::directory_repository::account_change{
                               .account = o.account->id, .state = to, .reason = o.why ? o.why->message() : o.note});
        events.push_back(
            {.at = now,
             .actor = p.actor,
             .kind = "account.state",
             .batch = p.batch.id,
             .migration = o.mailbox.id,
             .before = std::string(store::name_of(o.account->state)),
             .after = std::string(store::name_of(to)),
             .detail = boost::json::serialize(boost::json::object{{"account", o.account->id}, {"change", o.what}})});
    }
    const auto all = std::views::values(changed);
    auto done = t.directory.set_states(std::vector(all.begin(), all.end()));
    return done ? t.events.add(events) : done;
}

task<result<void>> provisioner_desk::keep(plan& p) {
    co_return co_await db_.synced([p](tables& t) -> result<void> {
        auto now = t.now();
        if (!now) return std::unexpected(std::move(now.error()));
        auto done = keep_accounts(t, p, *now);
        if (done) done = finish(t, p, *now);
        return done ? t.directory.set_states(p.changed) : done;
    });
}

} // namespace postferry::jobs

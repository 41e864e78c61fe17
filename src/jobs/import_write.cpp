#include "jobs/import_write.hpp"

#include "jobs/provision.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::jobs {

using accounts::column;
using store::record_id;
using store::tables;
namespace refusal = store::refusal;

struct import_writer::state {
    explicit state(const std::vector<import_row>& all) : rows(all), bad(all.size()) {}

    const std::vector<import_row>& rows;
    std::vector<bool> bad;
    bite_outcome out = {};
    std::string actor = {};
    store::unix_ms now = 0;
    std::map<std::string, std::optional<store::domain>, std::less<>> domains;
    std::map<std::string, std::optional<store::batch>, std::less<>> batches;
    std::map<std::string, store::account, std::less<>> accounts; ///< that are there, by address
    std::map<std::string, std::vector<store::alias>, std::less<>> aliases;
    std::vector<std::optional<record_id>> account_of; ///< of each row

    void fault(std::size_t at, std::string column, std::string what) {
        bad[at] = true;
        out.faults.push_back({rows[at].from.row, rows[at].from.line, std::move(column), std::move(what)});
    }
};

namespace {

std::string domain_of(const directory::address& a) { return std::string(a.domain()); }

bool is_refused(const store::alias& a) noexcept {
    return a.state == store::alias_state::refused || a.state == store::alias_state::failed;
}

} // namespace

/// What the store has of the names in these rows.
result<void> import_writer::look(tables& t, state& s) const {
    std::vector<std::string> names;
    for (const import_row& r : s.rows) {
        s.batches.try_emplace(batch_of(r));
        if (r.address) {
            s.domains.try_emplace(domain_of(*r.address));
            names.push_back(r.address->text());
        }
        for (const directory::address& a : r.aliases) {
            s.domains.try_emplace(domain_of(a));
            names.push_back(a.text());
        }
    }
    for (auto& [name, d] : s.domains) {
        auto found = t.directory.find_domain(form.project, name);
        if (!found) return std::unexpected(std::move(found.error()));
        d = std::move(*found);
    }
    for (auto& [name, b] : s.batches) {
        auto found = t.batches.find(form.project, name);
        if (!found) return std::unexpected(std::move(found.error()));
        b = std::move(*found);
    }
    auto known = t.directory.find_accounts(names);
    if (!known) return std::unexpected(std::move(known.error()));
    for (store::account& a : *known) s.accounts.emplace(a.address, std::move(a));
    auto aliases = t.directory.find_aliases(names);
    if (!aliases) return std::unexpected(std::move(aliases.error()));
    for (store::alias& a : *aliases)
        if (!is_refused(a)) s.aliases[a.address].push_back(std::move(a));
    return {};
}

result<void> import_writer::find_faults(tables& t, state& s) const {
    for (std::size_t i = 0; i < s.rows.size(); ++i) {
        const import_row& r = s.rows[i];
        if (!r.good()) {
            s.bad[i] = true;
            s.out.faults.insert(s.out.faults.end(), r.from.faults.begin(), r.from.faults.end());
            continue;
        }
        if (const auto& b = s.batches.at(batch_of(r)); b && b->state == store::batch_state::archived)
            s.fault(i, columns.name(column::batch), fmt::format("the batch {} is archived", b->name));
        else if (b && b->mode != form.mode)
            s.fault(i, columns.name(column::batch),
                    fmt::format("the batch {} is {}, and this import {}", b->name, store::name_of(b->mode),
                                store::name_of(form.mode)));
        if (!r.address) continue;
        const bool optional = form.mode == store::batch_mode::messages_only;
        const auto unknown = [&](const directory::address& a, column c) {
            if (form.make_domains || optional || s.domains.at(domain_of(a))) return;
            s.fault(i, columns.name(c), fmt::format("the domain {} is not known", a.domain()));
        };
        unknown(*r.address, column::target_user);
        if (const auto at = s.aliases.find(r.address->text()); at != s.aliases.end())
            s.fault(i, columns.name(column::target_user),
                    fmt::format("{} is an alias onto {}", at->first, at->second.front().goes_to));
        for (const directory::address& a : r.aliases) {
            unknown(a, column::aliases);
            if (s.accounts.contains(a.text()))
                s.fault(i, columns.name(column::aliases), fmt::format("{} is an account", a.text()));
            const auto at = s.aliases.find(a.text());
            if (at == s.aliases.end()) continue;
            const auto other = std::ranges::find_if(
                at->second, [&](const store::alias& known) { return known.goes_to != r.address->text(); });
            if (other != at->second.end())
                s.fault(i, columns.name(column::aliases),
                        fmt::format("{} is an alias onto {} already", a.text(), other->goes_to));
        }
        if (auto ok = refuse_existing(t, s, i); !ok) return ok;
    }
    return {};
}

/// create-only: an account that is there is an error, unless this very batch is to make it (or has).
result<void> import_writer::refuse_existing(tables& t, state& s, std::size_t row) const {
    if (form.mode != store::batch_mode::create_only || s.bad[row]) return {};
    const auto at = s.accounts.find(s.rows[row].address->text());
    if (at == s.accounts.end()) return {};
    const store::account& a = at->second;
    if (a.state == store::account_state::planned || a.state == store::account_state::failed) return {};
    if (const auto& batch = s.batches.at(batch_of(s.rows[row]))) {
        auto same = t.migrations.list({.batch = batch->id, .account = a.id}, {.limit = 1});
        if (!same) return std::unexpected(std::move(same.error()));
        if (!same->rows.empty()) return {};
    }
    s.fault(row, columns.name(column::target_user), fmt::format("the account {} exists already", a.address));
    return {};
}

result<bite_outcome> import_writer::check(tables& t, const std::vector<import_row>& rows) const {
    state s(rows);
    if (auto ok = look(t, s); !ok) return std::unexpected(std::move(ok.error()));
    if (auto ok = find_faults(t, s); !ok) return std::unexpected(std::move(ok.error()));
    for (const auto& [name, d] : s.domains)
        if (!d && form.make_domains) s.out.new_domains.push_back(name);
    s.out.faulty_rows = static_cast<std::uint64_t>(std::ranges::count(s.bad, true));
    return std::move(s.out);
}

result<bite_outcome> import_writer::write(tables& t, const std::vector<import_row>& rows,
                                          const std::string& actor) const {
    state s(rows);
    s.actor = actor;
    s.account_of.resize(rows.size());
    auto now = t.now();
    if (!now) return std::unexpected(std::move(now.error()));
    s.now = *now;
    auto done = look(t, s);
    if (done) done = find_faults(t, s);
    s.out.faulty_rows = s.out.added.skipped_rows = static_cast<std::uint64_t>(std::ranges::count(s.bad, true));
    if (done) done = add_batches(t, s);
    if (done) done = add_domains(t, s);
    if (done) done = add_accounts(t, s);
    if (done) done = add_aliases(t, s);
    if (done) done = add_mailboxes(t, s);
    if (!done) return std::unexpected(std::move(done.error()));
    return std::move(s.out);
}

namespace {

result<void> tell(tables& t, store::unix_ms now, const std::string& actor, std::string kind, boost::json::object after,
                  std::optional<record_id> project, std::optional<record_id> batch) {
    auto told = t.events.add({.at = now,
                              .actor = actor,
                              .kind = std::move(kind),
                              .project = project,
                              .batch = batch,
                              .after = boost::json::serialize(after)});
    if (!told) return std::unexpected(std::move(told.error()));
    return {};
}

} // namespace

result<void> import_writer::add_batches(tables& t, state& s) const {
    std::map<std::string_view, bool> needed;
    for (std::size_t i = 0; i < s.rows.size(); ++i)
        if (!s.bad[i]) needed[batch_of(s.rows[i])] = true;
    for (auto& [name, b] : s.batches) {
        if (!needed.contains(name)) continue;
        if (!b) {
            auto added =
                t.batches.add({.project = form.project,
                               .name = name,
                               .state = form.start_at ? store::batch_state::scheduled : store::batch_state::ready,
                               .mode = form.mode,
                               .settings = boost::json::serialize(json_of(form.settings)),
                               .start_at = form.start_at,
                               .created = s.now,
                               .created_by = s.actor});
            if (!added) return std::unexpected(std::move(added.error()));
            b = std::move(*added);
            ++s.out.added.batches;
            auto told = tell(t, s.now, s.actor, "audit.batch.create",
                             {{"name", name}, {"mode", store::name_of(form.mode)}}, form.project, b->id);
            if (!told) return told;
        }
        s.out.batches.push_back(b->id);
    }
    return {};
}

result<void> import_writer::add_domains(tables& t, state& s) const {
    if (!form.make_domains) return {};
    std::map<std::string, bool, std::less<>> needed;
    for (std::size_t i = 0; i < s.rows.size(); ++i) {
        if (s.bad[i]) continue;
        if (s.rows[i].address) needed[domain_of(*s.rows[i].address)] = true;
        for (const directory::address& a : s.rows[i].aliases) needed[domain_of(a)] = true;
    }
    for (auto& [name, d] : s.domains) {
        if (d || !needed.contains(name)) continue;
        auto added = t.directory.add({.project = form.project, .name = name, .display = name, .created = s.now});
        if (!added) return std::unexpected(std::move(added.error()));
        d = std::move(*added);
        ++s.out.added.domains;
        s.out.new_domains.push_back(name);
        auto told = tell(t, s.now, s.actor, "audit.domain.create", {{"name", name}, {"domain", d->id}}, form.project,
                         std::nullopt);
        if (!told) return told;
    }
    return {};
}

result<void> import_writer::add_accounts(tables& t, state& s) const {
    std::vector<store::account> fresh;
    std::vector<std::size_t> from;
    std::map<std::string_view, std::size_t> first; // two rows of one account: two sources, one target
    for (std::size_t i = 0; i < s.rows.size(); ++i) {
        const import_row& r = s.rows[i];
        if (s.bad[i] || !r.address) continue;
        const auto& domain = s.domains.at(domain_of(*r.address));
        if (!domain) continue; // messages-only, and nobody wants the domain made
        const accounts::wanted_account& w = *r.from.account;
        if (const auto at = s.accounts.find(r.address->text()); at != s.accounts.end()) {
            store::account& a = at->second;
            s.account_of[i] = a.id;
            ++s.out.added.known_accounts;
            if (form.mode != store::batch_mode::upsert) continue;
            // It is made as it is named now, unless it was named so before.
            store::account as = a;
            if (!w.name.empty()) as.name = w.name;
            if (w.quota) as.quota = w.quota;
            if (!w.language.empty()) as.language = w.language;
            if (!w.time_zone.empty()) as.time_zone = w.time_zone;
            if (as.state == store::account_state::active || as.state == store::account_state::failed) {
                const auto& batch = s.batches.at(batch_of(r));
                auto same = t.migrations.list({.batch = batch->id, .account = a.id}, {.limit = 1});
                if (!same) return std::unexpected(std::move(same.error()));
                if (same->rows.empty()) as.state = store::account_state::planned;
            }
            if (as.name == a.name && as.quota == a.quota && as.language == a.language && as.time_zone == a.time_zone &&
                as.state == a.state)
                continue;
            auto updated = t.directory.update(as);
            if (!updated) return std::unexpected(std::move(updated.error()));
            a = std::move(*updated);
            continue;
        }
        if (const auto [at, is_first] = first.try_emplace(r.address->text(), fresh.size()); !is_first) {
            from.push_back(i);
            continue;
        }
        from.push_back(i);
        fresh.push_back({.domain = domain->id,
                         .address = r.address->text(),
                         .name = w.name,
                         .quota = w.quota,
                         .language = w.language,
                         .time_zone = w.time_zone,
                         .created = s.now});
    }
    auto ids = t.directory.add(fresh);
    if (!ids) return std::unexpected(std::move(ids.error()));
    for (std::size_t k = 0; k < ids->size(); ++k)
        if ((*ids)[k] == 0)
            return refusal::refuse(refusal::conflict,
                                   fmt::format("somebody made the account {} at the same moment", fresh[k].address),
                                   "Commit again");
    s.out.added.accounts += fresh.size();
    for (const std::size_t i : from) s.account_of[i] = (*ids)[first.at(s.rows[i].address->text())];
    return {};
}

result<void> import_writer::add_aliases(tables& t, state& s) const {
    std::vector<store::alias> all;
    for (std::size_t i = 0; i < s.rows.size(); ++i) {
        if (s.bad[i]) continue;
        for (const directory::address& a : s.rows[i].aliases) {
            const auto& domain = s.domains.at(domain_of(a));
            if (!domain) continue;
            all.push_back({.domain = domain->id,
                           .address = a.text(),
                           .goes_to = s.rows[i].address->text(),
                           .origin = store::alias_origin::csv,
                           .state = store::alias_state::approved});
        }
    }
    auto ids = t.directory.add(all);
    if (!ids) return std::unexpected(std::move(ids.error()));
    const auto known = static_cast<std::uint64_t>(std::ranges::count(*ids, 0));
    s.out.added.known_aliases += known;
    s.out.added.aliases += all.size() - known;
    return {};
}

result<void> import_writer::add_mailboxes(tables& t, state& s) const {
    std::vector<store::migration> all;
    std::vector<record_id> of_row(s.rows.size());
    std::vector<std::size_t> from;
    for (std::size_t i = 0; i < s.rows.size(); ++i) {
        if (s.bad[i]) continue;
        store::migration m = s.rows[i].mailbox;
        m.batch = s.batches.at(batch_of(s.rows[i]))->id;
        m.account = s.account_of[i];
        m.state = store::mailbox_state::ready;
        m.priority = form.settings.priority;
        m.position = static_cast<std::uint32_t>(s.rows[i].from.row);
        m.since = m.created = s.now;
        all.push_back(std::move(m));
        from.push_back(i);
    }
    auto ids = t.migrations.add(all);
    if (!ids) return std::unexpected(std::move(ids.error()));
    for (std::size_t k = 0; k < ids->size(); ++k) {
        record_id id = (*ids)[k];
        if (id == 0) {
            auto same = t.migrations.find_same(all[k]);
            if (!same) return std::unexpected(std::move(same.error()));
            ++s.out.added.known_mailboxes;
            id = *same ? (*same)->id : 0;
        } else {
            ++s.out.added.mailboxes;
        }
        of_row[from[k]] = id;
    }
    return add_credentials(t, s, of_row);
}

/// Also of mailboxes that are known: a file that is imported again brings the passwords that were wrong before.
result<void> import_writer::add_credentials(tables& t, state& s, const std::vector<record_id>& mailboxes) const {
    std::vector<store::credential_value> all;
    for (std::size_t i = 0; i < s.rows.size(); ++i) {
        const import_row& r = s.rows[i];
        if (s.bad[i] || mailboxes[i] == 0) continue;
        const auto put = [&](std::string_view purpose, const secret& value) {
            if (value.empty()) return;
            all.push_back({.key = {.kind = store::owner_kind::migration,
                                   .owner = std::to_string(mailboxes[i]),
                                   .purpose = std::string(purpose)},
                           .value = value});
        };
        secret login;
        if (const auto& m = r.from.mailbox) {
            login = m->target().password;
            put("source", m->source().password);
            put("target", login);
            if (m->source_token()) put("source.refresh_token", m->source_token()->token);
            if (m->target_token()) put("target.refresh_token", m->target_token()->token);
        }
        // An account's own password beside an administrator's, which logs in for it.
        const bool own = r.from.account && (login.empty() || r.from.account->password.reveal() != login.reveal());
        if (own) put("account", r.from.account->password);
    }
    return all.empty() ? result<void>{} : vault.put(t, all);
}

} // namespace postferry::jobs

#include "jobs/alias_search.hpp"

#include "base/words.hpp"
#include "directory/address.hpp"
#include "jobs/domain_settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>

namespace postferry::jobs {

using directory::alias_discovery;
using store::alias_state;
using store::tables;
using transfer::pass_kind;

namespace {

constexpr std::size_t most_looked_up = 500; ///< addresses of held domains, of one search

/// Whom the aliases of a mailbox would lead to.
struct owner {
    directory::address address;
    store::domain domain;
};

result<std::optional<owner>> owner_of(tables& t, const store::migration& m) {
    auto address = directory::address::parse(m.target_user);
    if (m.account) {
        auto account = t.directory.find_account(*m.account);
        if (!account) return std::unexpected(std::move(account.error()));
        if (*account) address = directory::address::parse((*account)->address);
    }
    if (!address) return std::nullopt;
    auto batch = t.batches.find(m.batch);
    if (!batch) return std::unexpected(std::move(batch.error()));
    if (!*batch) return std::nullopt;
    auto domain = t.directory.find_domain((*batch)->project, std::string(address->domain()));
    if (!domain) return std::unexpected(std::move(domain.error()));
    if (!*domain) return std::nullopt;
    return owner{.address = std::move(*address), .domain = std::move(**domain)};
}

bool copies_all(pass_kind kind) noexcept { return kind != pass_kind::trial && kind != pass_kind::verify; }

/// As far as the mail was searched already; "": not at all.
alias_discovery depth_of(std::string_view word) noexcept {
    for (const auto d : {alias_discovery::standard, alias_discovery::extended})
        if (name_of(d) == word) return d;
    return alias_discovery::username;
}

} // namespace

result<alias_search> alias_search_of(tables& t, const store::migration& m, const batch_settings& settings,
                                     pass_kind kind) {
    if (!copies_all(kind) || settings.alias_discovery == alias_discovery::username) return alias_search{};
    auto sought = t.migrations.aliases_sought(m.id);
    if (!sought) return std::unexpected(std::move(sought.error()));
    const alias_discovery before = kind == pass_kind::final ? alias_discovery::username : depth_of(*sought);
    if (before == alias_discovery::extended) return alias_search{};
    auto who = owner_of(t, m);
    if (!who) return std::unexpected(std::move(who.error()));
    if (!*who)
        return alias_search{.why_not = !settings.alias_discovery
                                           ? std::string{}
                                           : fmt::format("its mail is not searched for aliases: {} is no address of a "
                                                         "domain that is known here (postferry domain create)",
                                                         quote_server_text(m.target_user, 100))};
    auto how = settings.alias_discovery;
    if (!how) {
        auto of_domain = effective_settings(t, (*who)->domain);
        if (!of_domain) return std::unexpected(std::move(of_domain.error()));
        how = of_domain->alias_discovery;
    }
    if (how.value_or(alias_discovery::username) <= before) return alias_search{};
    message::recipient_wish wish{.own = {(*who)->address.text()}, .deliveries = how == alias_discovery::extended};
    for (const std::string& user : {m.source_user, m.target_user})
        if (user.contains('@')) wish.own.push_back(user);
    return alias_search{.wish = std::move(wish)};
}

namespace {

/// What is left of the addresses that were found, one rule after the other.
class sieve {
  public:
    sieve(tables& t, const owner& who) : t_(t), who_(who) {}

    struct candidate {
        directory::address address;
        store::record_id domain = 0;
        const message::recipient* seen = nullptr;
    };
    std::vector<candidate> all;

    result<void> take(const std::vector<message::recipient>& found) {
        std::map<std::string, store::record_id, std::less<>> domains;
        for (const message::recipient& r : found) {
            auto address = directory::address::parse(r.address);
            if (!address) continue;
            const std::string name(address->domain());
            auto known = domains.find(name);
            if (known == domains.end()) {
                auto held = t_.directory.find_domain(who_.domain.project, name);
                if (!held) return std::unexpected(std::move(held.error()));
                known = domains.emplace(name, *held ? (*held)->id : 0).first;
            }
            if (known->second == 0) continue;
            if (all.size() == most_looked_up) return {};
            all.push_back({.address = std::move(*address), .domain = known->second, .seen = &r});
        }
        return {};
    }

    /// Accounts, and mailboxes of others without one.
    result<void> drop_people() {
        auto accounts = t_.directory.find_accounts(addresses());
        if (!accounts) return std::unexpected(std::move(accounts.error()));
        std::erase_if(all, [&](const candidate& c) {
            return std::ranges::find(*accounts, c.address.text(), &store::account::address) != accounts->end();
        });
        std::vector<candidate> left;
        for (candidate& c : all) {
            auto user = t_.migrations.has_target_user(c.address.text());
            if (!user) return std::unexpected(std::move(user.error()));
            if (!*user) left.push_back(std::move(c));
        }
        all = std::move(left);
        return {};
    }

    /// Aliases that are there. What was proposed for this account before gets what speaks for it now.
    result<std::size_t> drop_known(const std::function<store::alias(const candidate&)>& as_alias) {
        auto known = t_.directory.find_aliases(addresses());
        if (!known) return std::unexpected(std::move(known.error()));
        std::size_t again = 0;
        std::vector<candidate> left;
        for (candidate& c : all) {
            bool there = false;
            for (const store::alias& a : *known) {
                if (a.address != c.address.text()) continue;
                const bool ours = a.goes_to == who_.address.text();
                there = there || ours || (a.state != alias_state::proposed && a.state != alias_state::refused);
                if (!ours || a.state != alias_state::proposed) continue;
                store::alias now = as_alias(c);
                now.id = a.id;
                if (auto ok = t_.directory.set_alias_seen(now); !ok) return std::unexpected(std::move(ok.error()));
                ++again;
            }
            if (!there) left.push_back(std::move(c));
        }
        all = std::move(left);
        return again;
    }

  private:
    [[nodiscard]] std::vector<std::string> addresses() const {
        std::vector<std::string> out;
        for (const candidate& c : all) out.push_back(c.address.text());
        return out;
    }

    tables& t_;
    const owner& who_;
};

} // namespace

result<aliases_proposed> propose_aliases(tables& t, const store::migration& m, const message::recipient_wish& wish,
                                         const message::recipients_found& found) {
    aliases_proposed out;
    auto who = owner_of(t, m);
    if (!who) return std::unexpected(std::move(who.error()));
    if (!*who) return out; // its account or domain is gone meanwhile
    const auto as_alias = [&](const sieve::candidate& c) {
        std::string fields;
        for (const std::string_view name : c.seen->fields) fields.append(fields.empty() ? "" : ", ").append(name);
        store::alias a{.domain = c.domain,
                       .address = c.address.text(),
                       .goes_to = (*who)->address.text(),
                       .origin = store::alias_origin::discovered,
                       .state = alias_state::proposed,
                       .seen_in = std::move(fields),
                       .seen_messages = c.seen->messages};
        if (c.seen->newest_unix) a.seen_newest = *c.seen->newest_unix * 1'000;
        return a;
    };
    sieve left(t, **who);
    auto ok = left.take(found.all);
    if (ok) ok = left.drop_people();
    if (!ok) return std::unexpected(std::move(ok.error()));
    auto again = left.drop_known(as_alias);
    if (!again) return std::unexpected(std::move(again.error()));
    out.known = *again;
    for (const sieve::candidate& c : left.all) {
        if (out.fresh.size() == aliases_proposed::most)
            ++out.left_out;
        else
            out.fresh.push_back(as_alias(c));
    }
    auto ids = t.directory.add(out.fresh);
    if (!ids) return std::unexpected(std::move(ids.error()));
    const auto how = wish.deliveries ? alias_discovery::extended : alias_discovery::standard;
    if (auto kept = t.migrations.set_aliases_sought(m.id, std::string(name_of(how))); !kept)
        return std::unexpected(std::move(kept.error()));
    return out;
}

std::string words_of(const aliases_proposed& p, const message::recipients_found& found) {
    std::string out = fmt::format("searched {} of {} for aliases: ", counted(found.messages, "header"),
                                  counted(found.folders, "folder"));
    if (p.fresh.empty()) out += "none that is new";
    constexpr std::size_t most_named = 5;
    for (std::size_t i = 0; i < std::min(p.fresh.size(), most_named); ++i)
        out += fmt::format("{}{} (in {})", i == 0 ? "" : ", ", p.fresh[i].address,
                           counted(p.fresh[i].seen_messages, "message"));
    if (p.fresh.size() > most_named) out += fmt::format(" and {} more", p.fresh.size() - most_named);
    if (!p.fresh.empty()) out += fmt::format("; {} to be approved", p.fresh.size() == 1 ? "it waits" : "they wait");
    if (p.known > 0) out += fmt::format("; {} proposed before", p.known);
    if (p.left_out > 0) out += fmt::format("; {} more were left out", p.left_out);
    for (const std::string& note : found.notes) out += "; " + note;
    return out;
}

} // namespace postferry::jobs

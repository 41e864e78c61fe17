// What the desk asks of the driver.
#include "jobs/provision_plan.hpp"
#include "net/join.hpp"

#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <thread>

namespace postferry::jobs {

using directory::verb;
using store::batch_mode;
namespace asio = boost::asio;

namespace {

constexpr std::string_view interrupted =
    "it was there when an attempt that was cut off was repeated, and is taken for the one that was being made";

result<directory::account_spec> spec_of(const store::account& a, directory::new_password password,
                                        const directory::domain_settings& effective) {
    auto address = directory::address::parse(a.address);
    if (!address) return std::unexpected(std::move(address.error()));
    directory::account_spec spec{.address = std::move(*address),
                                 .password = std::move(password),
                                 .name = a.name,
                                 .quota = a.quota,
                                 .language = a.language,
                                 .time_zone = a.time_zone,
                                 .active = a.state != store::account_state::suspended};
    directory::complete(spec, effective);
    return spec;
}

/// Verbs that take one account, as many at a time as there are processors: passwords are hashed on all of them.
template <class Order, class Ask> task<> each(std::vector<Order*> orders, Ask ask) {
    const executor ex = co_await asio::this_coro::executor;
    const std::size_t lines = std::min<std::size_t>(orders.size(), std::max(1U, std::thread::hardware_concurrency()));
    auto next = std::make_shared<std::size_t>(0);
    const auto line = [](std::vector<Order*>& all, std::shared_ptr<std::size_t> at, Ask& one) -> task<> {
        while (*at < all.size()) co_await one(*all[(*at)++]);
    };
    std::vector<task<>> others;
    for (std::size_t i = 0; i < lines; ++i) others.push_back(line(orders, next, ask));
    co_await net::join_all(std::move(others));
}

} // namespace

task<> provisioner_desk::make_domains(plan& p, directory::provisioner& with) {
    if (!with.can(verb::domain_create)) co_return;
    for (const auto& entry : p.domains) {
        const store::domain& d = entry.second;
        const auto of_domain = [id = d.id](const order& o) { return o.account && o.account->domain == id; };
        const bool wanted =
            std::ranges::any_of(p.orders, [&](const order& o) { return !o.why && !o.good && of_domain(o); });
        if (!wanted) continue;
        std::optional<error> why;
        auto name = directory::domain_name::parse(d.name);
        auto own = parse_domain_settings(d.overrides);
        if (!name) why = std::move(name.error());
        if (!own) why = std::move(own.error());
        if (!why) {
            auto made = co_await with.domain_create(directory::to_spec(*name, directory::merge(p.company, *own)));
            if (!made) why = std::move(made.error());
        }
        if (why) p.refuse(*why, of_domain);
    }
}

task<> provisioner_desk::make_accounts(plan& p, directory::provisioner& with) {
    std::vector<order*> wanted;
    for (order& o : p.orders)
        if (!o.why && !o.good && o.account) wanted.push_back(&o);
    std::vector<directory::account_spec> specs;
    for (order* o : wanted) {
        const store::domain* d = p.domain_of(*o);
        auto own = parse_domain_settings(d == nullptr ? "{}" : d->overrides);
        auto spec = own ? spec_of(*o->account, o->password, directory::merge(p.company, *own))
                        : result<directory::account_spec>(std::unexpected(std::move(own.error())));
        if (!spec) o->why = std::move(spec.error());
        o->place = specs.size();
        if (spec) specs.push_back(std::move(*spec));
    }
    std::erase_if(wanted, [](const order* o) { return o->why.has_value(); });
    const auto took = [](order& o, result<directory::outcome> r) {
        o.touched = true;
        if (!r) {
            o.why = std::move(r.error());
            return;
        }
        o.good = true;
        o.what = directory::name_of(r->what);
        o.note = std::move(r->note);
    };
    if (p.batch.mode == batch_mode::messages_only || p.batch.mode == batch_mode::passwords_only) {
        const bool password = p.batch.mode == batch_mode::passwords_only;
        co_await each(wanted, [&](order& o) -> task<> {
            const directory::account_spec& spec = specs[o.place];
            if (password) {
                took(o, co_await with.set_password(spec.address, spec.password));
                co_return;
            }
            auto there = co_await with.account_exists(spec.address);
            if (!there) {
                took(o, std::unexpected(std::move(there.error())));
            } else if (!*there) {
                took(o, std::unexpected(directory::missing_error(
                            fmt::format("there is no account {} on the new server", spec.address.text()),
                            "Make it first (modes create-only, upsert)")));
            } else {
                took(o, directory::outcome{.what = directory::change::existed});
            }
        });
        co_return;
    }
    using existing = batch_settings::existing_account;
    const bool strict = p.batch.mode == batch_mode::create_only || p.settings.existing != existing::update;
    const auto mode = strict ? directory::create_mode::create_only : directory::create_mode::upsert;
    // An account that is there keeps its password while passwords are frozen; a new one gets its own.
    for (std::size_t i = 0; !strict && i < wanted.size(); ++i) {
        const store::domain* d = p.domain_of(*wanted[i]);
        if (d == nullptr || !d->passwords_frozen) continue;
        auto there = co_await with.account_exists(specs[i].address);
        if (!there || !*there) continue;
        specs[i].password = {};
        wanted[i]->note = fmt::format("its password stays as it was: passwords of {} are frozen", d->name);
    }
    auto made = co_await with.create_many(specs, mode);
    for (std::size_t i = 0; i < wanted.size() && i < made.size(); ++i) {
        order& o = *wanted[i];
        const std::string before = o.note;
        const bool there = !made[i] && directory::is_exists(made[i].error());
        if (there && (o.begun_before || (p.batch.mode == batch_mode::upsert && p.settings.existing == existing::keep)))
            took(o, directory::outcome{.what = directory::change::existed,
                                       .note = o.begun_before ? std::string(interrupted) : std::string{}});
        else
            took(o, std::move(made[i]));
        if (o.note.empty()) o.note = before;
    }
}

task<> provisioner_desk::make_aliases(plan& p, directory::provisioner& with) {
    std::set<std::string, std::less<>> ready;
    for (const order& o : p.orders)
        if (o.good && o.account) ready.insert(o.account->address);
    std::map<std::string, std::vector<store::alias>> wanted; ///< by address, those to be made
    for (const store::alias& a : p.aliases)
        if (a.state == store::alias_state::approved && ready.contains(a.goes_to)) wanted[a.address].push_back(a);
    for (auto& [address, all] : wanted) {
        result<directory::outcome> made = directory::outcome{};
        auto name = directory::address::parse(address);
        if (!name) made = std::unexpected(std::move(name.error()));
        std::vector<directory::address> targets;
        for (const store::alias& a : p.same_address) {
            const bool part =
                a.address == address && (a.state == store::alias_state::created ||
                                         (a.state == store::alias_state::approved && ready.contains(a.goes_to)));
            if (!part) continue;
            auto to = directory::address::parse(a.goes_to);
            if (to) targets.push_back(std::move(*to));
        }
        if (made && !with.can(verb::alias_create))
            made = std::unexpected(directory::cannot_error(with.driver(), verb::alias_create));
        if (made) made = co_await with.alias_create({.address = std::move(*name), .targets = std::move(targets)});
        for (store::alias& a : all) {
            // What may go away by itself leaves it approved: the next attempt makes it.
            const bool later =
                !made && (made.error().cls == retry_class::transient || made.error().cls == retry_class::cancelled);
            a.state = made ? store::alias_state::created
                           : (later ? store::alias_state::approved : store::alias_state::failed);
            a.reason = made ? std::string{} : made.error().message();
            p.changed.push_back(a);
        }
    }
}

} // namespace postferry::jobs

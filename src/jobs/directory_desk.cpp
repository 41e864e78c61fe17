#include "jobs/directory_desk.hpp"

#include "directory/command.hpp"
#include "directory/reconcile.hpp"
#include "jobs/provision_plan.hpp"
#include "mailbox/file_pool.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

namespace postferry::jobs {

using store::tables;
namespace refusal = store::refusal;

std::string_view name_of(freeze_kind k) noexcept {
    return k == freeze_kind::provisioning ? "provisioning" : "passwords";
}

std::string frozen_words(freeze_kind k, std::string_view domain) {
    return k == freeze_kind::provisioning ? fmt::format("provisioning of {} is frozen", domain)
                                          : fmt::format("passwords of {} are frozen", domain);
}

namespace {

std::unexpected<error> refuse_frozen(freeze_kind k, std::string_view domain) {
    return fail(retry_class::config, phase::usage, frozen_words(k, domain), "Lift the freeze of the domain first");
}

/// Nothing may be changed that a freeze holds.
task<result<void>> not_frozen(store::database& db, store::record_id domain, freeze_kind what) {
    auto d = co_await db.read([domain](tables& t) { return t.directory.find_domain(domain); });
    if (!d) co_return std::unexpected(std::move(d.error()));
    if (!*d) co_return refusal::refuse(refusal::missing, "There is no such domain");
    const bool frozen = what == freeze_kind::provisioning ? (*d)->provisioning_frozen : (*d)->passwords_frozen;
    if (frozen) co_return refuse_frozen(what, (*d)->name);
    co_return result<void>{};
}

} // namespace

task<result<directory::domain_settings>> directory_desk::settings_of(store::record_id domain) {
    co_return co_await db_.read([domain](tables& t) -> result<directory::domain_settings> {
        auto d = t.directory.find_domain(domain);
        if (!d) return std::unexpected(std::move(d.error()));
        if (!*d) return refusal::refuse(refusal::missing, "There is no such domain");
        return effective_settings(t, **d);
    });
}

task<result<std::shared_ptr<directory::provisioner>>> directory_desk::driver_for(store::record_id domain,
                                                                                 freeze_kind what, std::string by) {
    if (auto ok = co_await not_frozen(db_, domain, what); !ok) co_return std::unexpected(std::move(ok.error()));
    co_return drivers_.find(by);
}

task<result<directory::outcome>> directory_desk::create(store::account account, secret password, std::string by) {
    auto driver = co_await driver_for(account.domain, freeze_kind::provisioning, by);
    if (!driver) co_return std::unexpected(std::move(driver.error()));
    auto settings = co_await settings_of(account.domain);
    if (!settings) co_return std::unexpected(std::move(settings.error()));
    auto address = directory::address::parse(account.address);
    if (!address) co_return std::unexpected(std::move(address.error()));
    auto domain = directory::domain_name::parse(address->domain());
    if (!domain) co_return std::unexpected(std::move(domain.error()));
    if ((*driver)->can(directory::verb::domain_create)) {
        auto made = co_await (*driver)->domain_create(directory::to_spec(std::move(*domain), *settings));
        if (!made) co_return std::unexpected(std::move(made.error()));
    }
    directory::account_spec spec{.address = std::move(*address),
                                 .password = password_of(std::move(password)),
                                 .name = account.name,
                                 .quota = account.quota,
                                 .language = account.language,
                                 .time_zone = account.time_zone};
    directory::complete(spec, *settings);
    co_return co_await (*driver)->account_create(std::move(spec), directory::create_mode::create_only);
}

task<result<directory::outcome>> directory_desk::set_password(store::account account, secret password, std::string by) {
    auto driver = co_await driver_for(account.domain, freeze_kind::passwords, by);
    if (!driver) co_return std::unexpected(std::move(driver.error()));
    auto address = directory::address::parse(account.address);
    if (!address) co_return std::unexpected(std::move(address.error()));
    co_return co_await (*driver)->set_password(std::move(*address), password_of(std::move(password)));
}

task<result<directory::outcome>> directory_desk::set_quota(store::account account, std::uint64_t octets,
                                                           std::string by) {
    auto driver = co_await driver_for(account.domain, freeze_kind::provisioning, by);
    if (!driver) co_return std::unexpected(std::move(driver.error()));
    auto address = directory::address::parse(account.address);
    if (!address) co_return std::unexpected(std::move(address.error()));
    co_return co_await (*driver)->set_quota(std::move(*address), octets);
}

task<result<directory::outcome>> directory_desk::suspend(store::account account, bool suspended, std::string by) {
    auto driver = co_await driver_for(account.domain, freeze_kind::provisioning, by);
    if (!driver) co_return std::unexpected(std::move(driver.error()));
    auto address = directory::address::parse(account.address);
    if (!address) co_return std::unexpected(std::move(address.error()));
    co_return co_await (*driver)->suspend(std::move(*address), suspended);
}

task<result<store::alias>> directory_desk::make_alias(store::alias alias, std::string by) {
    auto driver = co_await driver_for(alias.domain, freeze_kind::provisioning, by);
    if (!driver) co_return std::unexpected(std::move(driver.error()));
    auto all = co_await db_.read([address = alias.address](tables& t) { return t.directory.find_aliases({address}); });
    if (!all) co_return std::unexpected(std::move(all.error()));
    auto address = directory::address::parse(alias.address);
    if (!address) co_return std::unexpected(std::move(address.error()));
    std::vector<directory::address> targets;
    for (const store::alias& a : *all) {
        const bool part =
            a.id == alias.id || a.state == store::alias_state::approved || a.state == store::alias_state::created;
        auto to = directory::address::parse(a.goes_to);
        if (part && to) targets.push_back(std::move(*to));
    }
    auto made = co_await (*driver)->alias_create({.address = std::move(*address), .targets = std::move(targets)});
    if (!made && made.error().cls == retry_class::transient) co_return std::unexpected(std::move(made.error()));
    co_return co_await db_.synced(
        [alias, all = *all, why = made ? std::string{} : made.error().message()](tables& t) -> result<store::alias> {
            store::alias now = alias;
            for (const store::alias& a : all) {
                if (a.id != alias.id && a.state != store::alias_state::approved) continue;
                const auto to = why.empty() ? store::alias_state::created : store::alias_state::failed;
                if (auto ok = t.directory.set_alias_state(a.id, to, why); !ok)
                    return std::unexpected(std::move(ok.error()));
                if (a.id != alias.id) continue;
                now.state = to;
                now.reason = why;
            }
            return now;
        });
}

task<result<void>> directory_desk::run_hook(std::string domain, freeze_kind what, bool frozen) {
    if (options_.freeze_hook.empty()) co_return result<void>{};
    auto ended = co_await directory::run_command(
        {.arguments = options_.freeze_hook,
         .environment = {{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
                         {"HOME", "/"},
                         {"LC_ALL", "C.UTF-8"},
                         {"POSTFERRY_DOMAIN", domain},
                         {"POSTFERRY_FREEZE", std::string(name_of(what))},
                         {"POSTFERRY_FROZEN", frozen ? "1" : "0"}}},
        deadline::in(options_.hook_patience));
    if (!ended) co_return std::unexpected(std::move(ended.error()));
    if (ended->exit_code == 0) co_return result<void>{};
    co_return fail(retry_class::config, phase::usage,
                   fmt::format("{} ended with {}: {}", options_.freeze_hook.front(), ended->exit_code,
                               quote_server_text(ended->err, 300)),
                   "See service.freeze_hook in the configuration");
}

namespace {

task<result<void>> add_planned(store::database& db, directory::sorted_list& list, store::record_id domain) {
    store::record_id after = 0;
    for (bool more = true; more;) {
        auto page = co_await db.read([domain, after](tables& t) {
            return t.directory.accounts({.domain = domain}, {.after = after, .limit = store::paging::max_limit});
        });
        if (!page) co_return std::unexpected(std::move(page.error()));
        for (const store::account& a : page->rows) {
            if (auto ok = list.add(a.address); !ok) co_return ok;
            after = a.id;
        }
        more = page->more;
    }
    co_return result<void>{};
}

} // namespace

task<result<reconciled>> directory_desk::reconcile(store::domain domain, std::string old_driver,
                                                   std::string new_driver) {
    auto name = directory::domain_name::parse(domain.name);
    if (!name) co_return std::unexpected(std::move(name.error()));
    auto right_driver = drivers_.find(new_driver);
    if (!right_driver) co_return std::unexpected(std::move(right_driver.error()));
    directory::sorted_list left, right;
    result<void> listed;
    if (old_driver.empty()) {
        listed = co_await add_planned(db_, left, domain.id);
    } else {
        auto left_driver = drivers_.find(old_driver);
        if (!left_driver) co_return std::unexpected(std::move(left_driver.error()));
        listed = co_await directory::add_accounts(left, **left_driver, *name);
    }
    if (listed) listed = co_await directory::add_accounts(right, **right_driver, *name);
    if (!listed) co_return std::unexpected(std::move(listed.error()));
    const auto pool = mailbox::file_pool::shared();
    co_return co_await pool->run([&left, &right]() -> result<reconciled> {
        reconciled out;
        const auto take = [&out](std::string_view address, directory::presence where) -> result<void> {
            auto& names = where == directory::presence::only_left ? out.missing_on_new : out.missing_on_old;
            if (where != directory::presence::both && names.size() < reconciled::most_named)
                names.emplace_back(address);
            return {};
        };
        auto counts = directory::reconcile(left, right, take);
        if (!counts) return std::unexpected(std::move(counts.error()));
        out.both = counts->both;
        out.only_old = counts->only_left;
        out.only_new = counts->only_right;
        return out;
    });
}

task<result<aliases_found>> directory_desk::discover(store::domain domain, std::string by) {
    auto driver = drivers_.find(by);
    if (!driver) co_return std::unexpected(std::move(driver.error()));
    auto name = directory::domain_name::parse(domain.name);
    if (!name) co_return std::unexpected(std::move(name.error()));
    aliases_found found;
    std::vector<store::alias> all;
    constexpr std::size_t most = 1'000'000;
    auto listed =
        co_await (*driver)->list_aliases(std::move(*name), [&](std::span<directory::alias_entry> page) -> result<void> {
            for (const directory::alias_entry& one : page) {
                auto address = directory::address::parse(one.address);
                for (const std::string& target : one.targets) {
                    auto to = directory::address::parse(target);
                    if (!address || !to || all.size() >= most) {
                        ++found.left_out;
                        continue;
                    }
                    all.push_back({.domain = domain.id,
                                   .address = address->text(),
                                   .goes_to = to->text(),
                                   .origin = store::alias_origin::directory,
                                   .state = store::alias_state::proposed});
                }
            }
            return {};
        });
    if (!listed) co_return std::unexpected(std::move(listed.error()));
    constexpr std::size_t bite = 1'000;
    for (std::size_t at = 0; at < all.size(); at += bite) {
        std::vector<store::alias> some(all.begin() + static_cast<std::ptrdiff_t>(at),
                                       all.begin() + static_cast<std::ptrdiff_t>(std::min(at + bite, all.size())));
        auto ids = co_await db_.write([some](tables& t) { return t.directory.add(some); });
        if (!ids) co_return std::unexpected(std::move(ids.error()));
        const auto known = static_cast<std::uint64_t>(std::ranges::count(*ids, 0));
        found.known += known;
        found.proposed += some.size() - known;
    }
    co_return found;
}

} // namespace postferry::jobs

// PostfixAdmin's limits of a domain, and the aliases and quotas that they count (get_domain_properties, check_quota and
// create_allowed of PostfixAdmin 3.3: 0 = no limit, below 0 = none allowed).
#include "directory/postfixadmin.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace postferry::directory {

result<std::optional<postfixadmin_tables::domain_row>> postfixadmin_tables::read_domain(std::string_view domain) {
    const auto or_zero = [&](std::string_view name) { return has("domain", name) ? column("domain", name) : "0"; };
    auto q = db_->prepare(fmt::format("SELECT {}, {}, {}, {} FROM {} WHERE {} = $1", or_zero("aliases"),
                                      or_zero("mailboxes"), or_zero("maxquota"), or_zero("quota"), table("domain"),
                                      column("domain", "domain")));
    if (!q) return std::unexpected(failed(q.error()));
    auto row = q->first(domain);
    if (!row) return std::unexpected(failed(row.error()));
    if (!*row) return std::nullopt;
    domain_row out{.max_aliases = q->get<std::int64_t>(0),
                   .max_accounts = q->get<std::int64_t>(1),
                   .max_quota = q->get<std::int64_t>(2),
                   .total_quota = q->get<std::int64_t>(3)};
    if (auto ok = count_in(out, domain); !ok) return std::unexpected(std::move(ok.error()));
    return out;
}

result<void> postfixadmin_tables::count_in(domain_row& row, std::string_view domain) {
    const bool counts = settings_->count_limits != limit_rule::ignore && (row.max_accounts > 0 || row.max_aliases > 0);
    const bool sums = settings_->quota_limits != limit_rule::ignore && row.total_quota > 0 && has("mailbox", "quota");
    if (!counts && !sums) return {};
    // Two who count at the same time would both find room. SQLite's transaction holds everybody off already.
    if (db_->dialect() == sql::dialect::postgresql) {
        auto locked = number("SELECT 1 FROM pg_advisory_xact_lock(hashtext($1))", {domain});
        if (!locked) return std::unexpected(std::move(locked.error()));
    }
    const auto of = [&](std::string_view what, std::string_view word) {
        return number(fmt::format("SELECT {} FROM {} WHERE {} = $1", what, table(word), column(word, "domain")),
                      {domain});
    };
    auto accounts = of("count(*)", "mailbox");
    auto aliases = of("count(*)", "alias");
    auto quota = sums ? of(fmt::format("CAST(coalesce(sum({}), 0) AS bigint)", column("mailbox", "quota")), "mailbox")
                      : result<std::int64_t>(0);
    for (auto* one : {&accounts, &aliases, &quota})
        if (!*one) return std::unexpected(std::move(one->error()));
    row.accounts = *accounts;
    row.aliases = std::max<std::int64_t>(0, *aliases - *accounts); // every account has an alias of its own
    row.quota = *quota;
    return {};
}

/// What goes beyond a limit: an error, or a note.
result<void> postfixadmin_tables::judge(limit_rule rule, std::string what, std::string& note) const {
    if (rule == limit_rule::respect)
        return std::unexpected(
            full_error(std::move(what), "Raise the domain's limit, or allow it with the driver's limits setting"));
    if (rule == limit_rule::report) note += (note.empty() ? "" : "; ") + what;
    return {};
}

/// The octets to write. An account that names none gets the most that its domain allows.
result<std::uint64_t> postfixadmin_tables::fit_quota(std::optional<std::uint64_t> wanted, const address& account,
                                                     const domain_row& domain, std::string& note) const {
    std::uint64_t octets = wanted.value_or(settings_->default_quota);
    const limit_rule rule = settings_->quota_limits;
    if (rule == limit_rule::ignore) return octets;
    const auto in_octets = [&](std::int64_t units) {
        return static_cast<std::uint64_t>(units) * settings_->quota_multiplier;
    };
    const std::uint64_t most = domain.max_quota > 0 ? in_octets(domain.max_quota) : 0;
    const auto beyond = [](std::uint64_t quota, std::uint64_t limit) {
        return limit > 0 && (quota == 0 || quota > limit);
    };
    if (!wanted && beyond(octets, most)) octets = most;
    if (beyond(octets, most))
        if (auto ok = judge(
                rule,
                fmt::format("the quota of {} is beyond the {} octets that its domain allows", account.text(), most),
                note);
            !ok)
            return std::unexpected(std::move(ok.error()));
    const std::uint64_t total = domain.total_quota > 0 ? in_octets(domain.total_quota) : 0;
    const auto used = static_cast<std::uint64_t>(std::max<std::int64_t>(0, domain.quota));
    if (total > 0 && (octets == 0 || octets > total || used > total - octets))
        if (auto ok = judge(
                rule,
                fmt::format("with {} its domain's accounts have more than {} octets together", account.text(), total),
                note);
            !ok)
            return std::unexpected(std::move(ok.error()));
    return octets;
}

result<outcome> postfixadmin_tables::set_quota(const address& account, std::uint64_t octets) {
    if (!has("mailbox", "quota"))
        return std::unexpected(
            cannot_error("sql", verb::set_quota, fmt::format("The table {} has no column for it", table("mailbox"))));
    auto q = db_->prepare(fmt::format("SELECT {} FROM {} WHERE {} = $1", column("mailbox", "quota"), table("mailbox"),
                                      column("mailbox", "username")));
    if (!q) return std::unexpected(failed(q.error()));
    auto row = q->first(account.text());
    if (!row) return std::unexpected(failed(row.error()));
    if (!*row) return std::unexpected(missing_error(fmt::format("there is no account {}", account.text())));
    const auto now = q->get<std::int64_t>(0);
    if (now == static_cast<std::int64_t>(octets)) return outcome{.what = change::unchanged};
    std::string note;
    if (settings_->quota_limits != limit_rule::ignore) {
        auto domain = read_domain(account.domain());
        if (!domain) return std::unexpected(std::move(domain.error()));
        if (*domain) {
            (*domain)->quota -= now;
            if (auto fits = fit_quota(octets, account, **domain, note); !fits)
                return std::unexpected(std::move(fits.error()));
        }
    }
    auto done = change_account(column("mailbox", "quota") + " = $1", std::to_string(octets), account);
    if (done) done->note = std::move(note);
    return done;
}

result<outcome> postfixadmin_tables::create_alias(const alias_spec& alias) {
    auto domain = read_domain(alias.address.domain());
    if (!domain) return std::unexpected(std::move(domain.error()));
    if (!*domain) return std::unexpected(missing_error(fmt::format("there is no domain {}", alias.address.domain())));
    auto taken = account_exists(alias.address);
    if (!taken) return std::unexpected(std::move(taken.error()));
    if (*taken) return std::unexpected(exists_error(fmt::format("{} is an account", alias.address.text())));
    std::vector<std::string_view> all;
    for (const address& target : alias.targets) all.push_back(target.text());
    const std::string targets = fmt::format("{}", fmt::join(all, ","));
    auto same = number(fmt::format("SELECT CASE WHEN {0} = $1 AND {1} THEN 1 ELSE 2 END FROM {2} WHERE {3} = $2",
                                   column("alias", "goto"), column("alias", "active"), table("alias"),
                                   column("alias", "address")),
                       {targets, alias.address.text()});
    if (!same) return std::unexpected(std::move(same.error()));
    if (*same == 1) return outcome{.what = change::unchanged};
    if (*same == 2) {
        auto changed = change_rows(fmt::format("UPDATE {} SET {} = $1, {} = $2{} WHERE {} = $3", table("alias"),
                                               column("alias", "goto"), column("alias", "active"), touched("alias"),
                                               column("alias", "address")),
                                   {targets, "1", alias.address.text()});
        if (!changed) return std::unexpected(std::move(changed.error()));
        return outcome{.what = change::updated};
    }
    std::string note;
    const domain_row& limits = **domain;
    if (limits.max_aliases < 0 || (limits.max_aliases > 0 && limits.aliases >= limits.max_aliases))
        if (auto ok = judge(settings_->count_limits,
                            fmt::format("the domain {} has all its {} aliases", alias.address.domain(),
                                        std::max<std::int64_t>(0, limits.max_aliases)),
                            note);
            !ok)
            return std::unexpected(std::move(ok.error()));
    auto made = change_rows(insert_text("alias", {"address", "goto", "domain", "active"}, 1),
                            {alias.address.text(), targets, alias.address.domain(), "1"});
    if (!made) return std::unexpected(std::move(made.error()));
    return outcome{.what = *made > 0 ? change::created : change::existed, .note = std::move(note)};
}

} // namespace postferry::directory

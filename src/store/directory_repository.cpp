#include "store/directory_repository.hpp"

#include "store/detail/many_rows.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>

namespace postferry::store {

using detail::one;
using detail::pass_on;
using detail::run;
using detail::selection;
using detail::text;
using detail::word;

namespace {

constexpr std::string_view domain_columns =
    "id, project, name, display, overrides, provisioning_frozen, passwords_frozen, created, version";

domain read_domain(const sql::query& q) {
    return {.id = q.get<record_id>(0),
            .project = q.get<record_id>(1),
            .name = text(q, 2),
            .display = text(q, 3),
            .overrides = text(q, 4),
            .provisioning_frozen = q.get<bool>(5),
            .passwords_frozen = q.get<bool>(6),
            .created = q.get<unix_ms>(7),
            .version = q.get<row_version>(8)};
}

// A quota of 0 means something: NULL comes as -1.
constexpr std::string_view account_columns =
    "id, domain, address, name, COALESCE(quota, -1), language, time_zone, services, state, reason, created, version";

account read_account(const sql::query& q) {
    const auto quota = q.get<std::int64_t>(4);
    return {.id = q.get<record_id>(0),
            .domain = q.get<record_id>(1),
            .address = text(q, 2),
            .name = text(q, 3),
            .quota = quota < 0 ? std::nullopt : std::optional(static_cast<std::uint64_t>(quota)),
            .language = text(q, 5),
            .time_zone = text(q, 6),
            .services = text(q, 7),
            .state = word<account_state>(q, 8),
            .reason = text(q, 9),
            .created = q.get<unix_ms>(10),
            .version = q.get<row_version>(11)};
}

constexpr std::string_view alias_columns =
    "id, domain, address, goes_to, origin, state, reason, seen_in, seen_messages, COALESCE(seen_newest, 0)";

alias read_alias(const sql::query& q) {
    return {.id = q.get<record_id>(0),
            .domain = q.get<record_id>(1),
            .address = text(q, 2),
            .goes_to = text(q, 3),
            .origin = word<alias_origin>(q, 4),
            .state = word<alias_state>(q, 5),
            .reason = text(q, 6),
            .seen_in = text(q, 7),
            .seen_messages = q.get<std::uint64_t>(8),
            .seen_newest = detail::optional_number<unix_ms>(q, 9)};
}

std::string select(std::string_view columns, std::string_view rest) {
    return fmt::format("SELECT {} FROM {}", columns, rest);
}

} // namespace

result<domain> directory_repository::add(const domain& d) {
    return detail::or_refuse(
        one(db_,
            fmt::format("INSERT INTO domain (project, name, display, overrides, provisioning_frozen, passwords_frozen, "
                        "created) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING {}",
                        domain_columns),
            read_domain, d.project, d.name, d.display, d.overrides, d.provisioning_frozen, d.passwords_frozen,
            d.created),
        refusal::duplicate, fmt::format("there is a domain {} already", d.name));
}

result<std::optional<domain>> directory_repository::find_domain(record_id id) {
    return one(db_, select(domain_columns, "domain WHERE id = $1"), read_domain, id);
}

result<std::optional<domain>> directory_repository::find_domain(record_id project, const std::string& name) {
    return one(db_, select(domain_columns, "domain WHERE project = $1 AND name = $2"), read_domain, project, name);
}

result<slice<domain>> directory_repository::domains(std::optional<record_id> project, const paging& page) {
    selection wanted(select(domain_columns, "domain"));
    if (project) wanted.where("project =", *project);
    return wanted.page(db_, page, "id", read_domain);
}

result<domain> directory_repository::update(const domain& d) {
    auto stored =
        one(db_,
            fmt::format("UPDATE domain SET display = $1, overrides = $2, provisioning_frozen = $3, passwords_frozen = "
                        "$4, version = version + 1 WHERE id = $5 AND version = $6 RETURNING {}",
                        domain_columns),
            read_domain, d.display, d.overrides, d.provisioning_frozen, d.passwords_frozen, d.id, d.version);
    if (!stored) return pass_on(stored);
    if (!*stored) return detail::missing_or_changed(db_, "domain", "SELECT count(*) FROM domain WHERE id = $1", d.id);
    return std::move(**stored);
}

result<bool> directory_repository::remove_domain(record_id id, row_version from) {
    auto accounts = detail::number(db_, "SELECT count(*) FROM account WHERE domain = $1", id);
    if (!accounts) return pass_on(accounts);
    if (*accounts > 0)
        return refusal::refuse(refusal::conflict, fmt::format("the domain has {} accounts", *accounts),
                               "Remove its accounts first");
    auto there = detail::number(db_, "SELECT count(*) FROM domain WHERE id = $1", id);
    if (!there) return pass_on(there);
    if (*there == 0) return false;
    auto gone = run(db_, "DELETE FROM domain WHERE id = $1 AND version = $2", id, from);
    if (!gone) return pass_on(gone);
    if (*gone == 0) return detail::missing_or_changed(db_, "domain", "SELECT count(*) FROM domain WHERE id = $1", id);
    gone = run(db_, "DELETE FROM alias WHERE domain = $1", id);
    if (!gone) return pass_on(gone);
    return true;
}

result<std::vector<record_id>> directory_repository::add(const std::vector<account>& accounts) {
    std::unordered_map<std::string_view, std::size_t> place;
    for (std::size_t i = 0; i < accounts.size(); ++i) place.try_emplace(accounts[i].address, i);
    std::vector<record_id> ids(accounts.size());
    auto done = detail::insert_rows(
        db_,
        "INSERT INTO account (domain, address, name, quota, language, time_zone, services, state, reason, created) "
        "VALUES",
        " ON CONFLICT DO NOTHING RETURNING id, address", accounts,
        [](const account& a, std::vector<sql::value>& values) {
            detail::put(values, a.domain, a.address, a.name, a.quota, a.language, a.time_zone, a.services,
                        name_of(a.state), a.reason, a.created);
        },
        [&](const sql::query& q) {
            if (const auto at = place.find(q.text(1)); at != place.end()) ids[at->second] = q.get<record_id>(0);
        });
    if (!done) return pass_on(done);
    return ids;
}

result<std::optional<account>> directory_repository::find_account(record_id id) {
    return one(db_, select(account_columns, "account WHERE id = $1"), read_account, id);
}

result<std::optional<account>> directory_repository::find_account(const std::string& address) {
    return one(db_, select(account_columns, "account WHERE address = $1"), read_account, address);
}

namespace {

/// Those of a table whose column is one of the keys.
template <class Read, class Key>
auto rows_of(sql::connection& db, std::string_view columns, std::string_view table, std::string_view column,
             const std::vector<Key>& keys, Read read)
    -> result<std::vector<std::invoke_result_t<Read&, const sql::query&>>> {
    std::vector<std::invoke_result_t<Read&, const sql::query&>> found;
    auto done = detail::each_among(db, select(columns, table), column, keys,
                                   [&](const sql::query& q) { found.push_back(read(q)); });
    if (!done) return pass_on(done);
    return found;
}

/// Keys that come twice may be in two statements.
template <class Row, class Key> result<std::vector<Row>> each_once(result<std::vector<Row>> found, Key by) {
    if (!found) return found;
    std::ranges::sort(*found, {}, by);
    const auto repeated = std::ranges::unique(*found, {}, by);
    found->erase(repeated.begin(), repeated.end());
    return found;
}

} // namespace

result<std::vector<domain>> directory_repository::domains_of(const std::vector<record_id>& ids) {
    return rows_of(db_, domain_columns, "domain", "id", ids, read_domain);
}

result<std::vector<account>> directory_repository::accounts_of(const std::vector<record_id>& ids) {
    return rows_of(db_, account_columns, "account", "id", ids, read_account);
}

result<std::vector<account>> directory_repository::find_accounts(const std::vector<std::string>& addresses) {
    return each_once(rows_of(db_, account_columns, "account", "address", addresses, read_account), &account::address);
}

result<slice<account>> directory_repository::accounts(const account_filter& filter, const paging& page) {
    selection wanted(select(account_columns, "account"));
    const std::string pattern = detail::containing(filter.contains);
    if (filter.domain) wanted.where("domain =", *filter.domain);
    if (filter.state) wanted.where("state =", name_of(*filter.state));
    if (!filter.contains.empty()) wanted.where_with("address LIKE {0} ESCAPE '\\'", pattern);
    return wanted.page(db_, page, "id", read_account);
}

result<account> directory_repository::update(const account& a) {
    auto stored =
        one(db_,
            fmt::format("UPDATE account SET name = $1, quota = $2, language = $3, time_zone = $4, services = $5, state "
                        "= $6, reason = $7, version = version + 1 WHERE id = $8 AND version = $9 RETURNING {}",
                        account_columns),
            read_account, a.name, a.quota, a.language, a.time_zone, a.services, name_of(a.state), a.reason, a.id,
            a.version);
    if (!stored) return pass_on(stored);
    if (!*stored) return detail::missing_or_changed(db_, "account", "SELECT count(*) FROM account WHERE id = $1", a.id);
    return std::move(**stored);
}

result<void> directory_repository::set_states(const std::vector<account_change>& all) {
    static constexpr std::array columns{detail::typed_column{"id", "BIGINT"}, detail::typed_column{"state", "TEXT"},
                                        detail::typed_column{"reason", "TEXT"}};
    return detail::update_rows(db_, "account", columns, "version = version + 1, ", all,
                               [](const account_change& c, std::vector<sql::value>& values) {
                                   detail::put(values, c.account, name_of(c.state), c.reason);
                               });
}

result<bool> directory_repository::remove_account(record_id id, row_version from) {
    auto gone = run(db_, "DELETE FROM account WHERE id = $1 AND version = $2", id, from);
    if (!gone) return pass_on(gone);
    if (*gone > 0) return true;
    auto there = find_account(id);
    if (!there) return pass_on(there);
    if (!*there) return false;
    return refusal::refuse(refusal::conflict, "the account has been changed by somebody else",
                           "Read it again and repeat the change");
}

result<std::vector<record_id>> directory_repository::add(const std::vector<alias>& aliases) {
    std::unordered_map<std::string, std::size_t> place;
    const auto key = [](std::string_view from, std::string_view to) { return fmt::format("{} {}", from, to); };
    for (std::size_t i = 0; i < aliases.size(); ++i) place.try_emplace(key(aliases[i].address, aliases[i].goes_to), i);
    std::vector<record_id> ids(aliases.size());
    auto done = detail::insert_rows(
        db_,
        "INSERT INTO alias (domain, address, goes_to, origin, state, reason, seen_in, seen_messages, seen_newest) "
        "VALUES",
        " ON CONFLICT DO NOTHING RETURNING id, address, goes_to", aliases,
        [](const alias& a, std::vector<sql::value>& values) {
            detail::put(values, a.domain, a.address, a.goes_to, name_of(a.origin), name_of(a.state), a.reason,
                        a.seen_in, a.seen_messages, a.seen_newest);
        },
        [&](const sql::query& q) {
            if (const auto at = place.find(key(q.text(1), q.text(2))); at != place.end())
                ids[at->second] = q.get<record_id>(0);
        });
    if (!done) return pass_on(done);
    return ids;
}

result<std::optional<alias>> directory_repository::find_alias(record_id id) {
    return one(db_, select(alias_columns, "alias WHERE id = $1"), read_alias, id);
}

result<std::vector<alias>> directory_repository::find_aliases(const std::vector<std::string>& addresses) {
    return each_once(rows_of(db_, alias_columns, "alias", "address", addresses, read_alias), &alias::id);
}

result<std::vector<alias>> directory_repository::find_aliases_onto(const std::vector<std::string>& targets) {
    return each_once(rows_of(db_, alias_columns, "alias", "goes_to", targets, read_alias), &alias::id);
}

result<slice<alias>> directory_repository::aliases(const alias_filter& filter, const paging& page) {
    selection wanted(select(alias_columns, "alias"));
    if (filter.domain) wanted.where("domain =", *filter.domain);
    if (filter.state) wanted.where("state =", name_of(*filter.state));
    if (filter.address) wanted.where("address =", std::string_view(*filter.address));
    return wanted.page(db_, page, "id", read_alias);
}

result<void> directory_repository::set_alias_state(record_id alias, alias_state state, const std::string& reason) {
    auto done = run(db_, "UPDATE alias SET state = $1, reason = $2 WHERE id = $3", name_of(state), reason, alias);
    if (!done) return pass_on(done);
    if (*done == 0) return refusal::refuse(refusal::missing, "there is no such alias");
    return {};
}

result<void> directory_repository::set_states(const std::vector<alias>& all) {
    static constexpr std::array columns{detail::typed_column{"id", "BIGINT"}, detail::typed_column{"state", "TEXT"},
                                        detail::typed_column{"reason", "TEXT"}};
    return detail::update_rows(db_, "alias", columns, "", all, [](const alias& a, std::vector<sql::value>& values) {
        detail::put(values, a.id, name_of(a.state), a.reason);
    });
}

result<void> directory_repository::set_alias_seen(const alias& a) {
    auto done = run(db_, "UPDATE alias SET seen_in = $1, seen_messages = $2, seen_newest = $3 WHERE id = $4", a.seen_in,
                    a.seen_messages, a.seen_newest, a.id);
    if (!done) return pass_on(done);
    return {};
}

result<bool> directory_repository::remove_alias(record_id id) {
    auto gone = run(db_, "DELETE FROM alias WHERE id = $1", id);
    if (!gone) return pass_on(gone);
    return *gone > 0;
}

} // namespace postferry::store

#include "directory/postfixadmin.hpp"

#include "sql/transaction.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace postferry::directory {

namespace {

struct known_column {
    std::string_view table, name;
    bool required;
};

// upgrade.php of PostfixAdmin 3.3.13; what is not required came with some version, or is bookkeeping.
constexpr auto known_columns = std::to_array<known_column>({
    {"domain", "domain", true},       {"domain", "active", true},
    {"domain", "description", false}, {"domain", "aliases", false},
    {"domain", "mailboxes", false},   {"domain", "maxquota", false},
    {"domain", "quota", false},       {"domain", "transport", false},
    {"domain", "backupmx", false},    {"domain", "created", false},
    {"domain", "modified", false},    {"mailbox", "username", true},
    {"mailbox", "password", true},    {"mailbox", "domain", true},
    {"mailbox", "active", true},      {"mailbox", "name", false},
    {"mailbox", "maildir", false},    {"mailbox", "quota", false},
    {"mailbox", "local_part", false}, {"mailbox", "password_expiry", false},
    {"mailbox", "created", false},    {"mailbox", "modified", false},
    {"alias", "address", true},       {"alias", "goto", true},
    {"alias", "domain", true},        {"alias", "active", true},
    {"alias", "created", false},      {"alias", "modified", false},
});

std::vector<std::string> split(std::string_view list) {
    std::vector<std::string> out;
    while (!list.empty()) {
        const std::size_t end = std::min(list.find(','), list.size());
        if (end > 0) out.emplace_back(list.substr(0, end));
        list.remove_prefix(std::min(end + 1, list.size()));
    }
    return out;
}

} // namespace

std::string_view postfixadmin_tables::table(std::string_view word) const {
    if (word == "domain") return settings_->domain_table;
    return word == "mailbox" ? settings_->mailbox_table : settings_->alias_table;
}

std::string postfixadmin_tables::column(std::string_view table, std::string_view name) const {
    const auto found = settings_->columns.find(fmt::format("{}.{}", table, name));
    return found == settings_->columns.end() ? std::string(name) : found->second;
}

bool postfixadmin_tables::has(std::string_view table, std::string_view name) const {
    return there_.contains(fmt::format("{}.{}", table, name));
}

bool postfixadmin_tables::knows(std::string_view table_and_column) noexcept {
    return std::ranges::any_of(known_columns, [&](const known_column& c) {
        return table_and_column.size() == c.table.size() + 1 + c.name.size() && table_and_column.starts_with(c.table) &&
               table_and_column[c.table.size()] == '.' && table_and_column.ends_with(c.name);
    });
}

/// The failure of a statement as the directory's.
error postfixadmin_tables::failed(const error& why) const {
    error out = why;
    out.where = phase::create;
    const sql::trouble kind = db_->last_trouble();
    if (sql::repeatable(kind)) out.cls = retry_class::transient;
    if (kind == sql::trouble::constraint) out.cls = retry_class::permanent;
    return out;
}

// --- what is there ---

result<bool> postfixadmin_tables::reads(const std::string& sql) {
    auto q = db_->prepare(sql);
    auto row = q ? q->first() : result<bool>(std::unexpected(q.error()));
    if (row) return true;
    if (sql::repeatable(db_->last_trouble())) return std::unexpected(failed(row.error()));
    return false;
}

result<void> postfixadmin_tables::learn() {
    there_.clear();
    for (const std::string_view word : {"domain", "mailbox", "alias"}) {
        auto there = reads(fmt::format("SELECT 1 FROM {} WHERE 1 = 0", table(word)));
        if (!there) return std::unexpected(std::move(there.error()));
        if (!*there)
            return fail(retry_class::config, phase::create,
                        fmt::format("the database has no table {} that we may read", table(word)),
                        fmt::format("Name it with tables.{}, or grant SELECT on it", word));
    }
    for (const known_column& c : known_columns) {
        const std::string name = column(c.table, c.name);
        auto there = reads(fmt::format("SELECT {} FROM {} WHERE 1 = 0", name, table(c.table)));
        if (!there) return std::unexpected(std::move(there.error()));
        if (*there)
            there_.insert(fmt::format("{}.{}", c.table, c.name));
        else if (c.required || settings_->columns.contains(fmt::format("{}.{}", c.table, c.name)))
            return fail(retry_class::config, phase::create,
                        fmt::format("the table {} has no column {} that we may read", table(c.table), name),
                        fmt::format("Name it with columns.{}.{}", c.table, c.name));
    }
    return {};
}

check_report postfixadmin_tables::check() {
    using enum check_finding::grade;
    check_report out;
    const bool lite = db_->dialect() == sql::dialect::sqlite;
    if (auto q = db_->prepare(lite ? "SELECT 'SQLite ' || sqlite_version()"
                                   : "SELECT 'PostgreSQL ' || current_setting('server_version')");
        q)
        if (auto row = q->first(); row && *row) out.server = q->text(0);
    if (auto ok = learn(); !ok) {
        out.findings.push_back({fault, ok.error().what, ok.error().advice});
        return out;
    }
    out.findings.push_back(
        {good, fmt::format("the tables {}, {} and {} are there", table("domain"), table("mailbox"), table("alias"))});
    for (const known_column& c : known_columns)
        if (!has(c.table, c.name))
            out.findings.push_back(
                {warning, fmt::format("the table {} has no column {}: it is left out", table(c.table), c.name)});
    if (auto written = rehearse(); written)
        out.findings.push_back({good, "a domain, an account and an alias were written and rolled back"});
    else
        out.findings.push_back({fault, "cannot write: " + written.error().message(),
                                "Grant INSERT, SELECT and UPDATE on the three tables"});
    return out;
}

/// Writes what every verb writes, and takes it back: the one proof of rights that all databases give alike.
result<void> postfixadmin_tables::rehearse() {
    const auto name = domain_name::parse("postferry-check.invalid");
    const auto someone = address::parse("postferry-check@postferry-check.invalid");
    if (!name || !someone) return {};
    if (auto ok = db_->begin(sql::durability::ordered); !ok) return std::unexpected(failed(ok.error()));
    const auto all = [&]() -> result<void> {
        if (auto ok = create_domain({.name = *name}); !ok) return std::unexpected(std::move(ok.error()));
        const account_spec spec{.address = *someone};
        const ready_account ready{.spec = &spec, .password = "{PLAIN}"};
        auto made = create(std::span(&ready, 1), create_mode::upsert);
        if (!made) return std::unexpected(std::move(made.error()));
        if (!made->front()) return std::unexpected(std::move(made->front().error()));
        if (auto ok = set_active(*someone, false); !ok) return std::unexpected(std::move(ok.error()));
        return {};
    };
    auto done = all();
    db_->rollback();
    return done;
}

// --- small pieces of SQL ---

/// ", modified = CURRENT_TIMESTAMP" where there is such a column.
std::string postfixadmin_tables::touched(std::string_view table) const {
    return has(table, "modified") ? fmt::format(", {} = CURRENT_TIMESTAMP", column(table, "modified")) : "";
}

/// The moment at which a password set now expires, as PostfixAdmin writes it whether it looks at it or not: the
/// column's default is the year 2000.
std::string postfixadmin_tables::expiry() const {
    const unsigned days = settings_->password_expiry_days;
    if (db_->dialect() == sql::dialect::sqlite) return fmt::format("datetime('now', '+{} days')", days);
    return fmt::format("now() + interval '{} days'", days);
}

result<std::int64_t> postfixadmin_tables::number(const std::string& sql, const texts& values) {
    auto q = db_->prepare(sql);
    if (!q) return std::unexpected(failed(q.error()));
    auto row = q->first_of(values);
    if (!row) return std::unexpected(failed(row.error()));
    return *row ? q->get<std::int64_t>(0) : 0;
}

result<std::int64_t> postfixadmin_tables::change_rows(const std::string& sql, const texts& values) {
    auto q = db_->prepare(sql);
    if (!q) return std::unexpected(failed(q.error()));
    auto changed = q->run_of(values);
    if (!changed) return std::unexpected(failed(changed.error()));
    return *changed;
}

/// All values are bound as text: the databases read numbers and truth from it, and know the type by the column.
std::string postfixadmin_tables::insert_text(std::string_view word, const std::vector<std::string_view>& names,
                                             std::size_t rows) const {
    std::vector<std::string> columns, constants;
    for (const std::string_view name : names) columns.push_back(column(word, name));
    for (const std::string_view stamp : {"created", "modified", "password_expiry"}) {
        if (!has(word, stamp)) continue;
        columns.push_back(column(word, stamp));
        constants.push_back(stamp == "password_expiry" ? expiry() : "CURRENT_TIMESTAMP");
    }
    std::string out = fmt::format("INSERT INTO {} ({}) VALUES ", table(word), fmt::join(columns, ", "));
    for (std::size_t row = 0, parameter = 0; row < rows; ++row) {
        std::vector<std::string> places;
        for (std::size_t i = 0; i < names.size(); ++i) places.push_back(fmt::format("${}", ++parameter));
        places.insert(places.end(), constants.begin(), constants.end());
        out += fmt::format("{}({})", row == 0 ? "" : ", ", fmt::join(places, ", "));
    }
    return out + " ON CONFLICT DO NOTHING";
}

// --- verbs ---

result<outcome> postfixadmin_tables::create_domain(const domain_spec& domain) {
    const auto units = [this](std::uint64_t octets) {
        return std::to_string(octets / settings_->quota_multiplier + (octets % settings_->quota_multiplier != 0));
    };
    std::vector<std::pair<std::string_view, std::string>> values = {
        {"domain", domain.name.text()},
        {"description", domain.description},
        {"aliases", std::to_string(domain.max_aliases.value_or(0))},
        {"mailboxes", std::to_string(domain.max_accounts.value_or(0))},
        {"maxquota", units(domain.max_account_quota.value_or(0))},
        {"quota", units(domain.total_quota.value_or(0))},
        {"transport", settings_->transport},
        {"backupmx", "0"},
        {"active", domain.active ? "1" : "0"},
    };
    std::erase_if(values, [this](const auto& v) { return !has("domain", v.first); });
    std::vector<std::string_view> names;
    texts bound;
    for (const auto& [name, value] : values) {
        names.push_back(name);
        bound.push_back(value);
    }
    auto made = change_rows(insert_text("domain", names, 1), bound);
    if (!made) return std::unexpected(std::move(made.error()));
    return outcome{.what = *made > 0 ? change::created : change::existed};
}

result<bool> postfixadmin_tables::account_exists(const address& account) {
    auto found =
        number(fmt::format("SELECT count(*) FROM {} WHERE {} = $1", table("mailbox"), column("mailbox", "username")),
               {account.text()});
    if (!found) return std::unexpected(std::move(found.error()));
    return *found > 0;
}

result<outcome> postfixadmin_tables::change_account(const std::string& what, std::string_view value,
                                                    const address& account) {
    auto changed = change_rows(fmt::format("UPDATE {} SET {}{} WHERE {} = $2", table("mailbox"), what,
                                           touched("mailbox"), column("mailbox", "username")),
                               {value, account.text()});
    if (!changed) return std::unexpected(std::move(changed.error()));
    if (*changed == 0) return std::unexpected(missing_error(fmt::format("there is no account {}", account.text())));
    return outcome{.what = change::updated};
}

result<std::optional<secret>> postfixadmin_tables::stored_password(const address& account) {
    auto q = db_->prepare(fmt::format("SELECT {} FROM {} WHERE {} = $1", column("mailbox", "password"),
                                      table("mailbox"), column("mailbox", "username")));
    if (!q) return std::unexpected(failed(q.error()));
    auto row = q->first(account.text());
    if (!row) return std::unexpected(failed(row.error()));
    return *row ? std::optional(secret(std::string(q->text(0)))) : std::nullopt;
}

result<outcome> postfixadmin_tables::set_password(const address& account, std::string_view hashed) {
    std::string what = column("mailbox", "password") + " = $1";
    if (has("mailbox", "password_expiry"))
        what += fmt::format(", {} = {}", column("mailbox", "password_expiry"), expiry());
    return change_account(what, hashed, account);
}

result<outcome> postfixadmin_tables::set_active(const address& account, bool active) {
    const std::string_view wanted = active ? "1" : "0";
    auto is = number(fmt::format("SELECT CASE WHEN {} THEN 2 ELSE 1 END FROM {} WHERE {} = $1",
                                 column("mailbox", "active"), table("mailbox"), column("mailbox", "username")),
                     {account.text()});
    if (!is) return std::unexpected(std::move(is.error()));
    if (*is == (active ? 2 : 1)) return outcome{.what = change::unchanged};
    auto changed = change_account(column("mailbox", "active") + " = $1", wanted, account);
    if (!changed) return changed;
    // PostfixAdmin does the same with the account's own alias: Postfix asks that one first.
    auto own = change_rows(fmt::format("UPDATE {} SET {} = $1{} WHERE {} = $2", table("alias"),
                                       column("alias", "active"), touched("alias"), column("alias", "address")),
                           {wanted, account.text()});
    if (!own) return std::unexpected(std::move(own.error()));
    return changed;
}

result<std::vector<account_entry>> postfixadmin_tables::accounts_after(const domain_name& domain,
                                                                       std::string_view after, std::size_t most) {
    const auto or_null = [&](std::string_view name) { return has("mailbox", name) ? column("mailbox", name) : "NULL"; };
    const std::string key = column("mailbox", "username");
    auto q = db_->prepare(fmt::format(
        "SELECT {}, {}, {}, CASE WHEN {} THEN 1 ELSE 0 END FROM {} WHERE {} = $1 AND {} > $2 ORDER BY {} LIMIT {}", key,
        or_null("name"), or_null("quota"), column("mailbox", "active"), table("mailbox"), column("mailbox", "domain"),
        key, key, most));
    if (!q) return std::unexpected(failed(q.error()));
    std::vector<account_entry> out;
    auto row = q->first(domain.text(), after);
    for (; row && *row; row = q->next()) {
        account_entry entry{
            .address = std::string(q->text(0)), .name = std::string(q->text(1)), .active = q->get<bool>(3)};
        if (has("mailbox", "quota"))
            entry.quota = static_cast<std::uint64_t>(std::max<std::int64_t>(0, q->get<std::int64_t>(2)));
        out.push_back(std::move(entry));
    }
    if (!row) return std::unexpected(failed(row.error()));
    return out;
}

result<std::vector<alias_entry>> postfixadmin_tables::aliases_after(const domain_name& domain, std::string_view after,
                                                                    std::size_t most) {
    const std::string key = "a." + column("alias", "address");
    auto q =
        db_->prepare(fmt::format("SELECT {0}, a.{1}, CASE WHEN a.{2} THEN 1 ELSE 0 END FROM {3} a WHERE a.{4} = $1 AND "
                                 "{0} > $2 AND NOT EXISTS (SELECT 1 "
                                 "FROM {5} m WHERE m.{6} = {0}) ORDER BY {0} LIMIT {7}",
                                 key, column("alias", "goto"), column("alias", "active"), table("alias"),
                                 column("alias", "domain"), table("mailbox"), column("mailbox", "username"), most));
    if (!q) return std::unexpected(failed(q.error()));
    std::vector<alias_entry> out;
    auto row = q->first(domain.text(), after);
    for (; row && *row; row = q->next())
        out.push_back({.address = std::string(q->text(0)), .targets = split(q->text(1)), .active = q->get<bool>(2)});
    if (!row) return std::unexpected(failed(row.error()));
    return out;
}

} // namespace postferry::directory

#include "directory/settings.hpp"

#include "directory/exec_provisioner.hpp"
#include "directory/fill.hpp"
#include "directory/imap_provisioner.hpp"
#include "directory/none_provisioner.hpp"
#include "directory/settings_reader.hpp"
#include "directory/sql_provisioner.hpp"
#include "mailbox/endpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postferry::directory {

namespace {

constexpr std::int64_t hour = 3600;
constexpr std::uint64_t max_octets = std::uint64_t{1} << 62U;

bool is_word(std::string_view text, std::string_view more) {
    return !text.empty() && text.size() <= 63 && !(text.front() >= '0' && text.front() <= '9') &&
           std::ranges::all_of(text, [more](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || more.contains(c);
           });
}

/// What may be written into SQL as it is: a name, in front of it one of a schema.
bool is_sql_name(std::string_view text) {
    const std::size_t dot = text.find('.');
    if (dot == std::string_view::npos) return is_word(text, "_");
    return is_word(text.substr(0, dot), "_") && is_word(text.substr(dot + 1), "_");
}

std::chrono::milliseconds read_patience(settings_reader& from, std::chrono::milliseconds otherwise) {
    return std::chrono::seconds(
        from.number("patience", std::chrono::duration_cast<std::chrono::seconds>(otherwise).count(), 1, hour));
}

// --- sql ---

hash_cost read_cost(settings_reader& from) {
    hash_cost cost;
    cost.bcrypt = static_cast<unsigned>(from.number("bcrypt_cost", cost.bcrypt, 4, 18));
    cost.sha512 = static_cast<std::uint32_t>(from.number("sha512_rounds", cost.sha512, 1000, 10'000'000));
    cost.sha256 = static_cast<std::uint32_t>(from.number("sha256_rounds", cost.sha256, 1000, 10'000'000));
    cost.argon2_passes = static_cast<std::uint32_t>(from.number("argon2_passes", cost.argon2_passes, 1, 64));
    cost.argon2_kib = static_cast<std::uint32_t>(
        from.size("argon2_memory", std::uint64_t{cost.argon2_kib} * 1024, std::uint64_t{1} << 30U) / 1024);
    if (cost.argon2_kib < 8) from.fault("argon2_memory", "must be at least 8192 octets");
    return cost;
}

limit_rule read_rule(settings_reader& from, std::string_view name, limit_rule otherwise) {
    constexpr std::array<std::string_view, 3> words{"respect", "report", "ignore"}; // as in limit_rule
    return static_cast<limit_rule>(from.choice(name, words, static_cast<std::size_t>(otherwise)));
}

std::string read_table(settings_reader& from, std::string_view name, const std::string& otherwise) {
    const std::string key = fmt::format("tables.{}", name);
    std::string table = from.text(key, otherwise);
    if (!is_sql_name(table))
        from.fault(key, "must be a name of letters, digits and \"_\", with a schema's and a \".\" in front if need be");
    return table;
}

postfixadmin_settings read_tables(settings_reader& from) {
    postfixadmin_settings out;
    out.domain_table = read_table(from, "domain", out.domain_table);
    out.mailbox_table = read_table(from, "mailbox", out.mailbox_table);
    out.alias_table = read_table(from, "alias", out.alias_table);
    for (auto& [name, column] : from.below("columns")) {
        if (!postfixadmin_tables::knows(name))
            from.fault("columns." + name, "PostfixAdmin's tables have no such column");
        else if (!is_word(column, "_"))
            from.fault("columns." + name, "must be a name of letters, digits and \"_\"");
        out.columns.insert_or_assign(name, column);
    }
    out.maildir = from.text("maildir", out.maildir);
    from.check("maildir", check_pattern(out.maildir));
    out.quota_multiplier = static_cast<std::uint64_t>(
        from.number("quota_multiplier", static_cast<std::int64_t>(out.quota_multiplier), 1, std::int64_t{1} << 40));
    out.default_quota = from.size("default_quota", out.default_quota, max_octets);
    out.transport = from.text("transport", out.transport);
    if (out.transport.size() > 255 || out.transport.find_first_of(std::string_view("\0\r\n", 3)) != std::string::npos)
        from.fault("transport", "must be one line of at most 255 octets");
    out.password_expiry_days =
        static_cast<unsigned>(from.number("password_expiry_days", out.password_expiry_days, 1, 36'500));
    out.count_limits = read_rule(from, "limits", out.count_limits);
    out.quota_limits = read_rule(from, "quota_limits", out.quota_limits);
    return out;
}

std::unique_ptr<provisioner> make_sql(settings_reader& from, std::shared_ptr<hash_pool> hashing) {
    sql_settings s{.database = {}};
    if (const auto url = from.required_text("database")) {
        auto where = sql::parse_location(*url);
        if (where)
            s.database = std::move(*where);
        else
            from.fault("database", where.error().what);
    }
    s.password = from.secret_value("password");
    const std::string scheme = from.text("password_scheme", name_of(s.scheme));
    if (const auto known = parse_password_scheme(scheme))
        s.scheme = *known;
    else
        from.fault("password_scheme", "must be one of BLF-CRYPT, ARGON2ID, SHA512-CRYPT, SHA256-CRYPT, PLAIN");
    s.cost = read_cost(from);
    s.tables = read_tables(from);
    s.patience = read_patience(from, s.patience);
    s.batch = static_cast<std::size_t>(from.number("batch", static_cast<std::int64_t>(s.batch), 1, 10'000));
    return std::make_unique<sql_provisioner>(std::move(s), hashing ? std::move(hashing) : hash_pool::shared());
}

// --- exec ---

constexpr std::array every_verb{verb::domain_create, verb::account_exists, verb::account_create,
                                verb::set_password,  verb::set_quota,      verb::suspend,
                                verb::alias_create,  verb::list_accounts,  verb::list_aliases};

void read_commands(settings_reader& from, exec_settings& into) {
    for (const verb v : every_verb) {
        std::string name(name_of(v));
        std::ranges::replace(name, '-', '_');
        setting::list arguments = from.texts(name);
        if (arguments.empty()) continue;
        const bool nul = std::ranges::any_of(arguments, [](const std::string& a) { return a.contains('\0'); });
        if (!arguments.front().starts_with('/')) from.fault(name, "must begin with the absolute path of a program");
        if (nul || arguments.size() > 64) from.fault(name, "must have at most 64 arguments, none with a NUL");
        into.commands.emplace(v, std::move(arguments));
    }
    if (into.commands.empty()) from.fault("account_create", "is missing: no verb has a command");
}

std::unique_ptr<provisioner> make_exec(settings_reader& from) {
    exec_settings s;
    read_commands(from, s);
    s.pass_environment = from.texts("pass_environment");
    if (!std::ranges::all_of(s.pass_environment, [](const std::string& name) {
            return is_word(name, "_") && !name.starts_with("POSTFERRY_");
        }))
        from.fault("pass_environment", "must hold names of variables, none that begins with POSTFERRY_");
    std::vector<int*> codes{&s.exists_code, &s.missing_code, &s.unchanged_code, &s.later_code};
    constexpr std::array<std::string_view, 4> names{"exists_code", "missing_code", "unchanged_code", "later_code"};
    for (std::size_t i = 0; i < codes.size(); ++i) {
        *codes[i] = static_cast<int>(from.number(names[i], *codes[i], 1, 125));
        for (std::size_t j = 0; j < i; ++j)
            if (*codes[i] == *codes[j]) from.fault(names[i], fmt::format("must differ from {}", names[j]));
    }
    s.patience = read_patience(from, s.patience);
    s.concurrency =
        static_cast<std::size_t>(from.number("concurrency", static_cast<std::int64_t>(s.concurrency), 1, 256));
    return std::make_unique<exec_provisioner>(std::move(s));
}

// --- imap-admin ---

void read_server(settings_reader& from, client::server_settings& into) {
    const auto url = from.required_text("server");
    if (!url) return;
    auto where = mailbox::parse_endpoint(*url);
    if (!where) return from.fault("server", where.error().what);
    if (where->kind != mailbox::scheme::imap && where->kind != mailbox::scheme::imaps)
        return from.fault("server", "must be an imap:// or imaps:// URL");
    if (where->user.empty() || where->user.contains('{'))
        return from.fault("server", "must name the administrator: imaps://cyrus@mail.example.org");
    into.where = where->where;
    into.tls = where->tls;
    into.auth = where->auth;
    into.user = where->user;
    into.compress = client::compression::off;
}

std::unique_ptr<provisioner> make_imap_admin(settings_reader& from, executor ex) {
    imap_admin_settings s;
    read_server(from, s.server);
    s.server.password = from.secret_value("password");
    if (s.server.password.empty()) from.fault("password", "is missing");
    s.account_name = from.text("account_name", s.account_name);
    from.check("account_name", check_pattern(s.account_name));
    for (const std::string& grant : from.texts("grants")) {
        const std::size_t space = grant.find(' ');
        const std::string_view rights = std::string_view(grant).substr(std::min(space, grant.size() - 1) + 1);
        const bool letters = !rights.empty() && std::ranges::all_of(rights, [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        });
        if (space == std::string::npos || space == 0 || !letters)
            from.fault("grants", "must be such as \"postferry lrswipkxtecda\" (RFC 4314)");
        else
            s.grants.emplace_back(grant.substr(0, space), rights);
    }
    s.patience = read_patience(from, s.patience);
    s.server.answer_patience = s.patience;
    s.server.connect_patience = std::min(s.server.connect_patience, s.patience);
    return std::make_unique<imap_provisioner>(std::move(s), std::move(ex));
}

} // namespace

std::expected<std::unique_ptr<provisioner>, std::vector<setting_fault>>
make_provisioner(setting_list settings, executor ex, std::shared_ptr<hash_pool> hashing) {
    settings_reader from(std::move(settings));
    const std::string driver = from.required_text("driver").value_or("");
    std::unique_ptr<provisioner> made;
    if (driver == "sql")
        made = make_sql(from, std::move(hashing));
    else if (driver == "exec")
        made = make_exec(from);
    else if (driver == "imap-admin")
        made = make_imap_admin(from, std::move(ex));
    else if (driver == "none")
        made = std::make_unique<none_provisioner>();
    else if (!driver.empty())
        return std::unexpected(std::vector<setting_fault>{
            {"driver", from.position_of("driver"), "must be one of sql, exec, imap-admin, none"}});
    auto faults = driver.empty() ? from.faults_so_far() : from.finish(driver);
    if (!faults.empty()) return std::unexpected(std::move(faults));
    return made;
}

} // namespace postferry::directory

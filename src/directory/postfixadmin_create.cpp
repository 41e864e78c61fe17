// Many accounts in one transaction: looked up and inserted many a statement, so that a row costs microseconds; where a
// statement fails, its rows are tried one by one, so that one that fails does not stop the others.
#include "directory/fill.hpp"
#include "directory/postfixadmin.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace postferry::directory {

namespace {

// Few sizes, as every size is a statement of its own that is kept prepared.
constexpr std::size_t sizes[] = {64, 16, 4, 1};
constexpr std::size_t looked_up = 64;

std::size_t next_size(std::size_t left) {
    return *std::ranges::find_if(sizes, [left](std::size_t size) { return size <= left; });
}

} // namespace

/// What create() works with. A row without an outcome is still to be inserted.
struct postfixadmin_tables::creation {
    struct row {
        std::string maildir, quota = "0", note;
    };

    std::span<const ready_account> accounts;
    create_mode mode;
    std::vector<std::optional<result<outcome>>> out = {};
    std::vector<row> rows = {};
    names there = {}, aliases = {}; ///< accounts that exist, and aliases of the addresses wanted
    names wanted = {};              ///< accounts that this very call will have inserted
    std::map<std::string, std::optional<domain_row>, std::less<>> domains = {};
    std::vector<std::size_t> fresh = {}, old = {}; ///< rows to insert, rows to update

    [[nodiscard]] const account_spec& spec(std::size_t i) const { return *accounts[i].spec; }
    void lose(std::size_t i, error why) { out[i].emplace(std::unexpected(std::move(why))); }
    [[nodiscard]] error exists(std::size_t i) const {
        return exists_error(fmt::format("the account {} exists", spec(i).address.text()));
    }
};

result<std::vector<result<outcome>>> postfixadmin_tables::create(std::span<const ready_account> accounts,
                                                                 create_mode mode) {
    creation c{.accounts = accounts, .mode = mode};
    c.out.resize(accounts.size());
    c.rows.resize(accounts.size());
    if (auto ok = admit(c); !ok) return std::unexpected(std::move(ok.error()));
    for (std::span<const std::size_t> left = c.fresh; !left.empty();) {
        const std::size_t size = next_size(left.size());
        if (auto ok = insert(c, left.first(size)); !ok) return std::unexpected(std::move(ok.error()));
        left = left.subspan(size);
    }
    for (const std::size_t i : c.old)
        if (auto ok = update_existing(c, i); !ok) return std::unexpected(std::move(ok.error()));
    std::vector<result<outcome>> out;
    out.reserve(c.out.size());
    for (auto& one : c.out) out.push_back(std::move(*one));
    return out;
}

// --- who may be inserted ---

result<postfixadmin_tables::names> postfixadmin_tables::existing(std::span<const ready_account> among) {
    return present("mailbox", "username", among);
}

result<postfixadmin_tables::names> postfixadmin_tables::present(std::string_view word, std::string_view key,
                                                                std::span<const ready_account> among) {
    std::vector<std::string> places;
    for (std::size_t i = 1; i <= looked_up; ++i) places.push_back(fmt::format("${}", i));
    const std::string sql =
        fmt::format("SELECT {0} FROM {1} WHERE {0} IN ({2})", column(word, key), table(word), fmt::join(places, ", "));
    names out;
    for (; !among.empty(); among = among.subspan(std::min(looked_up, among.size()))) {
        texts values(looked_up, among.front().spec->address.text()); // the last ones are the first again
        for (std::size_t i = 0; i < std::min(looked_up, among.size()); ++i) values[i] = among[i].spec->address.text();
        auto q = db_->prepare(sql);
        if (!q) return std::unexpected(failed(q.error()));
        auto row = q->first_of(values);
        for (; row && *row; row = q->next()) out.emplace(q->text(0));
        if (!row) return std::unexpected(failed(row.error()));
    }
    return out;
}

result<void> postfixadmin_tables::admit(creation& c) {
    auto there = present("mailbox", "username", c.accounts);
    if (!there) return std::unexpected(std::move(there.error()));
    auto aliases = present("alias", "address", c.accounts);
    if (!aliases) return std::unexpected(std::move(aliases.error()));
    c.there = std::move(*there);
    c.aliases = std::move(*aliases);
    for (std::size_t i = 0; i < c.accounts.size(); ++i)
        if (auto ok = admit_one(c, i); !ok) return ok;
    return {};
}

result<void> postfixadmin_tables::admit_one(creation& c, std::size_t i) {
    const address& account = c.spec(i).address;
    if (c.there.contains(account.text()) || c.wanted.contains(account.text())) {
        if (c.mode == create_mode::create_only)
            c.lose(i, c.exists(i));
        else
            c.old.push_back(i);
        return {};
    }
    // Postfix asks the aliases first: mail for such an account would go elsewhere.
    if (c.aliases.contains(account.text()))
        return c.lose(i, exists_error(fmt::format("{} is an alias", account.text()), "Remove the alias first")),
               result<void>();
    auto known = c.domains.find(account.domain());
    if (known == c.domains.end()) {
        auto domain = read_domain(account.domain());
        if (!domain) return std::unexpected(std::move(domain.error()));
        known = c.domains.emplace(account.domain(), *domain).first;
    }
    if (!known->second)
        return c.lose(i,
                      missing_error(fmt::format("there is no domain {}", account.domain()), "Create the domain first")),
               result<void>();
    domain_row& domain = *known->second;
    creation::row& row = c.rows[i];
    if (domain.max_accounts < 0 || (domain.max_accounts > 0 && domain.accounts >= domain.max_accounts))
        if (auto ok = judge(settings_->count_limits,
                            fmt::format("the domain {} has all its {} accounts", account.domain(),
                                        std::max<std::int64_t>(0, domain.max_accounts)),
                            row.note);
            !ok)
            return c.lose(i, std::move(ok.error())), result<void>();
    auto quota = fit_quota(c.spec(i).quota, account, domain, row.note);
    if (!quota) return c.lose(i, std::move(quota.error())), result<void>();
    ++domain.accounts;
    domain.quota += static_cast<std::int64_t>(*quota);
    row.quota = std::to_string(*quota);
    row.maildir = filled(settings_->maildir, account);
    c.wanted.insert(account.text());
    c.fresh.push_back(i);
    return {};
}

// --- inserting ---

/// All of them, or each by itself. The error is about the transaction as a whole.
result<void> postfixadmin_tables::insert(creation& c, std::span<const std::size_t> rows) {
    if (auto ok = db_->savepoint(); !ok) return std::unexpected(failed(ok.error()));
    auto done = try_insert(c, rows);
    if (done) return db_->release_savepoint();
    if (!db_->in_transaction() || done.error().cls == retry_class::transient) return done;
    if (auto ok = db_->rollback_to_savepoint(); !ok) return std::unexpected(failed(ok.error()));
    if (rows.size() == 1) return c.lose(rows.front(), std::move(done.error())), result<void>();
    for (std::size_t i = 0; i < rows.size(); ++i)
        if (auto ok = insert(c, rows.subspan(i, 1)); !ok) return ok;
    return {};
}

result<void> postfixadmin_tables::try_insert(creation& c, std::span<const std::size_t> rows) {
    auto inserted = insert_accounts(c, rows);
    if (!inserted) return std::unexpected(std::move(inserted.error()));
    std::vector<std::size_t> mine;
    for (const std::size_t i : rows)
        if (inserted->contains(c.spec(i).address.text())) mine.push_back(i);
    if (auto ok = insert_own_aliases(c, mine); !ok) return ok;
    for (const std::size_t i : rows) {
        if (inserted->contains(c.spec(i).address.text()))
            c.out[i].emplace(outcome{.what = change::created, .note = c.rows[i].note});
        else if (c.mode == create_mode::create_only)
            c.lose(i, c.exists(i)); // somebody else was faster
        else
            c.old.push_back(i);
    }
    return {};
}

result<postfixadmin_tables::names> postfixadmin_tables::insert_accounts(creation& c,
                                                                        std::span<const std::size_t> rows) {
    std::vector<std::string_view> columns{"username", "password",   "name",   "maildir",
                                          "quota",    "local_part", "domain", "active"};
    std::erase_if(columns, [this](std::string_view name) { return !has("mailbox", name); });
    texts values;
    for (const std::size_t i : rows) {
        const account_spec& spec = c.spec(i);
        const std::map<std::string_view, std::string_view> row{{"username", spec.address.text()},
                                                               {"password", c.accounts[i].password},
                                                               {"name", spec.name},
                                                               {"maildir", c.rows[i].maildir},
                                                               {"quota", c.rows[i].quota},
                                                               {"local_part", spec.address.local()},
                                                               {"domain", spec.address.domain()},
                                                               {"active", spec.active ? "1" : "0"}};
        for (const std::string_view name : columns) values.push_back(row.at(name));
    }
    auto q = db_->prepare(
        fmt::format("{} RETURNING {}", insert_text("mailbox", columns, rows.size()), column("mailbox", "username")));
    if (!q) return std::unexpected(failed(q.error()));
    names out;
    auto row = q->first_of(values);
    for (; row && *row; row = q->next()) out.emplace(q->text(0));
    if (!row) return std::unexpected(failed(row.error()));
    return out;
}

/// PostfixAdmin gives every account an alias onto itself, so that a catch-all does not take its mail.
result<void> postfixadmin_tables::insert_own_aliases(creation& c, std::span<const std::size_t> rows) {
    for (std::span<const std::size_t> left = rows; !left.empty();) {
        const std::size_t size = next_size(left.size());
        texts values;
        for (const std::size_t i : left.first(size)) {
            const account_spec& spec = c.spec(i);
            const std::string_view each[] = {spec.address.text(), spec.address.text(), spec.address.domain(),
                                             spec.active ? "1" : "0"};
            values.insert(values.end(), std::begin(each), std::end(each));
        }
        auto done = change_rows(insert_text("alias", {"address", "goto", "domain", "active"}, size), values);
        if (!done) return std::unexpected(std::move(done.error()));
        left = left.subspan(size);
    }
    return {};
}

// --- updating ---

result<void> postfixadmin_tables::update_existing(creation& c, std::size_t i) {
    if (auto ok = db_->savepoint(); !ok) return std::unexpected(failed(ok.error()));
    auto done = update(c.accounts[i]);
    if (done) {
        c.out[i].emplace(std::move(done));
        return db_->release_savepoint();
    }
    if (!db_->in_transaction() || done.error().cls == retry_class::transient)
        return std::unexpected(std::move(done.error()));
    c.out[i].emplace(std::move(done));
    return db_->rollback_to_savepoint();
}

result<outcome> postfixadmin_tables::update(const ready_account& account) {
    const account_spec& spec = *account.spec;
    outcome out{.what = change::unchanged};
    const auto take = [&out](result<outcome> done) -> result<void> {
        if (!done) return std::unexpected(std::move(done.error()));
        if (done->what == change::updated) out.what = change::updated;
        if (!done->note.empty()) out.note = std::move(done->note);
        return {};
    };
    if (!account.password.empty()) {
        auto stored = stored_password(spec.address);
        if (!stored) return std::unexpected(std::move(stored.error()));
        if (!*stored || (*stored)->reveal() != account.password)
            if (auto ok = take(set_password(spec.address, account.password)); !ok)
                return std::unexpected(std::move(ok.error()));
    }
    if (spec.quota && has("mailbox", "quota"))
        if (auto ok = take(set_quota(spec.address, *spec.quota)); !ok) return std::unexpected(std::move(ok.error()));
    if (!spec.name.empty() && has("mailbox", "name")) {
        auto same = number(fmt::format("SELECT count(*) FROM {} WHERE {} = $1 AND {} = $2", table("mailbox"),
                                       column("mailbox", "username"), column("mailbox", "name")),
                           {spec.address.text(), spec.name});
        if (!same) return std::unexpected(std::move(same.error()));
        if (*same == 0)
            if (auto ok = take(change_account(column("mailbox", "name") + " = $1", spec.name, spec.address)); !ok)
                return std::unexpected(std::move(ok.error()));
    }
    return out;
}

} // namespace postferry::directory

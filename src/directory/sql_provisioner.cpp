#include "directory/sql_provisioner.hpp"

#include "mailbox/file_pool.hpp"
#include "sql/sqlite.hpp"
#include "sql/transaction.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::directory {

namespace {

constexpr std::size_t page_size = 1000;
// What no password has as its hash: Dovecot refuses every login.
constexpr std::string_view no_password = "{CRYPT}!";

} // namespace

/// The connection and its thread.
class sql_provisioner::database {
  public:
    explicit database(const sql_settings& settings) : settings_(settings) {}

    /// Outside a transaction. What fails because the line was cut while nobody looked is asked once more.
    template <class Work> auto read(Work work) {
        using answer = std::invoke_result_t<Work&, postfixadmin_tables&>;
        return thread_.run([this, work = std::move(work)]() mutable -> answer {
            if (auto ok = ready(); !ok) return std::unexpected(std::move(ok.error()));
            answer out = work(*tables_);
            return out || !sql::repeatable(db_->last_trouble()) ? out : work(*tables_);
        });
    }

    /// In a transaction, which is repeated as long as it fails for a reason that may go away.
    template <class Work> auto write(Work work) {
        using answer = std::invoke_result_t<Work&, postfixadmin_tables&>;
        return thread_.run([this, work = std::move(work)]() mutable -> answer {
            if (auto ok = ready(); !ok) return std::unexpected(std::move(ok.error()));
            std::optional<answer> out;
            auto done = sql::transact(*db_, sql::durability::synced,
                                      [&]() -> result<void> {
                                          out.emplace(work(*tables_));
                                          // What the directory itself refuses has written nothing, and is no reason to
                                          // begin again.
                                          if (*out || out->error().cls == retry_class::config) return {};
                                          return std::unexpected(out->error());
                                      },
                                      {.total = settings_.patience});
            if (!done && out && *out) return std::unexpected(as_ours(std::move(done.error())));
            if (!out) return std::unexpected(as_ours(std::move(done.error())));
            return std::move(*out);
        });
    }

    /// Opens the database for itself and asks nothing of its tables before.
    task<result<check_report>> check() {
        return thread_.run([this]() -> result<check_report> {
            if (auto ok = connect(); !ok) {
                check_report out;
                out.findings.push_back({check_finding::grade::fault, ok.error().message(), ok.error().advice});
                return out;
            }
            postfixadmin_tables tables(*db_, settings_.tables);
            return tables.check();
        });
    }

  private:
    result<void> connect() {
        if (db_) return {};
        const sql::location& where = settings_.database;
        const std::string name = fmt::format("the directory {}", where.shown);
        sql::trouble kind = sql::trouble::none;
        auto opened = where.dialect == sql::dialect::sqlite
                          ? sql::open_sqlite(where.file,
                                             {.name = name, .busy_timeout = settings_.patience, .foreign = true}, &kind)
                          : sql::open(where, settings_.password,
                                      {.name = name,
                                       .busy_timeout = settings_.patience,
                                       .connect_timeout = settings_.patience,
                                       .statement_timeout = settings_.patience});
        if (!opened && kind == sql::trouble::no_access) opened.error().cls = retry_class::config;
        if (!opened) return std::unexpected(as_ours(std::move(opened.error())));
        db_ = std::move(*opened);
        return {};
    }

    result<void> ready() {
        if (auto ok = connect(); !ok) return ok;
        if (tables_) return {};
        postfixadmin_tables tables(*db_, settings_.tables);
        if (auto ok = tables.learn(); !ok) return ok;
        tables_.emplace(std::move(tables));
        return {};
    }

    /// Another machine's trouble, not ours.
    error as_ours(error why) const {
        why.where = phase::create;
        if (!db_ || sql::repeatable(db_->last_trouble()))
            if (why.cls == retry_class::local) why.cls = retry_class::transient;
        return why;
    }

    const sql_settings& settings_;
    std::unique_ptr<sql::connection> db_;
    std::optional<postfixadmin_tables> tables_;
    mailbox::file_pool thread_{1}; // last: it uses all of the above
};

struct sql_provisioner::candidate {
    const account_spec* spec = nullptr;
    secret hashed = {};
    std::optional<result<outcome>> out = {};
};

sql_provisioner::sql_provisioner(sql_settings settings, std::shared_ptr<hash_pool> hashing)
    : settings_(std::move(settings)), hashing_(std::move(hashing)), database_(std::make_unique<database>(settings_)) {}

sql_provisioner::~sql_provisioner() = default;

task<result<check_report>> sql_provisioner::check() { co_return co_await database_->check(); }

task<result<outcome>> sql_provisioner::domain_create(domain_spec domain) {
    if (auto ok = validate(domain); !ok) co_return std::unexpected(std::move(ok.error()));
    co_return co_await database_->write([&](postfixadmin_tables& tables) { return tables.create_domain(domain); });
}

task<result<bool>> sql_provisioner::account_exists(address account) {
    co_return co_await database_->read([&](postfixadmin_tables& tables) { return tables.account_exists(account); });
}

// --- creating ---

task<result<outcome>> sql_provisioner::account_create(account_spec account, create_mode mode) {
    auto all = co_await create_many(std::span(&account, 1), mode);
    co_return std::move(all.front());
}

task<std::vector<result<outcome>>> sql_provisioner::create_many(std::span<const account_spec> accounts,
                                                                create_mode mode) {
    std::vector<candidate> all;
    all.reserve(accounts.size());
    for (const account_spec& account : accounts) {
        all.push_back({.spec = &account});
        if (auto ok = validate(account); !ok) all.back().out.emplace(std::unexpected(std::move(ok.error())));
    }
    std::optional<error> over; // what has ended it for all the rest
    for (std::span<candidate> left = all; !left.empty();) {
        const auto batch = left.first(std::min(settings_.batch, left.size()));
        left = left.subspan(batch.size());
        if (!over)
            if (auto ok = co_await create_batch(batch, mode); !ok) over = std::move(ok.error());
        if (!over) continue;
        for (candidate& one : batch)
            if (!one.out) one.out.emplace(std::unexpected(*over));
    }
    std::vector<result<outcome>> out;
    out.reserve(all.size());
    for (candidate& one : all) out.push_back(std::move(*one.out));
    co_return out;
}

/// Gives every candidate that is still in the running what is to be stored.
task<result<void>> sql_provisioner::hash_batch(std::span<candidate> batch, create_mode mode) {
    const auto is_plain = [](const candidate& c) {
        return !c.out && c.spec->password.form == new_password::kind::plain;
    };
    // Hashes are dear: none for those that will not be created.
    if (mode == create_mode::create_only && std::ranges::any_of(batch, is_plain)) {
        std::vector<ready_account> asked;
        for (const candidate& c : batch) asked.push_back({.spec = c.spec});
        auto there = co_await database_->read([&](postfixadmin_tables& tables) { return tables.existing(asked); });
        if (!there) co_return std::unexpected(std::move(there.error()));
        for (candidate& c : batch)
            if (!c.out && there->contains(c.spec->address.text()))
                c.out.emplace(
                    std::unexpected(exists_error(fmt::format("the account {} exists", c.spec->address.text()))));
    }
    std::vector<secret> plain;
    for (const candidate& c : batch)
        if (is_plain(c)) plain.push_back(c.spec->password.value);
    auto hashes = co_await hashing_->hash_many(plain, settings_.scheme, settings_.cost);
    auto next = hashes.begin();
    for (candidate& c : batch) {
        if (c.out) continue;
        if (is_plain(c)) {
            auto hash = std::move(*next++);
            if (hash)
                c.hashed = std::move(*hash);
            else
                c.out.emplace(std::unexpected(std::move(hash.error())));
        } else if (c.spec->password.form == new_password::kind::hashed) {
            c.hashed = c.spec->password.value;
        } else if (mode == create_mode::create_only) {
            c.hashed = secret(std::string(no_password));
        }
    }
    co_return result<void>();
}

task<result<void>> sql_provisioner::create_batch(std::span<candidate> batch, create_mode mode) {
    if (auto ok = co_await hash_batch(batch, mode); !ok) co_return ok;
    std::vector<ready_account> ready;
    std::vector<candidate*> whose;
    for (candidate& c : batch) {
        if (c.out) continue;
        ready.push_back({.spec = c.spec, .password = c.hashed.reveal()});
        whose.push_back(&c);
    }
    if (ready.empty()) co_return result<void>();
    auto done = co_await database_->write([&](postfixadmin_tables& tables) { return tables.create(ready, mode); });
    if (!done) co_return std::unexpected(std::move(done.error()));
    for (std::size_t i = 0; i < whose.size(); ++i) whose[i]->out.emplace(std::move((*done)[i]));
    co_return result<void>();
}

// --- changing ---

task<result<secret>> sql_provisioner::hashed(new_password password) {
    if (auto ok = validate(password); !ok) co_return std::unexpected(std::move(ok.error()));
    if (password.form == new_password::kind::plain)
        co_return co_await hashing_->hash(std::move(password.value), settings_.scheme, settings_.cost);
    if (password.form == new_password::kind::hashed) co_return std::move(password.value);
    co_return fail(retry_class::config, phase::usage, "no password is named");
}

task<result<outcome>> sql_provisioner::set_password(address account, new_password password) {
    if (auto ok = validate(password); !ok) co_return std::unexpected(std::move(ok.error()));
    auto stored =
        co_await database_->read([&](postfixadmin_tables& tables) { return tables.stored_password(account); });
    if (!stored) co_return std::unexpected(std::move(stored.error()));
    if (!*stored) co_return std::unexpected(missing_error(fmt::format("there is no account {}", account.text())));
    const bool same_scheme = (*stored)->reveal().starts_with(fmt::format("{{{}}}", name_of(settings_.scheme)));
    if (password.form == new_password::kind::hashed && (*stored)->reveal() == password.value.reveal())
        co_return outcome{.what = change::unchanged};
    if (password.form == new_password::kind::plain && same_scheme) {
        auto same = co_await hashing_->verify(password.value, **stored);
        if (same && *same) co_return outcome{.what = change::unchanged};
    }
    auto hash = co_await hashed(std::move(password));
    if (!hash) co_return std::unexpected(std::move(hash.error()));
    co_return co_await database_->write(
        [&](postfixadmin_tables& tables) { return tables.set_password(account, hash->reveal()); });
}

task<result<outcome>> sql_provisioner::set_quota(address account, std::uint64_t octets) {
    if (auto ok = validate_quota(octets); !ok) co_return std::unexpected(std::move(ok.error()));
    co_return co_await database_->write([&](postfixadmin_tables& tables) { return tables.set_quota(account, octets); });
}

task<result<outcome>> sql_provisioner::suspend(address account, bool suspended) {
    co_return co_await database_->write(
        [&](postfixadmin_tables& tables) { return tables.set_active(account, !suspended); });
}

task<result<outcome>> sql_provisioner::alias_create(alias_spec alias) {
    if (auto ok = validate(alias); !ok) co_return std::unexpected(std::move(ok.error()));
    co_return co_await database_->write([&](postfixadmin_tables& tables) { return tables.create_alias(alias); });
}

// --- listing ---

namespace {

/// Page by page: `read(after)` answers at most page_size entries behind that address.
template <class Entry, class Read> task<result<void>> list_pages(page_handler<Entry> take, Read read) {
    for (std::string after;;) {
        auto page = co_await read(after);
        if (!page) co_return std::unexpected(std::move(page.error()));
        const bool last = page->size() < page_size;
        if (!page->empty()) after = page->back().address;
        if (!page->empty())
            if (auto ok = take(*page); !ok) co_return ok;
        if (last) co_return result<void>();
    }
}

} // namespace

task<result<void>> sql_provisioner::list_accounts(domain_name domain, page_handler<account_entry> take) {
    co_return co_await list_pages(std::move(take), [&](const std::string& after) {
        return database_->read(
            [&](postfixadmin_tables& tables) { return tables.accounts_after(domain, after, page_size); });
    });
}

task<result<void>> sql_provisioner::list_aliases(domain_name domain, page_handler<alias_entry> take) {
    co_return co_await list_pages(std::move(take), [&](const std::string& after) {
        return database_->read(
            [&](postfixadmin_tables& tables) { return tables.aliases_after(domain, after, page_size); });
    });
}

} // namespace postferry::directory

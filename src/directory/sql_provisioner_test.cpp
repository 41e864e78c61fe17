// The driver `sql` over SQLite with PostfixAdmin's tables. tests/integration/test_provisioning.py does the same, and
// logs in, with PostgreSQL, Dovecot and Postfix.
#include "directory/sql_provisioner.hpp"
#include "directory/test_directory.hpp"
#include "sql/sqlite.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace postferry::directory {
namespace {

using enum create_mode;

constexpr std::string_view hash_a = "{SHA256-CRYPT}$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5";
constexpr hash_cost cheap{.bcrypt = 4};

std::string words_of(const std::filesystem::path& file) {
    std::ifstream in(file);
    std::stringstream all;
    all << in.rdbuf();
    return all.str();
}

class sql_provisioner_test : public testing::Test {
  protected:
    void SetUp() override {
        std::string name = (std::filesystem::temp_directory_path() / "pf-directory-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder = name;
        make(words_of(std::filesystem::path(std::getenv("POSTFERRY_SOURCE_DIR")) /
                      "tests/support/postfixadmin/sqlite.sql"));
        settings.database.file = file();
        settings.cost = cheap;
    }
    void TearDown() override { std::filesystem::remove_all(folder); }

    [[nodiscard]] std::filesystem::path file() const { return folder / "mail.db"; }
    void make(const std::string& sql) {
        {
            const std::ofstream touch(file(), std::ios::app);
        }
        auto db = sql::open_sqlite(file(), {.name = "test", .foreign = true});
        ASSERT_TRUE(db);
        const auto ok = (*db)->script(sql);
        ASSERT_TRUE(ok) << ok.error().message();
    }
    /// Rows as "a|b", sorted by the first column, one a line.
    std::string rows(const std::string& sql, int columns) {
        auto db = sql::open_sqlite(file(), {.name = "test", .read_only = true, .foreign = true});
        auto q = (*db)->prepare(sql);
        if (!q) return q.error().message();
        std::string out;
        auto row = q->first();
        for (; row && *row; row = q->next())
            for (int i = 0; i < columns; ++i) out += std::string(q->text(i)) + (i + 1 < columns ? "|" : "\n");
        return out;
    }
    sql_provisioner& driver() {
        if (!driver_) driver_ = std::make_unique<sql_provisioner>(settings, pool);
        return *driver_;
    }
    void again() { driver_.reset(); }
    std::string create(account_spec spec, create_mode mode = create_only) {
        return told(run(driver().account_create(std::move(spec), mode)));
    }
    void domain(std::string_view name) { ASSERT_EQ(told(run(driver().domain_create({.name = dom(name)}))), "created"); }

    std::filesystem::path folder;
    sql_settings settings{.database = {}};
    std::shared_ptr<hash_pool> pool = std::make_shared<hash_pool>(2);

  private:
    std::unique_ptr<sql_provisioner> driver_;
};

TEST_F(sql_provisioner_test, what_is_written_is_what_postfixadmin_writes) {
    ASSERT_EQ(told(run(driver().domain_create({.name = dom("example.org"),
                                               .description = "Ex",
                                               .max_accounts = 7,
                                               .max_aliases = 8,
                                               .max_account_quota = 1'024'001,
                                               .total_quota = 10'240'000}))),
              "created");
    EXPECT_EQ(told(run(driver().domain_create({.name = dom("example.org")}))), "existed");
    EXPECT_EQ(rows("SELECT domain, description, aliases, mailboxes, maxquota, quota, transport, backupmx, active, "
                   "created > '2020' FROM domain",
                   10),
              "example.org|Ex|8|7|2|10|virtual|0|1|1\n");
    EXPECT_EQ(create({.address = addr("Anna@Example.org"),
                      .password = hashed(std::string(hash_a)),
                      .name = "Anna \xc3\x84",
                      .quota = 5000}),
              "created");
    EXPECT_EQ(rows("SELECT username, password, name, maildir, quota, local_part, domain, active, created > '2020', "
                   "modified > '2020', "
                   "password_expiry > datetime('now', '+364 days') FROM mailbox",
                   11),
              "anna@example.org|" + std::string(hash_a) +
                  "|Anna \xc3\x84|example.org/anna/|5000|anna|example.org|1|1|1|1\n");
    EXPECT_EQ(rows("SELECT address, goto, domain, active FROM alias", 4),
              "anna@example.org|anna@example.org|example.org|1\n");
}

TEST_F(sql_provisioner_test, create_only_touches_nothing_that_exists) {
    domain("a.org");
    ASSERT_EQ(create({.address = addr("x@a.org"), .password = plain("first"), .name = "X"}), "created");
    const std::string before = rows("SELECT * FROM mailbox", 15);
    const auto again_ = run(driver().account_create(
        {.address = addr("x@a.org"), .password = plain("second"), .name = "Y", .quota = 9}, create_only));
    EXPECT_EQ(told(again_), "config ALREADYEXISTS: the account x@a.org exists");
    EXPECT_TRUE(is_exists(again_.error()));
    EXPECT_EQ(rows("SELECT * FROM mailbox", 15), before);
    EXPECT_EQ(run(driver().account_exists(addr("x@a.org"))), true);
    EXPECT_EQ(run(driver().account_exists(addr("y@a.org"))), false);
}

TEST_F(sql_provisioner_test, upsert_changes_what_is_named) {
    domain("a.org");
    ASSERT_EQ(
        create({.address = addr("x@a.org"), .password = hashed(std::string(hash_a)), .name = "X", .quota = 1}, upsert),
        "created");
    EXPECT_EQ(create({.address = addr("x@a.org")}, upsert), "unchanged");
    EXPECT_EQ(
        create({.address = addr("x@a.org"), .password = hashed(std::string(hash_a)), .name = "X", .quota = 1}, upsert),
        "unchanged");
    EXPECT_EQ(create({.address = addr("x@a.org"), .quota = 2}, upsert), "updated");
    EXPECT_EQ(rows("SELECT password, name, quota FROM mailbox", 3), std::string(hash_a) + "|X|2\n");
    EXPECT_EQ(create({.address = addr("x@a.org"), .password = plain("new"), .name = "Z"}, upsert), "updated");
    const std::string row = rows("SELECT name, quota, password FROM mailbox", 3);
    ASSERT_TRUE(row.starts_with("Z|2|{BLF-CRYPT}$2y$04$")) << row;
    EXPECT_EQ(verify_password(secret("new"), secret(row.substr(4, row.size() - 5))), true);
}

TEST_F(sql_provisioner_test, an_account_without_a_password_lets_nobody_in) {
    domain("a.org");
    ASSERT_EQ(create({.address = addr("x@a.org")}), "created");
    EXPECT_EQ(rows("SELECT password FROM mailbox", 1), "{CRYPT}!\n");
}

TEST_F(sql_provisioner_test, what_is_missing_or_in_the_way_is_named) {
    EXPECT_EQ(create({.address = addr("x@a.org")}), "config NONEXISTENT: there is no domain a.org");
    EXPECT_EQ(told(run(driver().set_password(addr("x@a.org"), plain("a")))),
              "config NONEXISTENT: there is no account x@a.org");
    EXPECT_EQ(told(run(driver().set_quota(addr("x@a.org"), 1))), "config NONEXISTENT: there is no account x@a.org");
    EXPECT_EQ(told(run(driver().suspend(addr("x@a.org"), true))), "config NONEXISTENT: there is no account x@a.org");
    EXPECT_EQ(told(run(driver().alias_create({.address = addr("x@a.org"), .targets = {addr("y@b.org")}}))),
              "config NONEXISTENT: there is no domain a.org");
    domain("a.org");
    ASSERT_EQ(told(run(driver().alias_create({.address = addr("x@a.org"), .targets = {addr("y@b.org")}}))), "created");
    EXPECT_EQ(create({.address = addr("x@a.org")}, upsert), "config ALREADYEXISTS: x@a.org is an alias");
    ASSERT_EQ(create({.address = addr("z@a.org")}), "created");
    EXPECT_EQ(told(run(driver().alias_create({.address = addr("z@a.org"), .targets = {addr("y@b.org")}}))),
              "config ALREADYEXISTS: z@a.org is an account");
    EXPECT_EQ(create({.address = addr("n@a.org"), .name = "a\nb"}),
              "config: the name \"a\\x0ab\" has a control character");
    EXPECT_EQ(create({.address = addr("n@a.org"), .password = plain(std::string(73, 'p'))}),
              "config: the password has 73 octets, BLF-CRYPT takes 72");
}

TEST_F(sql_provisioner_test, passwords_quota_and_suspension_are_idempotent) {
    domain("a.org");
    ASSERT_EQ(create({.address = addr("x@a.org"), .password = plain("one")}), "created");
    EXPECT_EQ(told(run(driver().set_password(addr("x@a.org"), plain("one")))), "unchanged");
    EXPECT_EQ(told(run(driver().set_password(addr("x@a.org"), plain("two")))), "updated");
    EXPECT_EQ(told(run(driver().set_password(addr("x@a.org"), plain("two")))), "unchanged");
    EXPECT_EQ(told(run(driver().set_password(addr("x@a.org"), hashed(std::string(hash_a))))), "updated");
    EXPECT_EQ(told(run(driver().set_password(addr("x@a.org"), hashed(std::string(hash_a))))), "unchanged");
    // The same password in another scheme than is wanted here.
    EXPECT_EQ(told(run(driver().set_password(addr("x@a.org"), plain("Hello world!")))), "updated");
    EXPECT_FALSE(run(driver().set_password(addr("x@a.org"), {})));
    EXPECT_EQ(told(run(driver().set_quota(addr("x@a.org"), 77))), "updated");
    EXPECT_EQ(told(run(driver().set_quota(addr("x@a.org"), 77))), "unchanged");
    EXPECT_EQ(told(run(driver().suspend(addr("x@a.org"), true))), "updated");
    EXPECT_EQ(told(run(driver().suspend(addr("x@a.org"), true))), "unchanged");
    EXPECT_EQ(rows("SELECT m.active, a.active, m.quota FROM mailbox m JOIN alias a ON address = username", 3),
              "0|0|77\n");
    EXPECT_EQ(told(run(driver().suspend(addr("x@a.org"), false))), "updated");
    EXPECT_EQ(rows("SELECT m.active, a.active FROM mailbox m JOIN alias a ON address = username", 2), "1|1\n");
}

TEST_F(sql_provisioner_test, aliases_become_as_asked) {
    domain("a.org");
    const alias_spec two{.address = addr("info@a.org"), .targets = {addr("x@a.org"), addr("y@b.org")}};
    EXPECT_EQ(told(run(driver().alias_create(two))), "created");
    EXPECT_EQ(told(run(driver().alias_create(two))), "unchanged");
    EXPECT_EQ(told(run(driver().alias_create({.address = addr("info@a.org"), .targets = {addr("z@a.org")}}))),
              "updated");
    EXPECT_EQ(rows("SELECT address, goto, active FROM alias", 3), "info@a.org|z@a.org|1\n");
    EXPECT_FALSE(run(driver().alias_create({.address = addr("q@a.org"), .targets = {}})));
    EXPECT_EQ(told(run(driver().alias_create({.address = addr("q@a.org"), .targets = {addr("q@a.org")}}))),
              "config: the alias q@a.org points to itself");
}

TEST_F(sql_provisioner_test, limits_are_respected_reported_or_ignored) {
    ASSERT_EQ(told(run(driver().domain_create({.name = dom("a.org"), .max_accounts = 1, .max_aliases = 1}))),
              "created");
    EXPECT_EQ(create({.address = addr("one@a.org")}), "created");
    EXPECT_EQ(create({.address = addr("two@a.org")}), "config LIMIT: the domain a.org has all its 1 accounts");
    EXPECT_EQ(told(run(driver().alias_create({.address = addr("al@a.org"), .targets = {addr("one@a.org")}}))),
              "created");
    EXPECT_EQ(told(run(driver().alias_create({.address = addr("am@a.org"), .targets = {addr("one@a.org")}}))),
              "config LIMIT: the domain a.org has all its 1 aliases");
    settings.tables.count_limits = limit_rule::report;
    again();
    EXPECT_EQ(create({.address = addr("two@a.org")}), "created (the domain a.org has all its 1 accounts)");
    settings.tables.count_limits = limit_rule::ignore;
    again();
    EXPECT_EQ(create({.address = addr("three@a.org")}), "created");
    make("UPDATE domain SET mailboxes = -1"); // PostfixAdmin's word for none at all
    settings.tables.count_limits = limit_rule::respect;
    again();
    EXPECT_EQ(create({.address = addr("four@a.org")}), "config LIMIT: the domain a.org has all its 0 accounts");
}

TEST_F(sql_provisioner_test, quota_limits_count_where_they_are_switched_on) {
    settings.tables.quota_multiplier = 1000;
    settings.tables.quota_limits = limit_rule::respect;
    ASSERT_EQ(
        told(run(driver().domain_create({.name = dom("a.org"), .max_account_quota = 5000, .total_quota = 12'000}))),
        "created");
    EXPECT_EQ(create({.address = addr("one@a.org")}), "created");
    EXPECT_EQ(rows("SELECT quota FROM mailbox", 1), "5000\n")
        << "an account that names none gets the most that is allowed";
    EXPECT_EQ(create({.address = addr("two@a.org"), .quota = 5001}),
              "config LIMIT: the quota of two@a.org is beyond the 5000 octets that its domain allows");
    EXPECT_EQ(create({.address = addr("two@a.org"), .quota = 0}),
              "config LIMIT: the quota of two@a.org is beyond the 5000 octets that its domain allows");
    EXPECT_EQ(create({.address = addr("two@a.org"), .quota = 5000}), "created");
    EXPECT_EQ(create({.address = addr("three@a.org"), .quota = 3000}),
              "config LIMIT: with three@a.org its domain's accounts have more than 12000 octets together");
    EXPECT_EQ(create({.address = addr("three@a.org"), .quota = 2000}), "created");
    EXPECT_EQ(told(run(driver().set_quota(addr("three@a.org"), 2001))),
              "config LIMIT: with three@a.org its domain's accounts have more than 12000 octets together");
    EXPECT_EQ(told(run(driver().set_quota(addr("two@a.org"), 4000))), "updated");
}

TEST_F(sql_provisioner_test, of_many_those_that_fail_do_not_stop_the_others) {
    domain("a.org");
    make("CREATE TRIGGER no_bad BEFORE INSERT ON mailbox WHEN NEW.username LIKE 'bad%' BEGIN SELECT RAISE(ABORT, 'not "
         "this one'); END");
    ASSERT_EQ(create({.address = addr("user5@a.org")}), "created");
    std::vector<account_spec> many;
    for (int i = 0; i < 300; ++i)
        many.push_back({.address = addr((i % 100 == 50 ? "bad" : "user") + std::to_string(i) + "@" +
                                        (i == 7 ? "other.org" : "a.org")),
                        .password = i % 2 == 0 ? hashed(std::string(hash_a)) : plain("p" + std::to_string(i))});
    many.push_back({.address = addr("user3@a.org")}); // twice in one call
    settings.batch = 128;
    again();
    const auto out = run(driver().create_many(many, create_only));
    ASSERT_EQ(out.size(), many.size());
    for (std::size_t i = 0; i < out.size(); ++i) {
        const std::string what = told(out[i]);
        if (i == 5 || i == 300)
            EXPECT_EQ(what, "config ALREADYEXISTS: the account " + many[i].address.text() + " exists");
        else if (i == 7)
            EXPECT_EQ(what, "config NONEXISTENT: there is no domain other.org");
        else if (i % 100 == 50)
            EXPECT_TRUE(what.starts_with("permanent: ")) << what;
        else
            EXPECT_EQ(what, "created") << i;
    }
    EXPECT_EQ(rows("SELECT count(*), (SELECT count(*) FROM alias WHERE address = goto) FROM mailbox", 2), "296|296\n");
    EXPECT_EQ(rows("SELECT count(*) FROM mailbox WHERE username LIKE 'bad%'", 1), "0\n");
    const std::string hash = rows("SELECT password FROM mailbox WHERE username = 'user9@a.org'", 1);
    EXPECT_EQ(verify_password(secret("p9"), secret(hash.substr(0, hash.size() - 1))), true);
    // Once more: nothing is left to do but to say so.
    const auto second = run(driver().create_many(many, upsert));
    EXPECT_EQ(told(second[0]), "unchanged");
    EXPECT_EQ(told(second[1]), "updated"); // a plain password gets a new salt
    EXPECT_TRUE(told(second[50]).starts_with("permanent: "));
    EXPECT_TRUE(run(driver().create_many({}, upsert)).empty());
}

TEST_F(sql_provisioner_test, lists_come_in_pages_and_own_aliases_are_left_out) {
    domain("a.org");
    domain("b.org");
    std::vector<account_spec> many;
    for (int i = 0; i < 2500; ++i)
        many.push_back(
            {.address = addr("u" + std::to_string(i) + "@a.org"), .password = hashed(std::string(hash_a)), .quota = 9});
    many.push_back({.address = addr("other@b.org")});
    for (const auto& one : run(driver().create_many(many, create_only))) ASSERT_TRUE(one);
    ASSERT_TRUE(
        run(driver().alias_create({.address = addr("info@a.org"), .targets = {addr("u1@a.org"), addr("u2@a.org")}})));
    ASSERT_TRUE(run(driver().suspend(addr("u7@a.org"), true)));
    std::set<std::string> seen;
    int pages = 0, suspended = 0;
    ASSERT_TRUE(run(driver().list_accounts(dom("a.org"), [&](std::span<account_entry> page) -> result<void> {
        ++pages;
        for (const auto& e : page) {
            seen.insert(e.address);
            suspended += !e.active;
            EXPECT_EQ(e.quota, 9U);
        }
        return {};
    })));
    EXPECT_EQ(seen.size(), 2500U);
    EXPECT_EQ(pages, 3);
    EXPECT_EQ(suspended, 1);
    std::string aliases;
    ASSERT_TRUE(run(driver().list_aliases(dom("a.org"), [&](std::span<alias_entry> page) -> result<void> {
        for (const auto& e : page) aliases += e.address + ">" + e.targets.at(0) + "," + e.targets.at(1) + ";";
        return {};
    })));
    EXPECT_EQ(aliases, "info@a.org>u1@a.org,u2@a.org;");
    EXPECT_FALSE(run(driver().list_accounts(dom("a.org"), [](std::span<account_entry>) -> result<void> {
        return fail(retry_class::local, phase::list, "enough");
    })));
}

// --- installations that differ ---

TEST_F(sql_provisioner_test, tables_and_columns_may_bear_other_names_and_some_be_missing) {
    make("DROP TABLE domain; DROP TABLE mailbox; DROP TABLE alias;"
         "CREATE TABLE d (name text PRIMARY KEY, active int); CREATE TABLE m (login text PRIMARY KEY, password text, "
         "domain text, active int, maildir text);"
         "CREATE TABLE a (address text PRIMARY KEY, goto text, domain text, active int)");
    settings.tables.domain_table = "d";
    settings.tables.mailbox_table = "m";
    settings.tables.alias_table = "a";
    settings.tables.columns = {{"domain.domain", "name"}, {"mailbox.username", "login"}};
    settings.tables.maildir = "/srv/{domain}/{address}/Maildir";
    ASSERT_EQ(told(run(driver().domain_create({.name = dom("a.org"), .max_accounts = 1}))), "created");
    EXPECT_EQ(create({.address = addr("x@a.org"), .name = "X", .quota = 5}), "created");
    EXPECT_EQ(create({.address = addr("y@a.org")}), "created") << "no column, no limit";
    EXPECT_EQ(rows("SELECT login, maildir FROM m", 2),
              "x@a.org|/srv/a.org/x@a.org/Maildir\ny@a.org|/srv/a.org/y@a.org/Maildir\n");
    EXPECT_EQ(told(run(driver().set_quota(addr("x@a.org"), 1))), "config CANNOT: the driver sql cannot do set-quota");
    EXPECT_EQ(create({.address = addr("x@a.org"), .quota = 9}, upsert), "unchanged");
}

TEST_F(sql_provisioner_test, the_check_looks_at_everything_and_changes_nothing) {
    const auto good = run(driver().check());
    ASSERT_TRUE(good);
    EXPECT_TRUE(good->good());
    EXPECT_TRUE(good->server.starts_with("SQLite 3")) << good->server;
    EXPECT_EQ(rows("SELECT count(*) FROM domain", 1), "0\n");
    make("ALTER TABLE mailbox DROP COLUMN password_expiry");
    again();
    const auto older = run(driver().check());
    EXPECT_TRUE(older->good());
    EXPECT_EQ(older->findings.at(1).text, "the table mailbox has no column password_expiry: it is left out");
    make("ALTER TABLE alias RENAME COLUMN goto TO goto2");
    again();
    const auto wrong = run(driver().check());
    EXPECT_FALSE(wrong->good());
    EXPECT_EQ(wrong->findings.at(0).text, "the table alias has no column goto that we may read");
    EXPECT_EQ(wrong->findings.at(0).advice, "Name it with columns.alias.goto");
    EXPECT_EQ(told(run(driver().domain_create({.name = dom("a.org")}))),
              "config: the table alias has no column goto that we may read");
    settings.database.file = folder / "no-such.db";
    again();
    EXPECT_FALSE(run(driver().check())->good());
    EXPECT_FALSE(std::filesystem::exists(folder / "no-such.db")) << "somebody else's database is not made";
    EXPECT_TRUE(told(run(driver().domain_create({.name = dom("a.org")}))).starts_with("config: "))
        << told(run(driver().domain_create({.name = dom("a.org")})));
}

TEST_F(sql_provisioner_test, the_file_keeps_its_journal_mode) {
    domain("a.org");
    EXPECT_EQ(rows("PRAGMA journal_mode", 1), "delete\n");
}

} // namespace
} // namespace postferry::directory

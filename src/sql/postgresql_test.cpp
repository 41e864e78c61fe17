// What only a server can do to us: refuse, stop, be killed, cut the line, fill up, forget.
#include "sql/detail/pg_text.hpp"
#include "sql/schema.hpp"
#include "sql/transaction.hpp"
#include "support/cutting_proxy.hpp"
#include "support/postgres_server.hpp"

#include <gmock/gmock.h>

#include <array>
#include <future>
#include <sys/mount.h>

namespace postferry::sql {
namespace {

using support::cutting_proxy;
using support::postgres_server;
using testing::HasSubstr;
using testing::Not;

constexpr std::array steps{
    schema_step{.sqlite = "", .postgresql = "CREATE TABLE t (i BIGINT PRIMARY KEY, s TEXT COLLATE \"C\")"}};
constexpr schema ours{.application = 4711, .steps = steps};

class postgresql : public testing::Test {
  protected:
    std::unique_ptr<connection> open(const open_options& options = {}) {
        auto db = sql::open(server_.url(name_), {}, options);
        EXPECT_TRUE(db) << db.error().message();
        return db ? std::move(*db) : nullptr;
    }
    /// Through the proxy, as the superuser.
    std::unique_ptr<connection> open_through(cutting_proxy& proxy, const open_options& options = {}) {
        auto db =
            sql::open(fmt::format("postgresql://postgres@127.0.0.1:{}/{}", proxy.port(), name_), password_, options);
        EXPECT_TRUE(db) << db.error().message();
        return db ? std::move(*db) : nullptr;
    }
    /// Opening must fail.
    static error refused(const std::string& url, const secret& password = {}, trouble expected = trouble::no_access,
                         const open_options& options = {}) {
        trouble kind{};
        auto db = sql::open(url, password, options, &kind);
        EXPECT_FALSE(db) << url;
        EXPECT_EQ(kind, expected) << (db ? "" : db.error().message());
        return db ? error{} : db.error();
    }
    static result<void> add(connection& db, int i) {
        auto q = db.prepare("INSERT INTO t (i) VALUES ($1)");
        auto done = q ? q->run(i) : std::unexpected(q.error());
        return done ? result<void>{} : std::unexpected(done.error());
    }
    static std::int64_t count(connection& db) {
        auto q = db.prepare("SELECT count(*) FROM t");
        return q && q->first().value_or(false) ? q->get<std::int64_t>(0) : -1;
    }
    static std::int64_t backend(connection& db) {
        auto q = db.prepare("SELECT pg_backend_pid()");
        return q && q->first().value_or(false) ? q->get<std::int64_t>(0) : -1;
    }
    void cut(connection& db) { server_.sql(fmt::format("SELECT pg_terminate_backend({}, 5000)", backend(db))); }
    std::unique_ptr<connection> ready() {
        auto db = open();
        EXPECT_TRUE(migrate(*db, ours));
        return db;
    }
    static patience quick(int attempts = 200) {
        return {.total = std::chrono::seconds(60),
                .first_pause = std::chrono::milliseconds(20),
                .longest_pause = std::chrono::milliseconds(100),
                .pause = [left = attempts](std::chrono::milliseconds time) mutable {
                    std::this_thread::sleep_for(time);
                    return --left > 0;
                }};
    }

    postgres_server& server_ = postgres_server::shared();
    std::string name_ = server_.make_database();
    secret password_{"lab-superuser"};
};

TEST_F(postgresql, who_may_not_come_in_is_told_why_without_the_password) {
    const error wrong = refused(server_.tcp_url(name_), secret("Geheim/7"));
    EXPECT_EQ(wrong.cls, retry_class::config);
    EXPECT_THAT(wrong.message(), HasSubstr("password authentication failed"));
    EXPECT_THAT(wrong.message(),
                HasSubstr(fmt::format("postgresql://postgres@127.0.0.1:{}/{}", server_.port(), name_)));
    EXPECT_THAT(wrong.message(), Not(HasSubstr("Geheim")));
    EXPECT_THAT(wrong.message(), Not(HasSubstr("LOCATION")));
    EXPECT_THAT(refused(server_.url("nowhere")).message(), HasSubstr("database \"nowhere\" does not exist"));
    EXPECT_THAT(refused(server_.url(name_, "nobody")).message(), HasSubstr("role \"nobody\" does not exist"));
    EXPECT_THAT(refused(server_.tcp_url(name_)).message(), HasSubstr("no password supplied"));
    EXPECT_THAT(refused(server_.tcp_url(name_) + "?sslmode=require", password_).message(), HasSubstr("SSL"));
}

TEST_F(postgresql, a_server_that_is_not_there_is_gone_and_not_a_matter_of_settings) {
    const error why = refused("postgresql://x@127.0.0.1:9/m", {}, trouble::gone);
    EXPECT_EQ(why.cls, retry_class::local);
    EXPECT_THAT(why.message(), HasSubstr("postgresql://x@127.0.0.1:9/m: the server is gone ("));
    EXPECT_THAT(why.message(), HasSubstr("Connection refused"));
    (void)refused("postgresql:///m?host=%2Fnowhere", {}, trouble::gone);
    (void)refused("postgresql://no-such-host.invalid/m", {}, trouble::gone);
}

TEST_F(postgresql, a_server_that_says_nothing_is_given_up_in_time) {
    cutting_proxy proxy(server_.port());
    proxy.arm(cutting_proxy::cut::hang, "user");
    const auto start = std::chrono::steady_clock::now();
    const error why = refused(fmt::format("postgresql://x@127.0.0.1:{}/m?sslmode=disable", proxy.port()), {},
                              trouble::gone, {.connect_timeout = std::chrono::milliseconds(300)});
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
    EXPECT_THAT(why.message(), HasSubstr("no connection within 300 ms"));
}

TEST_F(postgresql, verifies_a_server_when_told) {
    postgres_server with_tls("--tls");
    const std::string url = with_tls.tcp_url("postgres") + "?sslmode=verify-full&sslrootcert=";
    auto db = sql::open(url + with_tls.ca(), password_, {});
    ASSERT_TRUE(db) << db.error().message();
    auto q = (*db)->prepare("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    ASSERT_TRUE(q && q->first().value());
    EXPECT_TRUE(q->get<bool>(0));
    auto much = (*db)->prepare("SELECT repeat('x', $1::int) FROM generate_series(1, 40)");
    ASSERT_TRUE(much);
    std::size_t octets = 0;
    for (auto row = much->first(100'000); row.value(); row = much->next()) octets += much->text(0).size();
    EXPECT_EQ(octets, 4'000'000U) << "records that end in the middle of a row";
    const error other = refused(url + "/etc/ssl/certs/ca-certificates.crt", password_);
    EXPECT_EQ(other.cls, retry_class::config);
    EXPECT_THAT(other.message(), HasSubstr("certificate verify failed"));
    EXPECT_THAT(refused(url + "/nowhere.pem", password_).message(), HasSubstr("/nowhere.pem"));
}

TEST_F(postgresql, a_database_of_another_encoding_is_refused) {
    server_.sql("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0");
    const error why = refused(server_.url("latin"));
    EXPECT_EQ(why.cls, retry_class::config);
    EXPECT_THAT(why.message(), HasSubstr("LATIN1"));
    EXPECT_THAT(why.advice, HasSubstr("createdb --encoding=UTF8"));
    server_.sql("DROP DATABASE latin");
}

TEST_F(postgresql, durability_is_what_the_server_does) {
    auto db = ready();
    for (const auto& [how, word] : {std::pair{durability::ordered, "local"}, {durability::synced, "on"}}) {
        ASSERT_TRUE(db->begin(how));
        auto q = db->prepare("SHOW synchronous_commit");
        ASSERT_TRUE(q && q->first().value());
        EXPECT_EQ(q->text(0), word);
        ASSERT_TRUE(db->commit());
    }
}

TEST_F(postgresql, a_transaction_with_a_failed_statement_is_not_committed) {
    auto db = ready();
    ASSERT_TRUE(db->begin(durability::ordered) && add(*db, 1));
    ASSERT_FALSE(add(*db, 1));
    EXPECT_FALSE(db->commit()) << "the server would roll back and call it success";
    EXPECT_TRUE(db->in_transaction());
    db->rollback();
    EXPECT_EQ(count(*db), 0);
}

TEST_F(postgresql, a_line_cut_between_transactions_is_not_noticed) {
    auto db = ready();
    ASSERT_TRUE(db->begin(durability::ordered) && add(*db, 1) && db->commit());
    const auto before = backend(*db);
    cut(*db);
    ASSERT_TRUE(db->begin(durability::ordered)) << "connects again";
    EXPECT_TRUE(add(*db, 2)) << "and prepares again";
    ASSERT_TRUE(db->commit());
    EXPECT_NE(backend(*db), before);
    cut(*db);
    EXPECT_EQ(count(*db), -1) << "a statement alone is not repeated: nobody knows what it does";
    EXPECT_EQ(db->last_trouble(), trouble::gone);
    EXPECT_EQ(count(*db), 2) << "but the next one connects";
}

TEST_F(postgresql, a_line_cut_in_a_transaction_ends_it_and_nothing_runs_outside_by_mistake) {
    auto db = ready();
    ASSERT_TRUE(db->begin(durability::ordered) && add(*db, 1));
    cut(*db);
    auto failed = add(*db, 2);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().cls, retry_class::local);
    EXPECT_THAT(failed.error().message(), HasSubstr("the server is gone"));
    EXPECT_THAT(failed.error().message(), HasSubstr("terminating connection due to administrator command"));
    EXPECT_EQ(db->last_trouble(), trouble::gone);
    EXPECT_FALSE(db->in_transaction());
    EXPECT_FALSE(add(*db, 3)) << "still inside, for whoever does not look";
    EXPECT_FALSE(db->savepoint());
    EXPECT_FALSE(db->commit());
    db->rollback();
    EXPECT_EQ(count(*db), 0);
}

TEST_F(postgresql, a_server_killed_in_mid_transaction_comes_back_and_nothing_is_lost_or_done_twice) {
    auto db = ready();
    for (int round = 0; round < 3; ++round) {
        std::future<void> back;
        bool killed = false;
        auto done = transact(
            *db, round == 1 ? durability::synced : durability::ordered,
            [&]() -> result<void> {
                if (auto put = add(*db, 10 * round); !put) return put;
                if (!std::exchange(killed, true)) {
                    server_.kill();
                    back = std::async(std::launch::async, [&] { server_.start(); });
                }
                return add(*db, 10 * round + 1);
            },
            quick());
        ASSERT_TRUE(done) << done.error().message();
        back.get();
        EXPECT_EQ(count(*db), 2 * (round + 1));
    }
}

TEST_F(postgresql, a_server_that_stays_away_is_the_callers_when_patience_ends) {
    auto db = ready();
    server_.stop();
    int asked = 0;
    const patience wait{.total = std::chrono::hours(1), .pause = [&](auto) { return ++asked < 4; }};
    auto failed = transact(*db, durability::ordered, [&] { return add(*db, 1); }, wait);
    server_.start();
    ASSERT_FALSE(failed);
    EXPECT_EQ(db->last_trouble(), trouble::gone);
    EXPECT_EQ(asked, 4);
    EXPECT_TRUE(transact(*db, durability::ordered, [&] { return add(*db, 1); }, quick()));
}

TEST_F(postgresql, a_commit_whose_answer_was_lost_is_looked_up) {
    (void)ready();
    cutting_proxy proxy(server_.port());
    auto db = open_through(proxy);
    int i = 0, calls = 0;
    for (const auto how : {cutting_proxy::cut::after, cutting_proxy::cut::before, cutting_proxy::cut::after}) {
        proxy.arm(how, "COMMIT");
        calls = 0;
        ++i;
        auto done = transact(*db, durability::ordered, [&] { return ++calls, add(*db, i); }, quick());
        EXPECT_TRUE(done) << done.error().message();
        EXPECT_EQ(calls, how == cutting_proxy::cut::after ? 1 : 2);
        EXPECT_EQ(count(*db), i);
    }
}

TEST_F(postgresql, a_commit_that_is_still_on_its_way_cannot_arrive_later) {
    (void)ready();
    cutting_proxy proxy(server_.port());
    auto db = open_through(proxy, {.statement_timeout = std::chrono::milliseconds(100)});
    ASSERT_TRUE(db->script("SET idle_in_transaction_session_timeout = 0")); // which would end it as well
    const auto before = backend(*db);
    proxy.arm(cutting_proxy::cut::hang, "COMMIT");
    ASSERT_TRUE(db->begin(durability::ordered) && add(*db, 1));
    ASSERT_FALSE(db->commit());
    EXPECT_EQ(db->last_trouble(), trouble::gone);
    db->rollback();
    auto happened = db->was_committed();
    ASSERT_TRUE(happened) << happened.error().message();
    EXPECT_FALSE(*happened);
    auto other = open();
    auto q = other->prepare("SELECT count(*) FROM pg_stat_activity WHERE pid = $1");
    ASSERT_TRUE(q && q->first(before).value());
    EXPECT_EQ(q->get<int>(0), 0) << "who could still have carried it out has been ended";
    proxy.deliver();
    EXPECT_EQ(count(*db), 0);
}

TEST_F(postgresql, without_our_tables_nobody_can_tell_what_became_of_a_commit) {
    server_.sql("CREATE TABLE t (i BIGINT PRIMARY KEY)", name_);
    cutting_proxy proxy(server_.port());
    auto db = open_through(proxy);
    proxy.arm(cutting_proxy::cut::after, "COMMIT");
    auto failed = transact(*db, durability::ordered, [&] { return add(*db, 1); }, quick());
    ASSERT_FALSE(failed);
    EXPECT_THAT(failed.error().message(), HasSubstr("cannot be told whether a commit happened"));
}

TEST_F(postgresql, a_server_that_has_forgotten_what_it_confirmed_is_not_built_upon) {
    auto db = ready();
    ASSERT_TRUE(transact(*db, durability::ordered, [&] { return add(*db, 1); }));
    ASSERT_TRUE(transact(*db, durability::ordered, [&] { return add(*db, 2); }));
    server_.sql("UPDATE postferry_commit SET number = number - 1", name_); // as a standby that was behind
    cut(*db);
    auto failed = transact(*db, durability::ordered, [&] { return add(*db, 3); }, quick());
    ASSERT_FALSE(failed);
    EXPECT_EQ(db->last_trouble(), trouble::damaged);
    EXPECT_THAT(failed.error().message(), HasSubstr("has lost transactions that it had confirmed"));
    server_.sql("UPDATE postferry_commit SET number = number + 1", name_);
    EXPECT_FALSE(transact(*db, durability::ordered, [&] { return add(*db, 3); }, quick())) << "nor later";
    EXPECT_EQ(count(*open()), 2);
}

TEST_F(postgresql, what_old_connections_leave_behind_is_swept) {
    auto db = ready();
    ASSERT_TRUE(transact(*db, durability::ordered, [&] { return add(*db, 1); }));
    const auto rows = [&] {
        auto q = db->prepare("SELECT count(*) FROM postferry_commit");
        return q && q->first().value_or(false) ? q->get<int>(0) : -1;
    };
    server_.sql("INSERT INTO postferry_commit VALUES ('old', 7, now() - interval '91 days')", name_);
    EXPECT_EQ(rows(), 2);
    (void)open();
    EXPECT_EQ(rows(), 1);
}

TEST_F(postgresql, a_statement_has_a_time_limit) {
    auto db = open({.statement_timeout = std::chrono::milliseconds(100)});
    EXPECT_FALSE(db->script("SELECT pg_sleep(30)"));
    EXPECT_EQ(db->last_trouble(), trouble::busy);
    EXPECT_TRUE(db->script("SELECT 1"));
}

TEST_F(postgresql, a_process_stopped_in_a_transaction_lets_go_of_its_locks) {
    (void)ready();
    auto stopped = open({.idle_timeout = std::chrono::milliseconds(100)});
    ASSERT_TRUE(stopped->begin(durability::ordered) && add(*stopped, 1));
    auto other = open({.busy_timeout = std::chrono::milliseconds(20'000)});
    EXPECT_TRUE(add(*other, 1)) << "waits until the server has ended the other";
    EXPECT_FALSE(stopped->commit());
    EXPECT_EQ(stopped->last_trouble(), trouble::gone);
}

TEST_F(postgresql, a_full_disk_says_so_and_the_connection_goes_on_when_there_is_space) {
    std::string folder = testing::TempDir() + "postferry-full-XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    std::filesystem::permissions(folder, std::filesystem::perms(0777));
    if (mount("postferry-test", folder.c_str(), "tmpfs", 0, "size=80m,mode=777") != 0)
        GTEST_SKIP() << "may not mount a tmpfs";
    {
        postgres_server small("--folder " + folder);
        auto db = sql::open(small.url("postgres"), {}, {.name = "ledger small"});
        ASSERT_TRUE(db) << db.error().message();
        ASSERT_TRUE(migrate(**db, ours));
        const auto fill = [&](int i) -> result<void> {
            auto q = (*db)->prepare("INSERT INTO t SELECT $1 * 1000 + n, repeat(md5(n::text), 300) || $1::text FROM "
                                    "generate_series(1, 999) n");
            auto done = q ? q->run(i) : std::unexpected(q.error());
            return done ? result<void>{} : std::unexpected(done.error());
        };
        result<void> done;
        int kept = 0;
        for (; done && kept < 2000; kept += done ? 1 : 0)
            done = transact(**db, durability::ordered, [&] { return fill(kept); }, quick(5));
        ASSERT_FALSE(done);
        EXPECT_EQ((*db)->last_trouble(), trouble::full) << done.error().message();
        EXPECT_THAT(done.error().message(), HasSubstr("ledger small: the server's disk is full"));
        ASSERT_EQ(mount("postferry-test", folder.c_str(), "tmpfs", MS_REMOUNT, "size=300m"), 0);
        done = transact(**db, durability::ordered, [&] { return fill(kept); }, quick());
        EXPECT_TRUE(done) << done.error().message();
        EXPECT_EQ(count(**db), 999 * (kept + 1));
    }
    umount2(folder.c_str(), MNT_DETACH);
    std::filesystem::remove(folder);
}

TEST_F(postgresql, a_newer_schema_and_other_peoples_tables_are_told_apart) {
    auto db = ready();
    EXPECT_EQ(inspect(*db, ours).value(), schema_fit::current);
    server_.sql("UPDATE postferry_schema SET version = 12", name_);
    EXPECT_EQ(inspect(*db, ours).value(), schema_fit::newer);
    server_.sql("DROP TABLE postferry_schema", name_);
    EXPECT_EQ(inspect(*db, ours).value(), schema_fit::foreign);
}

TEST_F(postgresql, who_may_not_make_tables_is_told_so) {
    server_.sql("CREATE ROLE guest LOGIN");
    auto db = sql::open(server_.url(name_, "guest"), {}, {});
    ASSERT_TRUE(db);
    auto failed = migrate(**db, ours);
    ASSERT_FALSE(failed);
    EXPECT_EQ((*db)->last_trouble(), trouble::no_access);
    EXPECT_THAT(failed.error().message(), HasSubstr("permission denied for schema public"));
    db->reset();
    server_.sql("DROP ROLE guest");
}

TEST_F(postgresql, many_rows_are_read_in_little_memory) {
    auto db = ready();
    auto q = db->prepare("SELECT n, repeat('x', 1000) FROM generate_series(1, $1::int) n");
    ASSERT_TRUE(q);
    const auto resident = [] {
        long pages = 0, dummy = 0;
        FILE* f = fopen("/proc/self/statm", "r");
        EXPECT_EQ(fscanf(f, "%ld %ld", &dummy, &pages), 2);
        fclose(f);
        return pages * 4096 / 1'000'000;
    };
    const auto before = resident();
    std::int64_t sum = 0;
    for (auto row = q->first(200'000); row.value(); row = q->next()) sum += q->get<std::int64_t>(0);
    EXPECT_EQ(sum, 200'000LL * 200'001 / 2);
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    constexpr long most = 1'000; // they keep what has been freed for a while
#else
    constexpr long most = 40;
#endif
    EXPECT_LT(resident() - before, most) << "MB, of 200";
    // Another statement in the middle would have to keep the rest; there is an end to that.
    ASSERT_TRUE(q->first(200'000).value());
    EXPECT_EQ(count(*db), -1);
    EXPECT_EQ(count(*db), 0) << "and the connection goes on";
}

TEST(sqlstate, classes) {
    using detail::trouble_of_state;
    for (const auto& [state, kind] : {std::pair{"53100", trouble::full}, {"08006", trouble::gone},
                                      {"57P01", trouble::gone},          {"57P03", trouble::gone},
                                      {"57P04", trouble::no_access},     {"57014", trouble::busy},
                                      {"55P03", trouble::busy},          {"40001", trouble::busy},
                                      {"40P01", trouble::busy},          {"23505", trouble::constraint},
                                      {"22003", trouble::constraint},    {"25006", trouble::read_only},
                                      {"28P01", trouble::no_access},     {"42501", trouble::no_access},
                                      {"3D000", trouble::no_access},     {"58030", trouble::io},
                                      {"XX001", trouble::damaged},       {"XX000", trouble::other},
                                      {"42P01", trouble::other},         {"", trouble::other}})
        EXPECT_EQ(trouble_of_state(state), kind) << state;
}

TEST_F(postgresql, a_single_read_finds_a_line_that_was_cut_and_takes_another_at_once) {
    auto db = ready();
    ASSERT_TRUE(add(*db, 1));
    int reads = 0;
    std::int64_t found = 0;
    const auto look = [&]() -> result<void> {
        ++reads;
        auto q = db->prepare("SELECT count(*) FROM t");
        if (!q) return std::unexpected(std::move(q.error()));
        auto row = q->first();
        if (!row) return std::unexpected(std::move(row.error()));
        found = q->get<std::int64_t>(0);
        return {};
    };
    cut(*db);
    EXPECT_TRUE(read_single(*db, look, {.total = std::chrono::milliseconds(0)})) << "without any patience";
    EXPECT_EQ(found, 1);
    EXPECT_EQ(reads, 2);
}

} // namespace
} // namespace postferry::sql

#include "sql/sqlite.hpp"

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <unistd.h>

namespace postferry::sql {
namespace {

class sqlite : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "postferry-sql-XXXXXX";
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }

    void TearDown() override { std::filesystem::remove_all(folder_); }

    std::unique_ptr<connection> open(bool read_only = false) {
        auto db =
            open_sqlite(folder_ / "t.db",
                        {.name = "ledger t.db", .read_only = read_only, .busy_timeout = std::chrono::milliseconds(0)});
        EXPECT_TRUE(db) << db.error().message();
        return db ? std::move(*db) : nullptr;
    }

    static std::int64_t count(connection& db) {
        auto q = db.prepare("SELECT count(*) FROM t");
        return q && q->first().value_or(false) ? q->get<std::int64_t>(0) : -1;
    }

    std::filesystem::path folder_;
};

TEST_F(sqlite, a_new_file_is_its_owners_only) {
    using std::filesystem::perms;
    const auto db = open();
    ASSERT_TRUE(db->script("CREATE TABLE t (x INTEGER)"));
    for (const auto& file : std::filesystem::directory_iterator(folder_))
        EXPECT_EQ(file.status().permissions(), perms::owner_read | perms::owner_write) << file.path();
}

TEST_F(sqlite, only_a_synced_transaction_flushes_the_log) {
    auto db = open();
    for (const auto& [how, level] :
         {std::pair{durability::ordered, 1}, {durability::synced, 2}, {durability::ordered, 1}}) {
        ASSERT_TRUE(db->begin(how));
        auto q = db->prepare(
            "PRAGMA synchronous"); // https://www.sqlite.org/pragma.html#pragma_synchronous: 1 NORMAL, 2 FULL
        ASSERT_TRUE(q && q->first().value());
        EXPECT_EQ(q->get<int>(0), level);
        ASSERT_FALSE(q->next().value());
        ASSERT_TRUE(db->commit());
    }
}

TEST_F(sqlite, readers_see_the_last_commit_while_a_writer_works) {
    auto writer = open();
    ASSERT_TRUE(writer->script("CREATE TABLE t (i BIGINT); INSERT INTO t VALUES (1)"));
    ASSERT_TRUE(writer->begin(durability::ordered));
    ASSERT_TRUE(writer->script("INSERT INTO t VALUES (2)"));
    auto reader = open(true);
    EXPECT_EQ(count(*reader), 1);
    ASSERT_TRUE(writer->commit());
    EXPECT_EQ(count(*reader), 2);
    auto refused = reader->script("DELETE FROM t");
    ASSERT_FALSE(refused);
    EXPECT_EQ(reader->last_trouble(), trouble::read_only);

    auto second = open();
    ASSERT_TRUE(writer->begin(durability::ordered));
    ASSERT_FALSE(second->begin(durability::ordered));
    EXPECT_EQ(second->last_trouble(), trouble::busy);
}

TEST_F(sqlite, a_full_disk_says_so_and_the_connection_goes_on) {
    auto db = open();
    ASSERT_TRUE(db->script("CREATE TABLE t (b BLOB); PRAGMA max_page_count=10"));
    auto failed = db->script("INSERT INTO t VALUES (zeroblob(100000))");
    ASSERT_FALSE(failed);
    EXPECT_EQ(db->last_trouble(), trouble::full);
    EXPECT_EQ(failed.error().cls, retry_class::local);
    EXPECT_EQ(failed.error().message(), "ledger t.db: the disk is full (database or disk is full). Free some space and "
                                        "run again; everything recorded so far is safe");
    EXPECT_TRUE(db->script("INSERT INTO t VALUES (zeroblob(10))"));
}

TEST_F(sqlite, what_is_no_database_is_named) {
    std::ofstream(folder_ / "t.db") << std::string(5000, 'x');
    trouble kind{};
    auto db = open_sqlite(folder_ / "t.db", {.name = "ledger t.db"}, &kind);
    ASSERT_FALSE(db);
    EXPECT_EQ(kind, trouble::not_a_database);

    db = open_sqlite(folder_ / "none" / "t.db", {.name = "ledger t.db"}, &kind);
    ASSERT_FALSE(db);
    EXPECT_EQ(kind, trouble::no_access);
}

TEST_F(sqlite, an_immutable_file_is_read_where_nothing_can_be_written) {
    folder_ /= "odd %?# name";
    std::filesystem::create_directory(folder_);
    ASSERT_TRUE(open()->script("CREATE TABLE t (i BIGINT); INSERT INTO t VALUES (1)"));
    auto db = open_sqlite(folder_ / "t.db", {.name = "ledger t.db", .read_only = true, .immutable = true});
    ASSERT_TRUE(db) << db.error().message();
    EXPECT_EQ(count(**db), 1);
    EXPECT_FALSE(std::filesystem::exists(folder_ / "t.db-shm"));
    folder_ = folder_.parent_path();
}

} // namespace
} // namespace postferry::sql

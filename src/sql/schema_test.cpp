#include "sql/schema.hpp"
#include "support/postgres_server.hpp"

#include <array>
#include <future>

namespace postferry::sql {
namespace {

constexpr schema_step both(std::string_view text) { return {.sqlite = text, .postgresql = text}; }

constexpr std::array two_steps{both("CREATE TABLE a (x BIGINT)"),
                               both("ALTER TABLE a ADD COLUMN y BIGINT NOT NULL DEFAULT 7")};
const schema one{.application = 4711, .steps = std::span(two_steps).first(1)};
const schema two{.application = 4711, .steps = two_steps};

class schemas : public testing::TestWithParam<sql::dialect> {
  protected:
    support::test_database place_{GetParam()};
    std::unique_ptr<connection> db_ = place_.open();
};

INSTANTIATE_TEST_SUITE_P(on, schemas, support::both_databases(), support::name_of);

TEST_P(schemas, an_empty_database_is_brought_to_the_newest_version) {
    EXPECT_EQ(inspect(*db_, two).value(), schema_fit::empty);
    ASSERT_TRUE(migrate(*db_, two));
    EXPECT_EQ(inspect(*db_, two).value(), schema_fit::current);
    EXPECT_EQ(db_->read_schema_mark()->version, 2);
    EXPECT_TRUE(migrate(*db_, two)) << "a current one is left alone";
}

TEST_P(schemas, an_older_one_keeps_its_rows) {
    ASSERT_TRUE(migrate(*db_, one));
    ASSERT_TRUE(db_->script("INSERT INTO a VALUES (1)"));
    EXPECT_EQ(inspect(*db_, two).value(), schema_fit::older);
    ASSERT_TRUE(migrate(*db_, two));
    auto q = db_->prepare("SELECT x, y FROM a");
    ASSERT_TRUE(q && q->first().value());
    EXPECT_EQ(q->get<int>(0), 1);
    EXPECT_EQ(q->get<int>(1), 7);
}

TEST_P(schemas, newer_and_foreign_ones_are_told_apart) {
    ASSERT_TRUE(migrate(*db_, two));
    EXPECT_EQ(inspect(*db_, one).value(), schema_fit::newer);
    EXPECT_EQ(inspect(*db_, {.application = 1, .steps = two_steps}).value(), schema_fit::foreign);

    const support::test_database elsewhere(GetParam());
    auto other = elsewhere.open();
    ASSERT_TRUE(other->script("CREATE TABLE somebody_elses (x BIGINT)"));
    EXPECT_EQ(inspect(*other, two).value(), schema_fit::foreign) << "tables without any mark";
}

TEST_P(schemas, a_step_that_fails_leaves_the_version_before_it) {
    static constexpr std::array steps{both("CREATE TABLE a (x BIGINT)"),
                                      both("CREATE TABLE b (x BIGINT); CREATE TABLE a (again BIGINT)")};
    EXPECT_FALSE(migrate(*db_, {.application = 4711, .steps = steps}));
    EXPECT_FALSE(db_->in_transaction());
    EXPECT_EQ(db_->read_schema_mark()->version, 1);
    EXPECT_TRUE(db_->script("CREATE TABLE b (free_again BIGINT)"));
}

TEST_P(schemas, each_dialect_takes_its_own_text) {
    static constexpr std::array steps{schema_step{.sqlite = "CREATE TABLE a (b BLOB) WITHOUT ROWID, nonsense",
                                                  .postgresql = "CREATE TABLE a (b BYTEA)"},
                                      schema_step{.sqlite = "", .postgresql = "nonsense"}};
    const schema mixed{.application = 1, .steps = std::span(steps).first(1)};
    EXPECT_EQ(migrate(*db_, mixed).has_value(), GetParam() == sql::dialect::postgresql);
}

TEST_P(schemas, several_processes_may_bring_one_up_at_once) {
    static constexpr std::array steps{both("CREATE TABLE a (x BIGINT); INSERT INTO a VALUES (1)"),
                                      both("INSERT INTO a VALUES (2)"), both("INSERT INTO a VALUES (3)"),
                                      both("INSERT INTO a VALUES (4)")};
    static constexpr schema wanted{.application = 4711, .steps = steps};
    std::vector<std::future<std::string>> all;
    for (int i = 0; i < 8; ++i)
        all.push_back(std::async(std::launch::async, [this] {
            auto mine = place_.open();
            auto done = migrate(*mine, wanted);
            return done ? std::string() : done.error().message();
        }));
    for (auto& process : all) EXPECT_EQ(process.get(), "");
    auto q = db_->prepare("SELECT count(*) FROM a");
    ASSERT_TRUE(q && q->first().value());
    EXPECT_EQ(q->get<int>(0), 4) << "each step once";
}

} // namespace
} // namespace postferry::sql

#include "sql/schema.hpp"
#include "sql/sqlite.hpp"

#include <gtest/gtest.h>

#include <array>

namespace postferry::sql {
namespace {

constexpr schema_step both(std::string_view text) { return {.sqlite = text, .postgresql = text}; }

constexpr std::array two_steps{both("CREATE TABLE a (x BIGINT)"),
                               both("ALTER TABLE a ADD COLUMN y BIGINT NOT NULL DEFAULT 7")};
const schema one{.application = 4711, .steps = std::span(two_steps).first(1)};
const schema two{.application = 4711, .steps = two_steps};

std::unique_ptr<connection> fresh() {
    auto db = open_sqlite({}, {.name = "test"});
    EXPECT_TRUE(db) << db.error().message();
    return std::move(*db);
}

TEST(schema, an_empty_database_is_brought_to_the_newest_version) {
    auto db = fresh();
    EXPECT_EQ(inspect(*db, two).value(), schema_fit::empty);
    ASSERT_TRUE(migrate(*db, two));
    EXPECT_EQ(inspect(*db, two).value(), schema_fit::current);
    EXPECT_EQ(db->read_schema_mark()->version, 2);
    EXPECT_TRUE(migrate(*db, two)) << "a current one is left alone";
}

TEST(schema, an_older_one_keeps_its_rows) {
    auto db = fresh();
    ASSERT_TRUE(migrate(*db, one));
    ASSERT_TRUE(db->script("INSERT INTO a VALUES (1)"));
    EXPECT_EQ(inspect(*db, two).value(), schema_fit::older);
    ASSERT_TRUE(migrate(*db, two));
    auto q = db->prepare("SELECT x, y FROM a");
    ASSERT_TRUE(q && q->first().value());
    EXPECT_EQ(q->get<int>(0), 1);
    EXPECT_EQ(q->get<int>(1), 7);
}

TEST(schema, newer_and_foreign_ones_are_told_apart) {
    auto db = fresh();
    ASSERT_TRUE(migrate(*db, two));
    EXPECT_EQ(inspect(*db, one).value(), schema_fit::newer);
    EXPECT_EQ(inspect(*db, {.application = 1, .steps = two_steps}).value(), schema_fit::foreign);

    auto other = fresh();
    ASSERT_TRUE(other->script("CREATE TABLE somebody_elses (x)"));
    EXPECT_EQ(inspect(*other, two).value(), schema_fit::foreign) << "tables without any mark";
}

TEST(schema, a_step_that_fails_leaves_the_version_before_it) {
    static constexpr std::array steps{both("CREATE TABLE a (x BIGINT)"),
                                      both("CREATE TABLE b (x BIGINT); CREATE TABLE a (again BIGINT)")};
    auto db = fresh();
    EXPECT_FALSE(migrate(*db, {.application = 4711, .steps = steps}));
    EXPECT_FALSE(db->in_transaction());
    EXPECT_EQ(db->read_schema_mark()->version, 1);
    EXPECT_TRUE(db->script("CREATE TABLE b (free_again BIGINT)"));
}

} // namespace
} // namespace postferry::sql

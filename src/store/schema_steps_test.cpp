// Stores that were made by every earlier version are brought up and keep what was in them, on both databases.
#include "store/adopt.hpp"
#include "store/backup.hpp"
#include "store/database.hpp"
#include "store/purge.hpp"
#include "support/test_store.hpp"

namespace postferry::store {
namespace {

class schema_steps : public testing::TestWithParam<std::tuple<sql::dialect, int>> {
  protected:
    [[nodiscard]] int from() const { return std::get<1>(GetParam()); }

    /// As the program of that version left it, with rows in each of its tables.
    void make_old() {
        auto db = place_.open({.name = "store"});
        const sql::schema& now = ledger_schema();
        const sql::schema old{.application = now.application,
                              .steps = now.steps.first(static_cast<std::size_t>(from()))};
        ASSERT_TRUE(sql::migrate(*db, old));
        static constexpr std::array rows{
            "INSERT INTO mailbox (source_key, target_key) VALUES ('imaps://a@old', 'imaps://a@new');"
            "INSERT INTO folder (mailbox, source_name, target_name, source_uid_validity, target_uid_validity, copied, "
            "copied_octets) VALUES (1, 'INBOX', 'INBOX', 7, 8, 2, 30);"
            "INSERT INTO flag_set (folder, number, flags) VALUES (1, 0, '\\Seen');"
            "INSERT INTO message (folder, source_uid, target_uid, octets, flags, state) VALUES (1, 1, 1, 10, 0, 0), "
            "(1, 2, 2, 20, 0, 0);"
            "INSERT INTO failure (folder, source_uid, octets, message_id, class, reason) VALUES (1, 3, 5, '<x>', 5, "
            "'no')",
            "INSERT INTO named_folder (source_key, target_key, place, folder, uid_validity) VALUES ('imaps://a@old', "
            "'imaps://a@new', 'p', 'f', 9)",
            "INSERT INTO report (mailbox, pass, ended, body) VALUES (1, 'bulk', '2026-01-01T00:00:00Z', '{}')",
            "INSERT INTO traffic (place, direction, hour, octets) VALUES ('old', 1, 5, 77)",
            "INSERT INTO repaired (folder, source_uid, repairs) VALUES (1, 2, 4)"};
        for (int step = 0; step < from(); ++step) {
            auto put = db->script(rows[static_cast<std::size_t>(step)]);
            ASSERT_TRUE(put) << put.error().message();
        }
    }

    support::test_database place_{std::get<0>(GetParam())};
};

INSTANTIATE_TEST_SUITE_P(of, schema_steps, testing::Combine(support::both_databases(), testing::Values(1, 2, 3, 4, 5)),
                         [](const auto& info) {
                             return std::string(std::get<0>(info.param) == sql::dialect::sqlite ? "sqlite"
                                                                                                : "postgresql") +
                                    "_" + std::to_string(std::get<1>(info.param));
                         });

TEST_P(schema_steps, everything_is_kept_and_the_service_can_work_with_it) {
    make_old();
    const store_place place{.where = sql::parse_location(place_.url()).value()};
    EXPECT_EQ(status(place).value().version, from()) << "looking changes nothing";
    {
        EXPECT_TRUE(database::open(place_.url(), {}));
    }
    const auto now = status(place);
    ASSERT_TRUE(now) << now.error().message();
    EXPECT_EQ(now->version, ledger_schema().version());

    auto db = place_.open({.name = "store"});
    tables t(*db, [] { return unix_ms{1000}; });
    const auto mailbox = t.ledger.find_mailbox("imaps://a@old", "imaps://a@new").value();
    ASSERT_TRUE(mailbox);
    const auto folders = t.ledger.folders(*mailbox).value();
    ASSERT_EQ(folders.size(), 1U);
    EXPECT_EQ(folders[0].rows.copied, 2U);
    EXPECT_EQ(folders[0].flag_sets, std::vector<std::string>{"\\Seen"});
    EXPECT_EQ(t.ledger.rows(folders[0].id).value().size(), 2U);
    EXPECT_EQ(t.ledger.failures(folders[0].id).value().size(), 1U);
    EXPECT_EQ(t.ledger.names()
                  .find({.source_key = "imaps://a@old", .target_key = "imaps://a@new", .place = "p", .folder = "f"})
                  .value()
                  .has_value(),
              from() >= 2);
    EXPECT_EQ(t.ledger.reports().all().value().size(), from() >= 3 ? 1U : 0U);
    EXPECT_EQ(t.ledger.traffic().since(0).value().size(), from() >= 4 ? 1U : 0U);
    EXPECT_EQ(t.ledger.repaired(folders[0].id).value().size(), from() >= 5 ? 1U : 0U);
    // A run of the command line is shown to the service until a batch has it.
    EXPECT_EQ(t.migrations.strays({}).value().rows.size(), 1U);
    EXPECT_EQ(adopt_command_line_runs(t, "system").value(), 1);
    EXPECT_EQ(adopt_command_line_runs(t, "system").value(), 0);
    const auto batch = t.batches.find(default_project, std::string(command_line_batch)).value();
    ASSERT_TRUE(batch);
    const auto shown = t.migrations.list({.batch = batch->id}, {}).value().rows;
    ASSERT_EQ(shown.size(), 1U);
    EXPECT_EQ(shown[0].source_user, "a");
    EXPECT_EQ(shown[0].source_url, "imaps://old");
    EXPECT_EQ(shown[0].counts.messages_copied, 2U);
    EXPECT_EQ(shown[0].state, mailbox_state::synced);
    EXPECT_EQ(split_key("imaps://al%40x.org@old:993").user, "al@x.org");
    EXPECT_EQ(split_key("maildir:/srv/a").server, "maildir:/srv/a");
}

TEST_P(schema_steps, a_backup_of_an_old_one_comes_back_as_a_new_one) {
    make_old();
    const store_place place{.where = sql::parse_location(place_.url()).value()};
    const std::filesystem::path file = testing::TempDir() + "postferry-old-backup.db", back = file.string() + ".back";
    std::filesystem::remove(back);
    auto done = back_up(place, file, true, {});
    if (place.where.dialect == sql::dialect::postgresql) { // table by table needs the current tables
        ASSERT_FALSE(done);
        EXPECT_NE(done.error().message().find("pg_dump"), std::string::npos) << done.error().message();
        return;
    }
    ASSERT_TRUE(done) << done.error().message();
    const store_place to{.where = sql::parse_location(back.string()).value()};
    done = restore(file, to, false, {});
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_EQ(status(to).value().version, ledger_schema().version());
    std::filesystem::remove(back);
    std::filesystem::remove(file);
}

} // namespace
} // namespace postferry::store

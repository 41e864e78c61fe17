// Stores that were made by every earlier version are brought up and keep what was in them, on both databases.
#include "base/digest.hpp"
#include "store/adopt.hpp"
#include "store/backup.hpp"
#include "store/database.hpp"
#include "store/purge.hpp"
#include "support/test_store.hpp"

namespace postferry::store {
namespace {

// What unreleased programs had in version 6 beyond the step of today (control_schema.cpp); both dialects.
constexpr std::string_view extended_6 = R"(
ALTER TABLE project ADD COLUMN version {0} NOT NULL DEFAULT 1;
CREATE TABLE waiver (migration {0} NOT NULL, folder {1} NOT NULL, source_uid {0} NOT NULL,
  waived_by {1} NOT NULL, at {0} NOT NULL, why {1} NOT NULL, PRIMARY KEY (migration, folder, source_uid));
INSERT INTO waiver VALUES (1, 'INBOX', 9, 'anna', 5, 'spam');
CREATE INDEX alias_target ON alias (goes_to);
DROP INDEX migration_state;
CREATE INDEX migration_batch_state ON migration (batch, state, id);
CREATE INDEX migration_state ON migration (state, id);
CREATE INDEX migration_grade ON migration (batch, grade, id);
CREATE INDEX migration_source ON migration (source_server, id);
CREATE INDEX migration_target ON migration (target_server, id);
CREATE INDEX migration_pair ON migration (source_server, target_server, priority DESC, due, id) WHERE due IS NOT NULL;
)";

struct origin {
    int version;
    bool extended = false;
};

class schema_steps : public testing::TestWithParam<std::tuple<sql::dialect, origin>> {
  protected:
    [[nodiscard]] static sql::dialect kind() { return std::get<0>(GetParam()); }
    [[nodiscard]] int from() const { return std::get<1>(GetParam()).version; }
    [[nodiscard]] bool extended() const { return std::get<1>(GetParam()).extended; }

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
            "INSERT INTO repaired (folder, source_uid, repairs) VALUES (1, 2, 4)",
            "INSERT INTO batch (project, name, state, mode, settings, created, created_by) VALUES (1, 'school', "
            "'syncing', 'migrate', '{}', 5, 'anna');"
            "INSERT INTO migration (batch, source_url, target_url, source_user, target_user, source_server, "
            "target_server, state, reason, reason_class, throttled_by, priority, next_pass, messages_source, "
            "messages_copied, messages_present, messages_skipped, messages_failed, octets_source, octets_copied, "
            "grade, passes, since, queued_ms, running_ms, throttled_ms, stalled_ms, position, created) VALUES (1, "
            "'imaps://old', 'imaps://new', 'b', 'b', 'old:993', 'new:993', 'queued', '', '', '', 0, 'bulk', 0, 0, 0, "
            "0, 0, 0, 0, '', 0, 5, 0, 0, 0, 0, 1, 5);"
            "INSERT INTO domain (project, name, display, overrides, provisioning_frozen, passwords_frozen, created) "
            "VALUES (1, 'old', 'old', '{}', 0, 0, 5);"
            "INSERT INTO alias (domain, address, goes_to, origin, state, reason) VALUES (1, 'c@old', 'b@old', "
            "'manual', 'planned', '')"};
        for (int step = 0; step < from(); ++step) {
            auto put = db->script(rows[static_cast<std::size_t>(step)]);
            ASSERT_TRUE(put) << put.error().message();
        }
        if (!extended()) return;
        auto put = db->script(kind() == sql::dialect::sqlite ? fmt::format(extended_6, "INTEGER", "TEXT")
                                                             : fmt::format(extended_6, "BIGINT", "TEXT COLLATE \"C\""));
        ASSERT_TRUE(put) << put.error().message();
    }

    /// Every column and index, a line each, in an order of its own: a column that came later stands behind others.
    static std::vector<std::string> shape_of(sql::connection& db) {
        static constexpr sql::spelling question{
            .sqlite = "SELECT m.name || '.' || c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || "
                      "coalesce(c.dflt_value, '') || ' ' || (c.pk > 0) FROM sqlite_master m, pragma_table_info(m.name) "
                      "c WHERE m.type = 'table' UNION ALL SELECT sql FROM sqlite_master WHERE type = 'index' AND sql "
                      "IS NOT NULL",
            .postgresql = "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || "
                          "coalesce(column_default, '') || ' ' || coalesce(collation_name, '') FROM "
                          "information_schema.columns WHERE table_schema = current_schema() UNION ALL SELECT indexdef "
                          "FROM pg_indexes WHERE schemaname = current_schema()"};
        std::vector<std::string> out;
        auto q = db.prepare(question.in(db.dialect()));
        EXPECT_TRUE(q) << q.error().message();
        auto row = q->first();
        for (; row && *row; row = q->next()) {
            std::string line(q->text(0));
            for (std::size_t at = 0; (at = line.find("\n  ", at)) != std::string::npos;) line.replace(at, 3, " ");
            out.push_back(std::move(line));
        }
        EXPECT_TRUE(row) << row.error().message();
        std::ranges::sort(out);
        return out;
    }

    support::test_database place_{std::get<0>(GetParam())};
};

constexpr auto named = [](const auto& info) {
    const auto [kind, of] = std::tuple(info.param);
    return fmt::format("{}_{}{}", kind == sql::dialect::sqlite ? "sqlite" : "postgresql", of.version,
                       of.extended ? "_extended" : "");
};

/// Of those that have control data already.
class control_steps : public schema_steps {};

constexpr origin first_control{.version = 6}, unreleased_control{.version = 6, .extended = true};

INSTANTIATE_TEST_SUITE_P(of, schema_steps,
                         testing::Combine(support::both_databases(),
                                          testing::Values(origin{1}, origin{2}, origin{3}, origin{4}, origin{5},
                                                          first_control, unreleased_control)),
                         named);
INSTANTIATE_TEST_SUITE_P(of, control_steps,
                         testing::Combine(support::both_databases(),
                                          testing::Values(first_control, unreleased_control)),
                         named);

// Whoever must change what a step makes adds another one.
TEST(ledger_steps, those_that_stores_were_made_with_never_change) {
    static constexpr std::array<std::string_view, 7> made{"0859597ec27829a8", "13f1fe175fcd7c4b", "2726ca014c64359d",
                                                          "43cb44764fef1912", "b7f913317f249994", "621ef92579244453",
                                                          "957595b2aa5413e5"};
    ASSERT_EQ(ledger_schema().steps.size(), made.size()) << "a new one gets its mark here";
    for (std::size_t i = 0; i < made.size(); ++i) {
        const sql::schema_step& step = ledger_schema().steps[i];
        std::string text = fmt::format("{}|{}", step.sqlite, step.postgresql);
        for (const auto& c : step.columns)
            text += fmt::format("|{}|{}|{}|{}", c.table, c.name, c.type.sqlite, c.type.postgresql);
        EXPECT_EQ(sha256::of(text).hex().substr(0, 16), made[i]) << "version " << i + 1;
    }
}

TEST_P(schema_steps, what_comes_of_it_has_the_shape_of_a_new_one) {
    make_old();
    auto old = place_.open({.name = "store"});
    auto done = sql::migrate(*old, ledger_schema());
    ASSERT_TRUE(done) << done.error().message();
    const support::test_database elsewhere(kind());
    auto fresh = elsewhere.open({.name = "store"});
    ASSERT_TRUE(sql::migrate(*fresh, ledger_schema()));
    EXPECT_EQ(shape_of(*old), shape_of(*fresh));
}

TEST_P(control_steps, control_data_is_kept) {
    make_old();
    auto db = place_.open({.name = "store"});
    ASSERT_TRUE(sql::migrate(*db, ledger_schema()));
    tables t(*db, [] { return unix_ms{1000}; });
    const auto found = t.migrations.list({.server = "old:993"}, {}).value().rows;
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].source_user, "b");
    EXPECT_EQ(t.directory.find_aliases_onto({"b@old"}).value().size(), 1U);
    EXPECT_EQ(t.settings.find_project(default_project).value()->version, 1);
    EXPECT_EQ(t.waivers.of(1).value().size(), extended() ? 1U : 0U);
}

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

// Backup, restore, move, purge and another key: on real files and a real PostgreSQL.
#include "store/backup.hpp"
#include "store/purge.hpp"
#include "store/rotate.hpp"
#include "support/test_store.hpp"

#include <fstream>
#include <sstream>

namespace postferry::store {
namespace {

namespace fs = std::filesystem;

class upkeep : public testing::TestWithParam<sql::dialect> {
  protected:
    upkeep() {
        std::string pattern = testing::TempDir() + "postferry-upkeep-XXXXXX";
        folder_ = mkdtemp(pattern.data());
    }
    ~upkeep() override { fs::remove_all(folder_); }

    static store_place at(const std::string& url) { return {.where = sql::parse_location(url).value()}; }
    [[nodiscard]] store_place here() const { return at(s_.place().url()); }
    [[nodiscard]] store_place elsewhere() const { return at(other_.url()); }

    /// Something in every kind of table, with octets that are no text and gaps in the numbers.
    void fill() {
        mailbox_ = s_.must([](tables& t) { return t.ledger.add_mailbox("imaps://a@old", "imaps://a@new"); });
        const auto folder = s_.must([&](tables& t) {
            return t.ledger.begin_folder(mailbox_, {.source_name = "caf\xe9", .target_name = "INBOX"});
        });
        std::vector<ledger_row> rows;
        for (std::uint32_t i = 1; i <= 500; ++i)
            rows.push_back({.source_uid = i, .target_uid = i, .octets = 1000 + i, .digest = {}});
        rows[7].digest = sha256::of("x");
        s_.must([&](tables& t) {
            return t.ledger.record(folder.id, rows, {{.source_uid = 501, .message_id = "", .reason = "too big"}});
        });
        s_.must([](tables& t) {
            return t.ledger.keep_report({.source_key = "imaps://a@old",
                                         .target_key = "imaps://a@new",
                                         .pass = "bulk",
                                         .ended = "2026-01-02T03:04:05Z",
                                         .body = "{}"});
        });
        batch_ = s_.batch_of();
        ids_ = s_.add(batch_, 5, mailbox_state::queued, s_.now);
        s_.must([&](tables& t) { return t.migrations.remove(ids_[4]); });
        s_.must([&](tables& t) { return t.migrations.set_ledger_mailbox(ids_[0], mailbox_); });
        s_.must([&](tables& t) { return change_state(t, ids_[1], {.to = mailbox_state::copying, .actor = "t"}); });
        s_.must([&](tables& t) {
            return t.logs.add({{.at = 5, .batch = batch_, .folder = "F", .text = std::string("a\0b", 3)}});
        });
        s_.must([](tables& t) {
            return t.directory.add(std::vector{account{.address = "a@x", .quota = 0}, account{.address = "b@x"}});
        });
    }
    /// What a store must show after its journey.
    static void expect_same(const store_place& place) {
        auto db = sql::open(place.where, {}, {});
        ASSERT_TRUE(db) << db.error().message();
        tables t(**db);
        const auto mailbox = t.ledger.find_mailbox("imaps://a@old", "imaps://a@new").value();
        ASSERT_TRUE(mailbox);
        const auto folders = t.ledger.folders(*mailbox).value();
        ASSERT_EQ(folders.size(), 1U);
        EXPECT_EQ(folders[0].source_name, "caf\xe9");
        EXPECT_EQ(folders[0].rows.copied, 500U);
        EXPECT_EQ(t.ledger.full_rows(folders[0].id, 8, 8).value().at(0).digest, sha256::of("x"));
        EXPECT_FALSE(t.ledger.full_rows(folders[0].id, 9, 9).value().at(0).digest) << "none stays none";
        EXPECT_EQ(t.ledger.failures(folders[0].id).value().at(0).reason, "too big");
        EXPECT_EQ(t.migrations.list({}, {}).value().rows.size(), 4U);
        EXPECT_EQ(t.logs.list({}, {}).value().rows.at(0).text, std::string("a\0b", 3));
        EXPECT_EQ(t.directory.find_account("a@x").value()->quota, 0U);
        EXPECT_FALSE(t.directory.find_account("b@x").value()->quota);
        EXPECT_EQ(t.batches.tally(1).value().size(), 2U);
        // The fifth mailbox is gone, its number is not given again.
        auto next = t.migrations.add({test_store::mailbox(1, 77)});
        ASSERT_TRUE(next) << next.error().message();
        EXPECT_EQ(next->at(0), 6);
    }
    static std::string why(const auto& outcome) { return outcome ? "it was done" : outcome.error().message(); }

    test_store s_{GetParam()};
    support::test_database other_{GetParam() == sql::dialect::sqlite ? sql::dialect::postgresql : sql::dialect::sqlite};
    fs::path folder_;
    transfer::mailbox_id mailbox_ = 0;
    record_id batch_ = 0;
    std::vector<record_id> ids_;
};

INSTANTIATE_TEST_SUITE_P(on, upkeep, support::both_databases(), support::name_of);

TEST_P(upkeep, a_backup_is_made_beside_those_at_work_and_comes_back_into_either_kind) {
    fill();
    const fs::path file = folder_ / "o'clock.db";
    ASSERT_TRUE(s_.db().begin(sql::durability::ordered)); // somebody writes meanwhile
    ASSERT_TRUE(s_.t().settings.put("company", "uncommitted", "1"));
    auto done = back_up(here(), file, false, {});
    EXPECT_TRUE(done) << done.error().message();
    s_.db().rollback();
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1) << "nothing is left beside it";
    EXPECT_EQ(fs::status(file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
    EXPECT_NE(why(back_up(here(), file, false, {})).find("is there already"), std::string::npos);
    EXPECT_TRUE(back_up(here(), file, true, {}));

    const std::string copy = (folder_ / "new.db").string();
    done = restore(file, at(copy), false, {});
    ASSERT_TRUE(done) << done.error().message();
    expect_same(at(copy));
    EXPECT_NE(why(restore(file, at(copy), false, {})).find("--force"), std::string::npos);
    EXPECT_TRUE(restore(file, at(copy), true, {}));

    done = restore(file, elsewhere(), false, {});
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_NE(why(restore(file, elsewhere(), false, {})).find("--force"), std::string::npos);
    done = restore(file, elsewhere(), true, {});
    ASSERT_TRUE(done) << done.error().message();
    expect_same(elsewhere());
}

TEST_P(upkeep, a_damaged_or_foreign_backup_changes_nothing) {
    fill();
    const fs::path file = folder_ / "b.db";
    ASSERT_TRUE(back_up(here(), file, false, {}));
    const std::string kept = (folder_ / "kept.db").string();
    ASSERT_TRUE(restore(file, at(kept), false, {}));
    for (const std::uintmax_t size : {fs::file_size(file) / 2, std::uintmax_t{4096}, std::uintmax_t{50}}) {
        fs::copy_file(file, folder_ / "cut.db", fs::copy_options::overwrite_existing);
        fs::resize_file(folder_ / "cut.db", size);
        EXPECT_NE(why(restore(folder_ / "cut.db", at(kept), true, {})), "it was done") << size;
    }
    std::ofstream(folder_ / "text") << "hello";
    EXPECT_NE(why(restore(folder_ / "text", at(kept), true, {})), "it was done");
    EXPECT_NE(why(restore(folder_ / "none", at(kept), true, {})).find("there is no backup"), std::string::npos);
    expect_same(at(kept));
}

TEST_P(upkeep, a_store_moves_to_the_other_kind_and_leaves_processes_behind) {
    fill();
    s_.must([](tables& t) { return t.leases.put(worker{.id = "w", .state = worker_state::gone}); });
    std::int64_t rows = 0;
    auto moved = move(here(), elsewhere(), [&](std::string_view, std::int64_t n) { return rows = n, true; });
    ASSERT_TRUE(moved) << moved.error().message();
    EXPECT_GT(moved->rows, 500);
    EXPECT_NE(why(move(here(), elsewhere(), {})).find("holds something already"), std::string::npos);
    {
        auto db = sql::open(elsewhere().where, {}, {});
        tables t(**db);
        EXPECT_TRUE(t.leases.workers().value().empty());
        EXPECT_EQ(requeue_lapsed(t, "system").value(), 1) << "the one at work is taken up again";
    }
    EXPECT_EQ(s_.tally(batch_), "queued 3, copying 1") << "the old one stays as it was";
}

TEST_P(upkeep, what_is_stopped_in_the_middle_has_not_begun) {
    fill();
    auto stopped = move(here(), elsewhere(), [](std::string_view table, std::int64_t) { return table != "message"; });
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().cls, retry_class::cancelled);
    auto moved = move(here(), elsewhere(), {});
    EXPECT_TRUE(moved) << moved.error().message();
    expect_same(elsewhere());
}

TEST_P(upkeep, a_purge_takes_what_is_old_and_at_rest_only) {
    fill();
    s_.must([](tables& t) { return t.ledger.add_mailbox("never", "reported"); });
    constexpr unix_ms long_after = 4'000'000'000'000;
    auto none = purge(here(), long_after);
    ASSERT_TRUE(none) << none.error().message();
    EXPECT_EQ(none->ledgers, 0) << "its batch is at work";
    EXPECT_EQ(none->log_lines, 0);
    for (const auto state : {batch_state::completed, batch_state::archived})
        s_.must([&](tables& t) { return change_state(t, batch_, {.to = state, .actor = "t"}); });
    auto early = purge(here(), 1'700'000'000'000);
    ASSERT_TRUE(early);
    EXPECT_EQ(early->ledgers, 0) << "its last report is younger";
    auto all = purge(here(), long_after);
    ASSERT_TRUE(all) << all.error().message();
    EXPECT_EQ(all->ledgers, 1);
    EXPECT_EQ(early->log_lines + all->log_lines, 1);
    EXPECT_FALSE(s_.must([](tables& t) { return t.ledger.find_mailbox("imaps://a@old", "imaps://a@new"); }));
    EXPECT_TRUE(s_.must([](tables& t) { return t.ledger.find_mailbox("never", "reported"); }))
        << "no age is known of it";
    EXPECT_EQ(s_.must([&](tables& t) { return t.migrations.list({.batch = batch_}, {}); }).rows.size(), 4U);
    const auto now = status(here());
    ASSERT_TRUE(now) << now.error().message();
    EXPECT_EQ(now->version, now->knows);
    EXPECT_EQ(now->batches.at(0).first, "archived");
}

TEST_P(upkeep, a_key_is_changed_kept_and_given_up) {
    fill();
    const fs::path file = folder_ / "seal.key";
    auto first = rotate_key(here(), file, {}, {});
    ASSERT_TRUE(first) << first.error().message();
    auto keys = vault::open(file);
    ASSERT_TRUE(keys);
    for (const record_id id : {ids_[0], ids_[1], ids_[2]})
        s_.must([&](tables& t) {
            return (*keys)->put(t, {{.key = {.owner = std::to_string(id), .purpose = "source"}, .value = secret("p")}});
        });
    auto second = rotate_key(here(), file, {}, {});
    ASSERT_TRUE(second) << second.error().message();
    EXPECT_EQ(second->resealed, 3);
    EXPECT_EQ(second->keys_left, 2U);
    EXPECT_NE(second->key_id, first->key_id);
    auto third = rotate_key(here(), file, {.drop_old = true}, {});
    ASSERT_TRUE(third);
    EXPECT_EQ(third->keys_left, 1U);
    EXPECT_EQ(s_.must([&](tables& t) {
                    return (*keys)->get(t, {.owner = std::to_string(ids_[0]), .purpose = "source"});
                })->reveal(),
              "p");
    fs::remove(file);
    EXPECT_NE(why(rotate_key(here(), file, {}, {})).find("--key-lost"), std::string::npos);
    EXPECT_FALSE(fs::exists(file)) << "nothing is made before it is clear what is meant";
    auto lost = rotate_key(here(), file, {.key_lost = true}, {});
    ASSERT_TRUE(lost) << lost.error().message();
    ASSERT_EQ(lost->lost.size(), 1U);
    EXPECT_EQ(lost->lost[0].credentials, 3);
    EXPECT_EQ(lost->asked_again, 3);
    EXPECT_EQ(s_.tally(batch_), "needs_credentials 3, queued 1");
    const auto now = status(here());
    ASSERT_TRUE(now);
    EXPECT_FALSE(now->keys.empty());
}

} // namespace
} // namespace postferry::store

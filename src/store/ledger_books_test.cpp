// The file around the ledger: who holds it, what may be wrong with it, and what a kill leaves.
#include "sql/sqlite.hpp"
#include "store/ledger_books.hpp"
#include "store/ledger_schema.hpp"
#include "support/run_to_end.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <random>
#include <sstream>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

namespace postferry::store {
namespace {

using support::run_to_end;

namespace fs = std::filesystem;
using testing::HasSubstr;
using transfer::item_state;

class ledger_files : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "postferry-ledger-XXXXXX";
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
        path_ = folder_ / "postferry.db";
    }
    void TearDown() override {
        umount2(folder_.c_str(), MNT_DETACH); // of the test that fills a disk, wherever it ended
        fs::remove_all(folder_);
    }

    result<std::unique_ptr<ledger_books>> try_open(bool read_only = false) const {
        return ledger_books::open(path_, {.read_only = read_only, .holder_description = "postferry test"});
    }
    std::unique_ptr<ledger_books> open(bool read_only = false) const {
        auto ledger = try_open(read_only);
        EXPECT_TRUE(ledger) << ledger.error().message();
        return ledger ? std::move(*ledger) : nullptr;
    }
    /// Opening must fail.
    error refused(bool read_only = false) const {
        auto ledger = try_open(read_only);
        EXPECT_FALSE(ledger);
        return ledger ? error{} : ledger.error();
    }
    static folder_id inbox(transfer::ledger& ledger) {
        const auto mailbox = run_to_end(ledger.open_mailbox("a", "b"));
        return mailbox
                   ? run_to_end(ledger.begin_folder(*mailbox, "INBOX", "INBOX", 1, 1, 1)).value_or(ledger_folder{}).id
                   : 0;
    }
    static std::vector<ledger_row> rows(std::uint32_t first_uid, std::uint32_t count) {
        std::vector<ledger_row> all;
        for (std::uint32_t uid = first_uid; uid < first_uid + count; ++uid)
            all.push_back({.source_uid = uid,
                           .target_uid = uid,
                           .octets = 30000 + uid,
                           .flags = 2,
                           .state = item_state::copied,
                           .digest = sha256_digest{}});
        return all;
    }
    void fill(std::uint32_t count) const {
        auto ledger = open();
        ASSERT_TRUE(run_to_end(ledger->record(inbox(*ledger), rows(1, count), {})));
    }
    std::size_t count(bool read_only = false) const {
        auto ledger = open(read_only);
        return ledger ? run_to_end(ledger->rows(1)).value_or(std::vector<ledger_brief>{}).size() : 0;
    }
    void write(const std::string& content) const { std::ofstream(path_, std::ios::binary) << content; }
    void script(std::string_view sql) const {
        auto db = sql::open_sqlite(path_, {.name = "test"});
        ASSERT_TRUE(db && (*db)->script(sql));
    }

    fs::path folder_, path_;
};

TEST_F(ledger_files, what_was_recorded_is_there_again) {
    fill(1000);
    EXPECT_EQ(count(), 1000U);
    EXPECT_FALSE(fs::exists(folder_ / "postferry.db.lock"));
    EXPECT_FALSE(fs::exists(folder_ / "postferry.db-wal")) << "closed tidily: one file to copy or to move";
}

TEST_F(ledger_files, a_second_run_is_told_who_holds_it) {
    std::array<int, 2> ready{}, end{};
    ASSERT_EQ(pipe(ready.data()) | pipe(end.data()), 0);
    const pid_t child = fork();
    if (child == 0) {
        close(end[1]);
        auto held = ledger_books::open(
            path_, {.read_only = false, .holder_description = "postferry migrate \x1b[31maccounts.csv"});
        char c = held ? 'y' : 'n';
        (void)!::write(ready[1], &c, 1);
        (void)!read(end[0], &c, 1); // until the parent closes its end
        _exit(0);
    }
    close(end[0]);
    char c = 0;
    ASSERT_EQ(read(ready[0], &c, 1), 1);
    ASSERT_EQ(c, 'y');

    const error why = refused();
    EXPECT_EQ(why.cls, retry_class::config);
    EXPECT_THAT(why.what, testing::MatchesRegex(
                              "ledger .*/postferry.db is in use by PID " + std::to_string(child) +
                              " on .+ since 20..-..-..T..:..:..Z \\(postferry migrate .x1b.31maccounts.csv\\)"));
    EXPECT_THAT(why.advice, HasSubstr("--state"));
    fs::create_symlink(path_, folder_ / "other name");
    EXPECT_FALSE(ledger_books::open(folder_ / "other name", {}));
    EXPECT_TRUE(try_open(true)) << "reading needs no lock";

    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    EXPECT_TRUE(try_open()) << "the lock has fallen with its holder, whatever the file beside it says";
    for (const int fd : {ready[0], ready[1], end[1]}) close(fd);
}

TEST_F(ledger_files, twice_in_one_process_is_refused_too) {
    auto first = open();
    EXPECT_THAT(refused().what, HasSubstr("PID " + std::to_string(getpid())));
    first.reset();
    EXPECT_TRUE(try_open());
}

TEST_F(ledger_files, a_lock_file_of_nonsense_holds_nobody_up) {
    std::ofstream(folder_ / "postferry.db.lock") << "[1, {]\xff";
    EXPECT_TRUE(try_open());
}

TEST_F(ledger_files, reading_makes_nothing_and_changes_nothing) {
    {
        auto ledger = open(true);
        EXPECT_TRUE(fs::is_empty(folder_));
        auto one = run_to_end(ledger->open_mailbox("a", "b")), other = run_to_end(ledger->open_mailbox("a", "c"));
        ASSERT_TRUE(one && other);
        EXPECT_LT(*one, 0);
        EXPECT_NE(*one, *other);
        EXPECT_TRUE(run_to_end(ledger->folders(*one)).value().empty());
        EXPECT_FALSE(run_to_end(ledger->open_mailbox("a", "b"))) << "listed twice here too";
        auto refused = run_to_end(ledger->begin_folder(*one, "INBOX", "INBOX", 1, 1, 1));
        ASSERT_FALSE(refused);
        EXPECT_THAT(refused.error().what, HasSubstr("was opened for reading only"));
    }
    fill(3);
    auto ledger = open(true);
    EXPECT_GT(run_to_end(ledger->open_mailbox("a", "b")).value(), 0);
    EXPECT_EQ(run_to_end(ledger->rows(1)).value().size(), 3U);
    EXPECT_FALSE(run_to_end(ledger->record(1, rows(9, 1), {})));
}

TEST_F(ledger_files, reading_works_where_nothing_may_be_written) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to become somebody else";
    fill(3);
    fs::permissions(folder_, fs::perms(0755));
    fs::permissions(path_, fs::perms(0644)); // as whoever shares it makes it; ours it is alone when it is new
    ASSERT_EQ(seteuid(65534), 0);
    const std::size_t seen = count(true);
    const error why = refused();
    ASSERT_EQ(seteuid(0), 0);
    EXPECT_EQ(seen, 3U);
    EXPECT_EQ(why.cls, retry_class::local);
    EXPECT_THAT(why.message(), HasSubstr("Permission denied"));
}

TEST_F(ledger_files, no_folder_is_said) {
    path_ = folder_ / "none" / "postferry.db";
    const error why = refused();
    EXPECT_EQ(why.cls, retry_class::local);
    EXPECT_THAT(why.what, HasSubstr("there is no folder " + (folder_ / "none").string()));
}

TEST_F(ledger_files, a_newer_one_is_refused) {
    fill(1);
    script("PRAGMA user_version=12");
    for (const bool read_only : {false, true}) {
        const error why = refused(read_only);
        EXPECT_EQ(why.cls, retry_class::config);
        EXPECT_THAT(why.what,
                    HasSubstr(fmt::format("made by a newer Postferry (its version is 12, this program knows {})",
                                          ledger_schema().version())));
    }
    EXPECT_FALSE(fs::exists(folder_ / "postferry.db.lock"));
}

TEST_F(ledger_files, another_programs_database_is_refused_and_left_alone) {
    script("CREATE TABLE bookmarks (url TEXT)");
    const error why = refused();
    EXPECT_EQ(why.cls, retry_class::config);
    EXPECT_THAT(why.what, HasSubstr("belongs to another program"));
    script("SELECT url FROM bookmarks");
}

TEST_F(ledger_files, garbage_is_named_with_the_way_out) {
    write("username,password\nalice@example.org,x\n" + std::string(9000, 'z'));
    for (const bool read_only : {false, true}) {
        const error why = refused(read_only);
        EXPECT_EQ(why.cls, retry_class::config);
        EXPECT_THAT(why.what, HasSubstr("the file is damaged, or no ledger at all (file is not a database)"));
        EXPECT_THAT(why.advice, HasSubstr("Move the file aside"));
    }
    fs::rename(path_, folder_ / "aside");
    EXPECT_EQ(count(), 0U) << "the advice works";
}

TEST_F(ledger_files, one_cut_short_is_damaged_at_whatever_length) {
    fill(2000);
    const auto whole = fs::file_size(path_);
    for (const auto size : {whole - 1, whole - 4096, whole / 2, whole / 3 + 17, std::uintmax_t{4096},
                            std::uintmax_t{100}, std::uintmax_t{1}}) {
        fs::resize_file(path_, size);
        const error why = refused();
        EXPECT_EQ(why.cls, retry_class::config) << size;
        EXPECT_THAT(why.what, HasSubstr("damaged")) << size;
    }
}

TEST_F(ledger_files, an_empty_file_is_an_empty_ledger) {
    write("");
    EXPECT_EQ(count(true), 0U);
    EXPECT_EQ(fs::file_size(path_), 0U);
    fill(2);
    EXPECT_EQ(count(), 2U);
}

TEST_F(ledger_files, pages_of_nonsense_end_in_an_error_not_in_a_crash) {
    fill(2000);
    std::stringstream content;
    content << std::ifstream(path_, std::ios::binary).rdbuf();
    std::mt19937 random(7);
    int noticed = 0;
    for (int round = 0; round < 40; ++round) {
        std::string broken = content.str();
        for (int i = 0; i < 200; ++i) broken[100 + random() % (broken.size() - 100)] = static_cast<char>(random());
        write(broken);
        auto ledger = try_open();
        if (!ledger) {
            EXPECT_EQ(ledger.error().cls, retry_class::config);
            ++noticed;
            continue;
        }
        auto all = run_to_end((*ledger)->rows(1));
        auto added = run_to_end((*ledger)->record(1, rows(5000, 100), {}));
        if (!all) EXPECT_EQ(all.error().cls, retry_class::local);
        if (!all || !added) ++noticed;
    }
    EXPECT_GT(noticed, 10);
}

TEST_F(ledger_files, a_torn_log_never_stops_us) {
    fill(100);
    const fs::path log = folder_ / "postferry.db-wal";
    {
        auto ledger = open();
        ASSERT_TRUE(run_to_end(ledger->record(1, rows(101, 400), {})));
        ASSERT_TRUE(run_to_end(ledger->record(1, rows(501, 400), {})));
        fs::copy(path_, folder_ / "db");
        fs::copy(log, folder_ / "log"); // as a power cut would find them
    }
    const auto whole = fs::file_size(folder_ / "log");
    for (auto size = whole; size > 0; size = size * 4 / 5) {
        fs::copy_file(folder_ / "db", path_, fs::copy_options::overwrite_existing);
        fs::copy_file(folder_ / "log", log, fs::copy_options::overwrite_existing);
        fs::resize_file(log, size);
        if (size < whole) std::ofstream(log, std::ios::binary | std::ios::app) << std::string(3000, '\x5a');
        const std::size_t seen = count();
        EXPECT_TRUE(seen == 100 || seen == 500 || seen == 900) << seen << " rows of a log cut at " << size;
        if (size == whole) EXPECT_EQ(seen, 900U);
    }
    // A log whose ledger has been moved aside belongs to nobody.
    fs::remove(path_);
    fs::copy_file(folder_ / "log", log, fs::copy_options::overwrite_existing);
    fill(1);
    EXPECT_EQ(count(), 1U);
}

TEST_F(ledger_files, a_full_disk_is_said_and_what_was_recorded_stays) {
    if (mount("postferry-test", folder_.c_str(), "tmpfs", 0, "size=1200k") != 0)
        GTEST_SKIP() << "may not mount a tmpfs";
    std::uint32_t kept = 0;
    {
        auto ledger = open();
        const folder_id folder = inbox(*ledger);
        auto outcome = run_to_end(ledger->record(folder, rows(1, 100), {}));
        for (; outcome; outcome = run_to_end(ledger->record(folder, rows(kept + 1, 100), {}))) kept += 100;
        EXPECT_EQ(outcome.error().cls, retry_class::local);
        EXPECT_THAT(outcome.error().message(), HasSubstr("the disk is full"));
        EXPECT_THAT(outcome.error().advice, HasSubstr("Free some space"));
    }
    EXPECT_GT(kept, 0U);
    EXPECT_EQ(count(true), kept);
    ASSERT_EQ(mount("postferry-test", folder_.c_str(), "tmpfs", MS_REMOUNT, "size=6m"), 0);
    EXPECT_EQ(count(), kept);
    auto ledger = open();
    EXPECT_TRUE(run_to_end(ledger->record(1, rows(kept + 1, 1000), {})));
    ledger.reset();
    EXPECT_EQ(umount(folder_.c_str()), 0);
}

/// Records batches and says each acknowledged one through the pipe, until it is killed.
[[noreturn]] void record_until_killed(const fs::path& path, int acknowledged, std::uint32_t first_uid,
                                      std::vector<ledger_row> (*batch)(std::uint32_t, std::uint32_t)) {
    auto ledger = ledger_books::open(path, {});
    if (!ledger) _exit(1);
    auto mailbox = run_to_end((*ledger)->open_mailbox("a", "b"));
    auto folder = run_to_end((*ledger)->begin_folder(mailbox.value_or(0), "INBOX", "INBOX", 1, 1, 1));
    for (std::uint32_t uid = first_uid; folder; uid += 7) {
        if (!run_to_end((*ledger)->record(folder->id, batch(uid, 7), {}))) break;
        if (::write(acknowledged, &uid, sizeof uid) != sizeof uid) break;
    }
    _exit(1);
}

TEST_F(ledger_files, after_kill_9_every_acknowledged_record_is_there) {
    std::mt19937 random(20);
    std::uint32_t next_uid = 1;
    std::size_t sure = 0;
    for (int round = 0; round < 20; ++round) {
        std::array<int, 2> acknowledged{};
        ASSERT_EQ(pipe(acknowledged.data()), 0);
        const pid_t child = fork();
        if (child == 0) record_until_killed(path_, acknowledged[1], next_uid, &rows);
        close(acknowledged[1]);
        const std::size_t enough = 1 + random() % 200;
        std::size_t heard = 0;
        for (std::uint32_t uid = 0; read(acknowledged[0], &uid, sizeof uid) == sizeof uid; next_uid = uid + 7)
            if (++heard == enough) kill(child, SIGKILL);
        close(acknowledged[0]);
        waitpid(child, nullptr, 0);
        ASSERT_GE(heard, enough) << "the child ended by itself";
        sure += heard * 7;

        auto ledger = open(round % 2 == 0); // a dry run may be the first to find the log
        auto all = run_to_end(ledger->rows(1));
        ASSERT_TRUE(all) << all.error().message();
        ASSERT_TRUE(all->size() == sure || all->size() == sure + 7)
            << all->size() << " rows, " << sure << " acknowledged";
        ASSERT_EQ(all->back().source_uid, all->size()) << "no hole";
        if (all->size() > sure) { // the last one was committed, and killed before it could say so
            sure += 7;
            next_uid += 7;
        }
    }
    auto ledger = open();
    const auto mailbox = run_to_end(ledger->open_mailbox("a", "b")).value();
    EXPECT_EQ(run_to_end(ledger->folders(mailbox)).value().at(0).rows.copied, sure);
}

} // namespace
} // namespace postferry::store

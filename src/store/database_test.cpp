// The database with its threads, over both kinds: who sees what when, what is repeated when a server goes, and that two
// processes on one PostgreSQL never copy one mailbox.
#include "store/database.hpp"
#include "store/ledger_books.hpp"
#include "store/refusal.hpp"
#include "support/test_store.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <future>
#include <mutex>
#include <random>
#include <set>
#include <thread>

namespace postferry::store {
namespace {

namespace asio = boost::asio;

/// Runs a coroutine to its end.
template <class T> T wait_for(task<T> work) {
    asio::io_context io;
    auto out = asio::co_spawn(io, std::move(work), asio::use_future);
    io.run();
    return out.get();
}

class databases : public testing::TestWithParam<sql::dialect> {
  protected:
    std::unique_ptr<database> open(const database_options& options = {}) {
        auto opened = database::open(place_.url(), options);
        EXPECT_TRUE(opened) << opened.error().message();
        return opened ? std::move(*opened) : nullptr;
    }
    static result<project> add(database& db, const std::string& name) {
        return wait_for(db.write([name](tables& t) { return t.settings.add_project(name, 1); }));
    }
    static std::size_t count(database& db) {
        return wait_for(db.read([](tables& t) { return t.settings.projects({.limit = 1000}); })).value().rows.size();
    }
    support::test_database place_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(on, databases, support::both_databases(), support::name_of);

TEST_P(databases, a_read_behind_the_answer_to_a_write_sees_it) {
    auto db = open();
    for (int i = 0; i < 50; ++i) {
        ASSERT_TRUE(add(*db, std::to_string(i)));
        ASSERT_EQ(count(*db), static_cast<std::size_t>(i) + 2);
    }
}

TEST_P(databases, a_write_that_fails_leaves_nothing_and_hurts_nobody) {
    auto db = open();
    asio::io_context io;
    std::vector<std::future<result<project>>> all;
    for (int i = 0; i < 40; ++i)
        all.push_back(asio::co_spawn(io, db->write([i](tables& t) -> result<project> {
            auto made = t.settings.add_project(std::to_string(i), 1);
            if (made && i % 4 == 0) return refusal::refuse(refusal::conflict, "no");
            return made;
        }),
                                     asio::use_future));
    io.run();
    for (std::size_t i = 0; i < 40; ++i) EXPECT_EQ(all[i].get().has_value(), i % 4 != 0) << i;
    EXPECT_EQ(count(*db), 31U);
}

TEST_P(databases, a_read_sees_one_moment_only) {
    auto db = open();
    std::promise<void> looked, written;
    auto going = written.get_future().share();
    auto reading = std::async(std::launch::async, [&] {
        return wait_for(db->read([&looked, going](tables& t) -> result<std::pair<std::size_t, std::size_t>> {
            const auto before = t.settings.projects({}).value().rows.size();
            looked.set_value();
            going.wait();
            return std::pair(before, t.settings.projects({}).value().rows.size());
        }));
    });
    looked.get_future().wait();
    ASSERT_TRUE(add(*db, "meanwhile"));
    written.set_value();
    EXPECT_EQ(reading.get().value(), (std::pair<std::size_t, std::size_t>(1, 1)));
    EXPECT_EQ(count(*db), 2U);
}

TEST_P(databases, a_lease_fences_every_write_of_its_ledger) {
    auto db = open();
    ledger_books books(*db, "postferry serve");
    record_id id = 0;
    auto made = wait_for(db->write([&id](tables& t) -> result<std::int64_t> {
        auto b = t.batches.add({.name = "b"});
        auto m = t.migrations.add({test_store::mailbox(b->id, 1, mailbox_state::queued)});
        id = m->at(0);
        if (auto due = t.migrations.set_due(id, 1, "bulk"); !due) return std::unexpected(due.error());
        if (auto put = t.leases.put(worker{.id = "w"}); !put) return std::unexpected(put.error());
        return id;
    }));
    ASSERT_TRUE(made);
    auto got = wait_for(db->alone([](tables& t) { return t.leases.take({.worker = "w", .now = 100}); }));
    ASSERT_EQ(got.value().size(), 1U);
    const auto token = got->at(0).hold.token;
    auto mine = books.under(id, token);
    auto mailbox = wait_for(mine->open_mailbox("imaps://a@old", "imaps://a@new"));
    ASSERT_TRUE(mailbox) << mailbox.error().message();
    EXPECT_TRUE(wait_for(db->read([](tables& t) { return t.migrations.strays({}); })).value().rows.empty())
        << "it is the batch's, no run of the command line";
    auto folder = wait_for(mine->begin_folder(*mailbox, "INBOX", "INBOX", 1, 1, 1));
    ASSERT_TRUE(folder) << folder.error().message();
    EXPECT_TRUE(wait_for(mine->record(folder->id, {{.source_uid = 1, .digest = {}}}, {})));
    ASSERT_TRUE(wait_for(db->write([id, token](tables& t) { return t.leases.release(id, token); })));
    auto late = wait_for(mine->record(folder->id, {{.source_uid = 2, .digest = {}}}, {}));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().response_code, refusal::lease_lost);
    EXPECT_EQ(wait_for(mine->rows(folder->id)).value().size(), 1U);
    mine->close_mailbox(*mailbox);
    EXPECT_TRUE(wait_for(books.open_mailbox("imaps://a@old", "imaps://a@new")));
}

TEST_P(databases, several_processes_that_change_the_same_mailboxes_in_any_order_keep_the_tallies) {
    const bool one_file = GetParam() == sql::dialect::sqlite; // has one process
    std::vector<std::unique_ptr<database>> processes;
    for (int i = 0; i < (one_file ? 1 : 3); ++i) processes.push_back(open({.readers = 0}));
    std::vector<record_id> ids;
    auto made = wait_for(processes[0]->write([&ids](tables& t) -> result<record_id> {
        auto b = t.batches.add({.name = "b"});
        std::vector<migration> all;
        for (int i = 0; i < 12; ++i) all.push_back(test_store::mailbox(b->id, i, mailbox_state::queued));
        ids = t.migrations.add(all).value();
        return b->id;
    }));
    ASSERT_TRUE(made);
    std::atomic<int> changed{0};
    std::mutex mutex;
    std::set<std::string> others;
    std::vector<std::thread> threads;
    for (std::size_t p = 0; p < processes.size(); ++p)
        threads.emplace_back([&, p] {
            std::minstd_rand random(static_cast<unsigned>(p) + 1);
            asio::io_context io;
            std::vector<std::future<result<migration>>> all;
            for (int i = 0; i < 150; ++i) {
                const record_id id = ids[random() % ids.size()];
                const auto to = random() % 2 == 0 ? mailbox_state::paused : mailbox_state::queued;
                all.push_back(asio::co_spawn(io, processes[p]->write([id, to](tables& t) {
                    return change_state(t, id, mailbox_change{.to = to, .actor = "t"});
                }),
                                             asio::use_future));
            }
            io.run();
            for (auto& one : all) {
                auto outcome = one.get();
                if (outcome) {
                    ++changed;
                } else {
                    const std::lock_guard lock(mutex);
                    others.insert(outcome.error().message());
                }
            }
        });
    for (std::thread& t : threads) t.join();
    EXPECT_TRUE(others.empty()) << *others.begin();
    EXPECT_EQ(changed, static_cast<int>(processes.size()) * 150);
    auto tally = wait_for(processes[0]->read([batch = *made](tables& t) { return t.batches.tally(batch); }));
    auto rows =
        wait_for(processes[0]->read([batch = *made](tables& t) { return t.migrations.list({.batch = batch}, {}); }));
    for (const batch_tally& line : tally.value())
        EXPECT_EQ(static_cast<std::int64_t>(line.mailboxes),
                  std::ranges::count(rows->rows, line.state, &migration::state))
            << name_of(line.state);
}

class servers : public testing::Test {
  protected:
    std::unique_ptr<ledger_books> books(const std::string& who) {
        auto opened = ledger_books::open(place_.url(), {.holder_description = who});
        EXPECT_TRUE(opened) << opened.error().message();
        return opened ? std::move(*opened) : nullptr;
    }
    support::test_database place_{sql::dialect::postgresql};
};

TEST_F(servers, two_runs_on_one_server_share_the_ledger_but_no_mailbox) {
    auto one = books("postferry migrate a.csv"), two = books("postferry migrate b.csv");
    const auto mailbox = wait_for(one->open_mailbox("s", "t"));
    ASSERT_TRUE(mailbox);
    EXPECT_TRUE(wait_for(two->open_mailbox("other", "t")));
    auto refused = wait_for(two->open_mailbox("s", "t"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().cls, retry_class::config);
    EXPECT_NE(refused.error().what.find("postferry migrate a.csv (PID "), std::string::npos) << refused.error().what;
    auto folder = wait_for(one->begin_folder(*mailbox, "INBOX", "INBOX", 1, 1, 1));
    ASSERT_TRUE(folder) << folder.error().message();
    one->close_mailbox(*mailbox);
    one.reset();
    EXPECT_TRUE(wait_for(two->open_mailbox("s", "t"))) << "it is free again";
    EXPECT_TRUE(wait_for(two->record(folder->id, {{.source_uid = 1, .digest = {}}}, {})));
}

TEST_F(servers, a_run_that_was_taken_for_dead_writes_nothing_any_more) {
    auto one = books("one");
    const auto mailbox = wait_for(one->open_mailbox("s", "t"));
    auto folder = wait_for(one->begin_folder(*mailbox, "INBOX", "INBOX", 1, 1, 1));
    ASSERT_TRUE(folder);
    // As if its line were cut and another had come before it was back.
    auto db = place_.open({});
    ASSERT_TRUE(db->script("UPDATE ledger_hold SET holder = 'postferry 0000000000000000'"));
    auto late = wait_for(one->record(folder->id, {{.source_uid = 1, .digest = {}}}, {}));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().response_code, refusal::lease_lost);
    auto two = books("two");
    EXPECT_TRUE(wait_for(two->open_mailbox("s", "t"))) << "nobody is connected under that name";
}

TEST(server_outage, writes_wait_for_a_server_that_comes_back_and_nothing_happens_twice) {
    support::postgres_server server("");
    const std::string url = server.url(server.make_database());
    auto opened = database::open(url, {.patience = std::chrono::seconds(60)});
    ASSERT_TRUE(opened) << opened.error().message();
    database& db = **opened;
    std::atomic<int> done{0};
    std::atomic<bool> stop{false};
    auto writing = std::async(std::launch::async, [&] {
        int i = 0;
        for (; !stop; ++i) {
            auto made = wait_for(db.write([i](tables& t) { return t.settings.add_project(std::to_string(i), 1); }));
            if (!made) return made.error().message();
            ++done;
        }
        return std::string("fine ") + std::to_string(i);
    });
    for (int round = 0; round < 2; ++round) {
        const int before = done;
        while (done < before + 20) std::this_thread::yield();
        server.kill();
        while (!db.current_outage()) std::this_thread::yield();
        server.start();
        while (db.current_outage()) std::this_thread::yield();
    }
    stop = true;
    const std::string said = writing.get();
    EXPECT_EQ(said, "fine " + std::to_string(done)) << "a name that was taken twice would have been refused";
    EXPECT_EQ(wait_for(db.read([](tables& t) { return t.settings.projects({.limit = 5000}); })).value().rows.size(),
              static_cast<std::size_t>(done) + 1);
}

TEST(server_outage, a_write_gives_up_when_its_patience_ends_and_says_since_when) {
    support::postgres_server server("");
    auto opened = database::open(server.url(server.make_database()), {.patience = std::chrono::milliseconds(300)});
    ASSERT_TRUE(opened);
    server.stop();
    auto failed = wait_for((*opened)->write([](tables& t) { return t.settings.add_project("x", 1); }));
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().cls, retry_class::transient);
    const std::string& said = failed.error().what;
    EXPECT_NE(said.find("cannot be reached since 20"), std::string::npos) << said;
    EXPECT_EQ(said.find("\\x09"), std::string::npos) << "libpq's tabs are its own: " << said;
    EXPECT_EQ(said.find((*opened)->name()), said.rfind((*opened)->name())) << said;
    ASSERT_TRUE((*opened)->current_outage());
    EXPECT_TRUE((*opened)->current_outage()->what.starts_with("the server is gone")) << said;
    server.start();
    EXPECT_TRUE(wait_for((*opened)->write([](tables& t) { return t.settings.add_project("x", 1); })));
    EXPECT_FALSE((*opened)->current_outage());
}

} // namespace
} // namespace postferry::store

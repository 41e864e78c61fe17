// Many mailboxes on several threads over one database; callers that are cancelled or vanish.
#include "store/ledger_books.hpp"
#include "support/postgres_server.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>

namespace postferry::store {
namespace {

namespace asio = boost::asio;
using transfer::item_state;

class ledger_callers : public testing::TestWithParam<sql::dialect> {
  protected:
    void SetUp() override { reopen(); }
    void reopen() {
        ledger_.reset();
        auto opened = ledger_books::open(place_.url(), {});
        ASSERT_TRUE(opened) << opened.error().message();
        ledger_ = std::move(*opened);
    }
    static std::vector<ledger_row> rows(std::uint32_t first_uid, std::uint32_t count) {
        std::vector<ledger_row> all;
        for (std::uint32_t uid = first_uid; uid < first_uid + count; ++uid)
            all.push_back({.source_uid = uid,
                           .target_uid = uid,
                           .octets = 10,
                           .flags = 0,
                           .state = item_state::copied,
                           .digest = sha256_digest{}});
        return all;
    }

    support::test_database place_{GetParam()};
    std::unique_ptr<ledger_books> ledger_;
};

/// One mailbox's pass; the number of rows it sees in the end. Every answer must come back on its own strand.
task<std::size_t> copy_mailbox(ledger_books& ledger, int number,
                               asio::strand<asio::thread_pool::executor_type> strand) {
    const std::string name = std::to_string(number);
    auto mailbox = co_await ledger.open_mailbox("a" + name, "b" + name);
    if (!mailbox) co_return 0;
    auto folder = co_await ledger.begin_folder(*mailbox, "INBOX", "INBOX", 1, 1, 1);
    if (!folder) co_return 0;
    for (std::uint32_t batch = 0; batch < 20; ++batch) {
        std::vector<ledger_row> all;
        for (std::uint32_t uid = batch * 10 + 1; uid <= batch * 10 + 10; ++uid)
            all.push_back({.source_uid = uid,
                           .target_uid = uid,
                           .octets = 10,
                           .flags = 0,
                           .state = item_state::copied,
                           .digest = sha256_digest{}});
        auto recorded = co_await ledger.record(folder->id, std::move(all), {});
        if (!recorded || !strand.running_in_this_thread()) co_return 0;
    }
    auto seen = co_await ledger.rows(folder->id);
    ledger.close_mailbox(*mailbox);
    co_return seen ? seen->size() : 0;
}

INSTANTIATE_TEST_SUITE_P(on, ledger_callers, support::both_databases(), support::name_of);

TEST_P(ledger_callers, sixty_mailboxes_on_four_threads) {
    asio::thread_pool pool(4);
    std::vector<std::future<std::size_t>> ends;
    for (int i = 0; i < 60; ++i) {
        auto strand = asio::make_strand(pool);
        ends.push_back(asio::co_spawn(strand, copy_mailbox(*ledger_, i, strand), asio::use_future));
    }
    for (auto& end : ends) EXPECT_EQ(end.get(), 200U);
    pool.join();
    reopen();
    asio::io_context context;
    auto all = asio::co_spawn(context, ledger_->folders(1), asio::use_future);
    context.run();
    EXPECT_EQ(all.get()->at(0).rows.copied, 200U);
}

TEST_P(ledger_callers, a_cancelled_call_ends_and_tells_the_truth) {
    asio::io_context context;
    asio::cancellation_signal stop;
    std::string story;
    const auto pass = [&]() -> task<> {
        auto mailbox = co_await ledger_->open_mailbox("a", "b");
        auto folder = co_await ledger_->begin_folder(mailbox.value(), "INBOX", "INBOX", 1, 1, 1);
        asio::post(context, [&] { stop.emit(asio::cancellation_type::terminal); });
        auto recorded = co_await ledger_->record(folder->id, rows(1, 5), {});
        story += recorded ? "recorded" : "not recorded";
        // The engine's way to store its last batch.
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        auto last = co_await ledger_->record(folder->id, rows(6, 5), {});
        story += last ? ", last batch recorded" : "";
        story += fmt::format(", {} rows", (co_await ledger_->rows(folder->id)).value().size());
    };
    auto end = asio::co_spawn(context, pass(), asio::bind_cancellation_slot(stop.slot(), asio::use_future));
    context.run();
    EXPECT_NO_THROW(end.get());
    EXPECT_EQ(story, "recorded, last batch recorded, 10 rows");
}

/// Told when the coroutine's frame goes.
struct farewell {
    std::atomic<int>& gone;
    explicit farewell(std::atomic<int>& g) : gone(g) {}
    farewell(const farewell&) = delete;
    ~farewell() { ++gone; }
};

task<> record_for_ever(ledger_books& ledger, int number, std::atomic<int>& gone) {
    const farewell note(gone);
    auto mailbox = co_await ledger.open_mailbox("a" + std::to_string(number), "b");
    auto folder = co_await ledger.begin_folder(mailbox.value(), "INBOX", "INBOX", 1, 1, 1);
    for (std::uint32_t uid = 1; folder; uid = uid % 1000 + 1)
        (void)co_await ledger.record(folder->id,
                                     {{.source_uid = uid,
                                       .target_uid = uid,
                                       .octets = 1,
                                       .flags = 0,
                                       .state = item_state::copied,
                                       .digest = {}}},
                                     {});
}

TEST_P(ledger_callers, callers_may_be_destroyed_while_their_calls_are_under_way) {
    std::atomic<int> gone = 0;
    {
        asio::io_context context;
        for (int i = 0; i < 20; ++i) asio::co_spawn(context, record_for_ever(*ledger_, i, gone), asio::detached);
        for (int handlers = 0; handlers < 500; ++handlers) context.run_one();
        context.stop();
        ledger_.reset(); // first, as its comment asks: answers under way are posted, and never run
    }
    EXPECT_EQ(gone, 20) << "every frame was destroyed, none twice";
    reopen();
}

} // namespace
} // namespace postferry::store

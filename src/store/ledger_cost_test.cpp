// What the ledger costs: octets a message in the file, CPU, time to open. The bounds are those of a release build with
// room for a slow machine and for this one's being unoptimised; `--gtest_filter=ledger_cost*` prints what was measured.
#include "store/ledger_file.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include <ctime>
#include <filesystem>
#include <iostream>
#include <random>

namespace postferry::store {
namespace {

namespace asio = boost::asio;
using transfer::item_state;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define POSTFERRY_SLOW_BUILD 1
#endif
#endif
#ifdef POSTFERRY_SLOW_BUILD
constexpr double patience = 50;
#else
constexpr double patience = 4;
#endif

double cpu_ms() {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) / 1e6;
}

template <class T> T wait_for(task<T> work) {
    asio::io_context context;
    auto outcome = asio::co_spawn(context, std::move(work), asio::use_future);
    context.run();
    return outcome.get();
}

class ledger_cost : public testing::Test {
  protected:
    void SetUp() override {
        const bool memory = std::filesystem::is_directory("/dev/shm"); // cost, not the disk's mood
        std::string pattern = (memory ? "/dev/shm/" : testing::TempDir()) + "postferry-ledger-XXXXXX";
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    std::unique_ptr<ledger_file> open() const {
        auto opened = ledger_file::open(folder_ / "postferry.db", {});
        EXPECT_TRUE(opened) << opened.error().message();
        return std::move(*opened);
    }
    std::uintmax_t octets() const { return std::filesystem::file_size(folder_ / "postferry.db"); }

    /// As a copy makes them: ascending UIDs, sizes of mail, a digest that cannot be compressed.
    std::vector<ledger_row> batch(std::uint32_t first_uid, std::uint32_t count) {
        std::vector<ledger_row> all;
        for (std::uint32_t uid = first_uid; uid < first_uid + count; ++uid) {
            sha256_digest digest;
            for (auto& octet : digest.octets) octet = static_cast<std::uint8_t>(random_());
            all.push_back({.source_uid = uid,
                           .target_uid = uid + 300,
                           .octets = 2000 + random_() % 198'000,
                           .flags = uid % 5,
                           .state = item_state::copied,
                           .digest = digest});
        }
        return all;
    }
    static void note(const std::string& text) { std::cout << "[ measured ] " << text << '\n'; }

    std::filesystem::path folder_;
    std::minstd_rand random_{42};
};

TEST_F(ledger_cost, a_message_takes_at_most_64_octets_of_the_file) {
    std::uintmax_t before = 0;
    {
        auto ledger = open();
        ASSERT_TRUE(wait_for(ledger->open_mailbox("a", "b")));
        for (const char* name : {"INBOX", "Sent", "Archive"})
            ASSERT_TRUE(wait_for(ledger->begin_folder(1, name, name, 1, 1, 1)));
        ledger.reset();
        before = octets();
        ledger = open();
        // Two folders by turns, and one as a whole: 100,000 messages.
        for (std::uint32_t uid = 1; uid < 25'000; uid += 50)
            for (const folder_id folder : {1, 2}) ASSERT_TRUE(wait_for(ledger->record(folder, batch(uid, 50), {})));
        for (std::uint32_t uid = 1; uid < 50'000; uid += 50)
            ASSERT_TRUE(wait_for(ledger->record(3, batch(uid, 50), {})));
    }
    const double each = static_cast<double>(octets() - before) / 100'000;
    note(fmt::format("{:.1f} octets a message", each));
    EXPECT_LE(each, 64);
}

TEST_F(ledger_cost, recording_5000_messages_in_100_batches) {
    auto ledger = open();
    ASSERT_TRUE(wait_for(ledger->open_mailbox("a", "b")));
    ASSERT_TRUE(wait_for(ledger->begin_folder(1, "INBOX", "INBOX", 1, 1, 1)));
    std::vector<std::vector<ledger_row>> batches;
    for (std::uint32_t uid = 1; uid < 5000; uid += 50) batches.push_back(batch(uid, 50));
    const auto copy = [&]() -> task<result<void>> {
        for (auto& rows : batches) {
            auto recorded = co_await ledger->record(1, std::move(rows), {});
            if (!recorded) co_return recorded;
        }
        co_return result<void>{};
    };
    const double start = cpu_ms();
    ASSERT_TRUE(wait_for(copy()));
    const double spent = cpu_ms() - start;
    note(fmt::format("{:.1f} ms of CPU", spent));
    EXPECT_LE(spent, 30 * patience);
}

TEST_F(ledger_cost, opening_and_reading_200000_messages) {
    {
        auto ledger = open();
        ASSERT_TRUE(wait_for(ledger->open_mailbox("a", "b")));
        ASSERT_TRUE(wait_for(ledger->begin_folder(1, "INBOX", "INBOX", 1, 1, 1)));
        for (std::uint32_t uid = 1; uid < 200'000; uid += 1000)
            ASSERT_TRUE(wait_for(ledger->record(1, batch(uid, 1000), {})));
    }
    // CPU throughout: on a busy machine the clock measures the others.
    const double start = cpu_ms();
    auto ledger = open();
    const double opening = cpu_ms() - start;
    ASSERT_TRUE(wait_for(ledger->open_mailbox("a", "b")));

    const double asked = cpu_ms();
    auto rows = wait_for(ledger->rows(1));
    const double reading = cpu_ms() - asked;
    ASSERT_EQ(rows.value().size(), 200'000U);
    EXPECT_EQ(rows->capacity(), rows->size()) << "16 octets a row, none to spare";
    const double closing = cpu_ms();
    ledger.reset();
    note(fmt::format("opened in {:.2f} ms, rows in {:.1f} ms, closed in {:.2f} ms", opening, reading,
                     cpu_ms() - closing));
    EXPECT_LE(opening, 3 * patience);
    EXPECT_LE(reading, 60 * patience);
}

} // namespace
} // namespace postferry::store

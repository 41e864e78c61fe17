// What the ledger costs: octets a message in the file, CPU, time to open. The bounds are those of a release build with
// room for a slow machine and for this one's being unoptimised; `--gtest_filter=ledger_cost*` prints what was measured.
#include "store/ledger_books.hpp"
#include "support/run_to_end.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <random>

namespace postferry::store {
namespace {

using support::run_to_end;

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

class ledger_cost : public testing::Test {
  protected:
    void SetUp() override {
        std::error_code none; // cost, not the disk's mood; containers have 64 MB of it
        const auto space = std::filesystem::space("/dev/shm", none);
        const bool memory = !none && space.available > 512U << 20U;
        std::string pattern = (memory ? "/dev/shm/" : testing::TempDir()) + "postferry-ledger-XXXXXX";
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    std::unique_ptr<ledger_books> open() const {
        auto opened = ledger_books::open(folder_ / "postferry.db", {});
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

/// How a pass fills the file.
struct filling {
    const char* name;
    std::uint32_t folders;
    bool by_turns;           ///< several connections, a batch for each folder in turn; else one folder after the other
    std::uint32_t first_uid; ///< numbers take more octets as they grow
};

constexpr std::array<filling, 5> fillings{{{"one folder", 1, false, 1},
                                           {"three folders, one after the other", 3, false, 1},
                                           {"four folders by turns", 4, true, 1},
                                           {"200 folders by turns", 200, true, 1},
                                           {"four folders by turns, large UIDs", 4, true, 1'000'000'000}}};

class ledger_growth : public ledger_cost, public testing::WithParamInterface<filling> {
  protected:
    /// The size of a new file after `messages` were recorded and the ledger was closed.
    std::uintmax_t filled(std::uint32_t messages) {
        const filling& how = GetParam();
        std::filesystem::remove(folder_ / "postferry.db");
        auto ledger = open();
        const auto fill = [&]() -> task<result<void>> {
            auto mailbox =
                co_await ledger->open_mailbox("imaps://anna@old.example.org", "imaps://anna@new.example.org");
            if (!mailbox) co_return std::unexpected(mailbox.error());
            std::vector<folder_id> folders;
            for (std::uint32_t i = 0; i < how.folders; ++i) {
                auto book = co_await ledger->begin_folder(*mailbox, fmt::format("Folder {}", i),
                                                          fmt::format("Folder {}", i), 1, 1, 1);
                if (!book) co_return std::unexpected(book.error());
                folders.push_back(book->id);
            }
            const std::uint32_t each = messages / how.folders, some = 50;
            const std::uint32_t turns = how.by_turns ? each / some : 1, of_a_turn = each / turns;
            for (std::uint32_t turn = 0; turn < turns; ++turn)
                for (const folder_id folder : folders)
                    for (std::uint32_t n = 0; n < of_a_turn; n += some) {
                        auto ok = co_await ledger->record(
                            folder, batch(how.first_uid + turn * of_a_turn + n, std::min(some, of_a_turn - n)), {});
                        if (!ok) co_return ok;
                    }
            co_return result<void>{};
        };
        const auto ok = run_to_end(fill());
        EXPECT_TRUE(ok) << ok.error().message();
        ledger.reset();
        return octets();
    }
};

TEST_P(ledger_growth, is_at_most_64_octets_a_message) {
    // Enough that it is the rows that count: the last pages of 200 folders, half full, are no growth.
    constexpr std::uint32_t n = 50'000;
    const std::uintmax_t once = filled(n), twice = filled(2 * n);
    const double each = (static_cast<double>(twice) - static_cast<double>(once)) / n;
    note(fmt::format("{}: {} octets with {} messages, {} with {}: {:.1f} octets a message", GetParam().name, once, n,
                     twice, 2 * n, each));
    EXPECT_LE(each, 64);
    EXPECT_GE(each, 32) << "no room for a digest: it does not measure what it says";
}

INSTANTIATE_TEST_SUITE_P(fillings, ledger_growth, testing::ValuesIn(fillings),
                         [](const auto& info) { return fmt::format("{}", info.index); });

TEST_F(ledger_cost, recording_5000_messages_in_100_batches) {
    auto ledger = open();
    ASSERT_TRUE(run_to_end(ledger->open_mailbox("a", "b")));
    ASSERT_TRUE(run_to_end(ledger->begin_folder(1, "INBOX", "INBOX", 1, 1, 1)));
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
    ASSERT_TRUE(run_to_end(copy()));
    const double spent = cpu_ms() - start;
    note(fmt::format("{:.1f} ms of CPU", spent));
    EXPECT_LE(spent, 30 * patience);
}

TEST_F(ledger_cost, opening_and_reading_200000_messages) {
    {
        auto ledger = open();
        ASSERT_TRUE(run_to_end(ledger->open_mailbox("a", "b")));
        ASSERT_TRUE(run_to_end(ledger->begin_folder(1, "INBOX", "INBOX", 1, 1, 1)));
        for (std::uint32_t uid = 1; uid < 200'000; uid += 1000)
            ASSERT_TRUE(run_to_end(ledger->record(1, batch(uid, 1000), {})));
    }
    // CPU throughout: on a busy machine the clock measures the others.
    const double start = cpu_ms();
    auto ledger = open();
    const double opening = cpu_ms() - start;
    ASSERT_TRUE(run_to_end(ledger->open_mailbox("a", "b")));

    const double asked = cpu_ms();
    auto rows = run_to_end(ledger->rows(1));
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

// The traffic book in the ledger's file.
#include "store/ledger_books.hpp"
#include "support/postgres_server.hpp"
#include "support/run_to_end.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <unistd.h>

namespace postferry::store {
namespace {

using support::run_to_end;

using testing::ElementsAre;
using testing::IsEmpty;

class ledger_traffic_test : public testing::TestWithParam<sql::dialect> {
  protected:
    [[nodiscard]] std::unique_ptr<ledger_books> open(bool read_only = false) const {
        auto opened = ledger_books::open(place_.url(), {.read_only = read_only, .holder_description = "test"});
        EXPECT_TRUE(opened) << opened.error().message();
        return opened ? std::move(*opened) : nullptr;
    }
    static std::vector<std::string> since(ledger_books& ledger, std::int64_t hour) {
        std::vector<std::string> out;
        for (const net::traffic& t : run_to_end(ledger.traffic_since(hour)).value())
            out.push_back(fmt::format("{} {} {} {}", t.place, t.sent ? "up" : "down", t.hour, t.octets));
        return out;
    }
    static void add(ledger_books& ledger, std::vector<net::traffic> more, std::int64_t first_hour = 0) {
        EXPECT_TRUE(run_to_end(ledger.add_traffic(std::move(more), first_hour)));
    }

    support::test_database place_{GetParam()};
};

net::traffic down(std::string place, std::int64_t hour, std::uint64_t octets) {
    return {.place = std::move(place), .sent = false, .hour = hour, .octets = octets};
}

INSTANTIATE_TEST_SUITE_P(on, ledger_traffic_test, support::both_databases(), support::name_of);

TEST_P(ledger_traffic_test, hours_add_up_and_outlive_the_run) {
    {
        const auto ledger = open();
        EXPECT_THAT(since(*ledger, 0), IsEmpty());
        add(*ledger, {down("h alice", 10, 5), down("h alice", 11, 6)});
        add(*ledger, {down("h alice", 11, 1), {.place = "h alice", .sent = true, .hour = 11, .octets = 3}});
    }
    const auto ledger = open();
    EXPECT_THAT(since(*ledger, 0), ElementsAre("h alice down 10 5", "h alice down 11 7", "h alice up 11 3"));
    EXPECT_THAT(since(*ledger, 11), ElementsAre("h alice down 11 7", "h alice up 11 3"));
}

TEST_P(ledger_traffic_test, what_is_older_than_a_day_goes) {
    const auto ledger = open();
    add(*ledger, {down("a", 10, 5)});
    add(*ledger, {down("b", 34, 1)}, 11);
    EXPECT_THAT(since(*ledger, 0), ElementsAre("b down 34 1"));
}

TEST_P(ledger_traffic_test, a_read_only_run_reads_it_and_keeps_nothing) {
    add(*open(), {down("a", 10, 5)});
    const auto ledger = open(true);
    add(*ledger, {down("a", 10, 100)});
    EXPECT_THAT(since(*ledger, 0), ElementsAre("a down 10 5"));
}

} // namespace
} // namespace postferry::store

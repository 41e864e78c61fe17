// Reports that the ledger keeps, and rows whose source message has vanished.
#include "store/ledger_books.hpp"
#include "support/postgres_server.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <gmock/gmock.h>

#include <filesystem>

namespace postferry::store {
namespace {

namespace asio = boost::asio;
using testing::ElementsAre;
using transfer::item_state;
using transfer::kept_report;

class ledger_reports : public testing::TestWithParam<sql::dialect> {
  protected:
    std::unique_ptr<ledger_books> open(bool read_only) const {
        auto opened = ledger_books::open(place_.url(), {.read_only = read_only, .holder_description = "test"});
        EXPECT_TRUE(opened) << opened.error().message();
        return std::move(*opened);
    }
    template <class T> T must(task<result<T>> work) {
        asio::io_context context;
        auto outcome = asio::co_spawn(context, std::move(work), asio::use_future);
        context.run();
        result<T> r = outcome.get();
        EXPECT_TRUE(r) << (r ? "" : r.error().message());
        if constexpr (!std::is_void_v<T>) return std::move(r.value());
    }
    std::vector<std::string> kept(ledger_books& from) {
        std::vector<std::string> out;
        for (const kept_report& r : must(from.reports()))
            out.push_back(r.source_key + " " + r.pass + " " + r.ended + " " + r.body);
        return out;
    }
    static kept_report report(std::string source, std::string pass, std::string ended, std::string body) {
        return {.source_key = std::move(source),
                .target_key = "imaps://new",
                .pass = std::move(pass),
                .ended = std::move(ended),
                .body = std::move(body)};
    }

    support::test_database place_{GetParam()};
    std::unique_ptr<ledger_books> ledger_ = open(false);
};

INSTANTIATE_TEST_SUITE_P(on, ledger_reports, support::both_databases(), support::name_of);

TEST_P(ledger_reports, the_last_one_of_each_pass_is_kept) {
    must(ledger_->keep_report(report("imaps://b@old", "bulk", "2024-01-01T00:00:00Z", "{1}")));
    must(ledger_->keep_report(report("imaps://a@old", "verify", "2024-01-03T00:00:00Z", "{2}")));
    must(ledger_->keep_report(report("imaps://a@old", "bulk", "2024-01-01T00:00:00Z", "{3}")));
    must(ledger_->keep_report(report("imaps://a@old", "bulk", "2024-01-02T00:00:00Z", "{4}")));
    const std::vector<std::string> want{"imaps://b@old bulk 2024-01-01T00:00:00Z {1}",
                                        "imaps://a@old bulk 2024-01-02T00:00:00Z {4}",
                                        "imaps://a@old verify 2024-01-03T00:00:00Z {2}"};
    EXPECT_EQ(kept(*ledger_), want);
    ledger_.reset();
    EXPECT_EQ(kept(*open(true)), want);
}

TEST_P(ledger_reports, a_mailbox_that_is_known_already_stays_one) {
    const auto id = must(ledger_->open_mailbox("imaps://a@old", "imaps://new"));
    must(ledger_->keep_report(report("imaps://a@old", "bulk", "2024-01-01T00:00:00Z", "{}")));
    ledger_->close_mailbox(id);
    EXPECT_EQ(must(ledger_->open_mailbox("imaps://a@old", "imaps://new")), id);
}

TEST_P(ledger_reports, what_is_gone_counts_in_no_total_and_may_come_back) {
    const auto id = must(ledger_->open_mailbox("imaps://a@old", "imaps://new"));
    const auto folder = must(ledger_->begin_folder(id, "INBOX", "INBOX", 1, 2, 1)).id;
    const auto row = [](std::uint32_t uid, item_state state) {
        return transfer::ledger_row{
            .source_uid = uid, .target_uid = uid + 10, .octets = 100, .state = state, .digest = {}};
    };
    must(ledger_->record(folder, {row(1, item_state::copied), row(2, item_state::copied), row(3, item_state::present)},
                         {}));
    must(ledger_->set_state(folder, {1, 2, 99}, item_state::gone));
    const auto totals = [&] {
        const auto rows = must(ledger_->folders(id)).at(0).rows;
        return std::vector<std::uint64_t>{rows.copied, rows.present, rows.failed, rows.copied_octets};
    };
    EXPECT_THAT(totals(), ElementsAre(0, 1, 0, 0));
    must(ledger_->set_state(folder, {2}, item_state::condemned));
    EXPECT_THAT(totals(), ElementsAre(0, 1, 0, 0));
    must(ledger_->set_state(folder, {1}, item_state::copied));
    EXPECT_THAT(totals(), ElementsAre(1, 1, 0, 100));
    must(ledger_->forget(folder, {2}));
    EXPECT_THAT(totals(), ElementsAre(1, 1, 0, 100));
    std::vector<item_state> states;
    for (const auto& r : must(ledger_->rows(folder))) states.push_back(r.state);
    EXPECT_THAT(states, ElementsAre(item_state::copied, item_state::present));
}

} // namespace
} // namespace postferry::store

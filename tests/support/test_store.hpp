#pragma once
// A store of either kind for tests, with a clock that they set.
#include "sql/schema.hpp"
#include "sql/transaction.hpp"
#include "store/change_state.hpp"
#include "store/ledger_schema.hpp"
#include "support/postgres_server.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace postferry::store {

/// Tables over one connection, without threads.
class test_store {
  public:
    explicit test_store(sql::dialect kind) : place_(kind), db_(place_.open({.name = "store"})) {
        EXPECT_TRUE(sql::migrate(*db_, ledger_schema()));
    }

    /// One transaction; what fails is rolled back.
    template <class F> auto in(F f) { return in(*t_, f); }
    template <class F> static auto in(tables& t, F f) {
        std::invoke_result_t<F&, tables&> out = fail(retry_class::local, phase::ledger, "never ran");
        auto done = sql::transact(t.db, sql::durability::ordered, [&]() -> result<void> {
            out = f(t);
            if (!out) return std::unexpected(out.error());
            return {};
        });
        if (!done && out) out = std::unexpected(done.error());
        return out;
    }
    /// What must work.
    template <class F> auto must(F f) {
        auto out = in(f);
        EXPECT_TRUE(out) << out.error().message();
        return std::move(out).value();
    }

    record_id batch_of(const std::string& name = "b") {
        return must([&](tables& t) {
                   return t.batches.add(
                       {.name = name, .state = batch_state::syncing, .created = now, .created_by = "t"});
               })
            .id;
    }
    static migration mailbox(record_id batch, int i, mailbox_state state = mailbox_state::ready) {
        return {.batch = batch,
                .source_url = "imaps://old.example.org",
                .target_url = "imaps://new.example.org",
                .source_user = fmt::format("user{}@old.example.org", i),
                .target_user = fmt::format("user{}@new.example.org", i),
                .source_server = "old.example.org:993",
                .target_server = "new.example.org:993",
                .state = state,
                .next_pass = "bulk",
                .position = static_cast<std::uint32_t>(i)};
    }
    std::vector<record_id> add(record_id batch, int count, mailbox_state state = mailbox_state::ready,
                               std::optional<unix_ms> due = {}) {
        std::vector<migration> all;
        for (int i = 1; i <= count; ++i) {
            all.push_back(mailbox(batch, i, state));
            all.back().due = due;
            all.back().since = now;
        }
        return must([&](tables& t) { return t.migrations.add(all); });
    }
    /// "ready 3, queued 1"; from the tallies, and the same counted from the mailboxes.
    std::string tally(record_id batch) {
        std::string kept, counted;
        for (const batch_tally& line : must([&](tables& t) { return t.batches.tally(batch); }))
            kept += fmt::format("{}{} {}", kept.empty() ? "" : ", ", name_of(line.state), line.mailboxes);
        for (std::size_t i = 0; i < count_of<mailbox_state>; ++i) {
            const auto s = static_cast<mailbox_state>(i);
            const auto some = must([&](tables& t) {
                return t.migrations.ids({.batch = batch, .states = {s}}, {.limit = paging::max_limit});
            });
            if (!some.rows.empty())
                counted += fmt::format("{}{} {}", counted.empty() ? "" : ", ", name_of(s), some.rows.size());
        }
        EXPECT_EQ(kept, counted);
        return kept;
    }

    unix_ms now = 1'000'000;

    [[nodiscard]] const support::test_database& place() const { return place_; }
    [[nodiscard]] tables& t() { return *t_; }
    [[nodiscard]] sql::connection& db() { return *db_; }

  private:
    support::test_database place_;
    std::unique_ptr<sql::connection> db_;
    std::unique_ptr<tables> t_ = std::make_unique<tables>(*db_, [this] { return now; });
};

} // namespace postferry::store

// One suite over all ledgers: what the engine's tests believe of memory_ledger must be true of both databases.
#include "store/ledger_books.hpp"
#include "support/memory_ledger.hpp"
#include "support/postgres_server.hpp"
#include "support/run_to_end.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

namespace postferry::store {
namespace {

using support::run_to_end;

using transfer::item_state;

struct in_memory {
    static constexpr std::string_view no_folder = "the ledger has no folder 17";
    std::unique_ptr<transfer::ledger> make() { return std::make_unique<support::memory_ledger>(); }
};

template <sql::dialect Kind> struct in_database {
    // Where several processes may write, nobody holds what is not there.
    static constexpr std::string_view no_folder =
        Kind == sql::dialect::sqlite ? in_memory::no_folder : "lease lost: another process may be copying the mailbox";
    std::unique_ptr<transfer::ledger> make() {
        auto opened = ledger_books::open(place.url(), {.read_only = false, .holder_description = "test"});
        EXPECT_TRUE(opened) << opened.error().message();
        return std::move(*opened);
    }
    support::test_database place{Kind};
};

template <class Place> class ledger : public testing::Test {
  protected:
    /// The value of a call that must succeed.
    template <class T> T must(task<result<T>> call) {
        auto outcome = run_to_end(std::move(call));
        EXPECT_TRUE(outcome) << outcome.error().message();
        if constexpr (!std::is_void_v<T>) return outcome ? std::move(*outcome) : T{};
    }
    folder_id inbox(std::uint32_t source_uid_validity = 1) {
        return must(ledger_->begin_folder(mailbox_, "INBOX", "INBOX", source_uid_validity, 2, 77)).id;
    }
    ledger_folder stored(folder_id id) {
        for (const ledger_folder& folder : must(ledger_->folders(mailbox_)))
            if (folder.id == id) return folder;
        ADD_FAILURE() << "no folder " << id;
        return {};
    }
    /// "copied/octets present/octets failed/octets"
    std::string totals(folder_id id) {
        const auto sum = stored(id).rows;
        return fmt::format("{}/{} {}/{} {}/{}", sum.copied, sum.copied_octets, sum.present, sum.present_octets,
                           sum.failed, sum.failed_octets);
    }
    /// "uid>target_uid state flags" of each row
    std::string rows(folder_id id) {
        std::string text;
        for (const ledger_brief& row : must(ledger_->rows(id)))
            text += fmt::format("{}{}>{} {} {}", text.empty() ? "" : ", ", row.source_uid, row.target_uid,
                                "?cpf"[static_cast<int>(row.state)], row.flags);
        return text;
    }

    Place place_;
    std::unique_ptr<transfer::ledger> ledger_ = place_.make();
    mailbox_id mailbox_ = must(ledger_->open_mailbox("imaps://alice@old", "imaps://alice@new"));
};

using places = testing::Types<in_memory, in_database<sql::dialect::sqlite>, in_database<sql::dialect::postgresql>>;
TYPED_TEST_SUITE(ledger, places);

ledger_row copied(std::uint32_t uid, std::uint64_t octets) {
    return {.source_uid = uid,
            .target_uid = uid + 100,
            .octets = octets,
            .flags = 0,
            .state = item_state::copied,
            .digest = sha256_digest{}};
}

ledger_row row_of(std::uint32_t uid, item_state state, std::uint64_t octets) {
    return {.source_uid = uid, .target_uid = 0, .octets = octets, .flags = 0, .state = state, .digest = {}};
}

failed_item reason_for(std::uint32_t uid, std::uint64_t octets, std::string reason) {
    return {.source_uid = uid,
            .octets = octets,
            .message_id = fmt::format("<{}@x>", uid),
            .cls = retry_class::throttled,
            .reason = std::move(reason)};
}

TYPED_TEST(ledger, a_mailbox_is_its_two_keys_and_open_once) {
    auto& ledger = *this->ledger_;
    auto twice = run_to_end(ledger.open_mailbox("imaps://alice@old", "imaps://alice@new"));
    ASSERT_FALSE(twice);
    EXPECT_EQ(twice.error().cls, retry_class::config);
    EXPECT_EQ(twice.error().what, "imaps://alice@old to imaps://alice@new is listed twice");
    EXPECT_NE(this->must(ledger.open_mailbox("imaps://alice@old", "imaps://alice@other")), this->mailbox_);

    ledger.close_mailbox(this->mailbox_);
    ledger.close_mailbox(this->mailbox_);
    ledger.close_mailbox(12345);
    EXPECT_EQ(this->must(ledger.open_mailbox("imaps://alice@old", "imaps://alice@new")), this->mailbox_);
    EXPECT_FALSE(run_to_end(ledger.open_mailbox("imaps://alice@old", "imaps://alice@new")));
}

TYPED_TEST(ledger, a_new_folder_is_empty_and_unfinished) {
    EXPECT_TRUE(this->must(this->ledger_->folders(this->mailbox_)).empty());
    const ledger_folder begun = this->must(this->ledger_->begin_folder(
        this->mailbox_, "Projects/\xc3\x89t\xc3\xa9", "INBOX.Projects.\xc3\x89t\xc3\xa9", 4294967295, 7, 12));
    for (const ledger_folder& folder : {begun, this->stored(begun.id)}) {
        EXPECT_EQ(folder.source_name, "Projects/\xc3\x89t\xc3\xa9");
        EXPECT_EQ(folder.target_name, "INBOX.Projects.\xc3\x89t\xc3\xa9");
        EXPECT_EQ(folder.source_uid_validity, 4294967295U);
        EXPECT_EQ(folder.target_uid_validity, 7U);
        EXPECT_EQ(folder.target_mark, 12U);
        EXPECT_EQ(folder.source_uid_next, 0U);
        EXPECT_FALSE(folder.complete);
        EXPECT_TRUE(folder.flag_sets.empty());
    }
    EXPECT_EQ(this->totals(begun.id), "0/0 0/0 0/0");
    EXPECT_EQ(this->rows(begun.id), "");
}

TYPED_TEST(ledger, finishing_stores_what_the_pass_saw) {
    auto& ledger = *this->ledger_;
    ledger_folder folder = this->must(ledger.begin_folder(this->mailbox_, "INBOX", "INBOX", 1, 2, 3));
    folder.source_uid_next = 4294967295;
    folder.source_messages = 11;
    folder.source_modseq = std::numeric_limits<std::uint64_t>::max() >> 1U;
    folder.target_mark = 13;
    folder.complete = folder.subscribed = true;
    folder.target_name = "not stored here";
    this->must(ledger.finish_folder(folder));
    const ledger_folder stored = this->stored(folder.id);
    EXPECT_EQ(stored.source_uid_next, 4294967295U);
    EXPECT_EQ(stored.source_messages, 11U);
    EXPECT_EQ(stored.source_modseq, std::numeric_limits<std::uint64_t>::max() >> 1U);
    EXPECT_EQ(stored.target_mark, 13U);
    EXPECT_TRUE(stored.complete && stored.subscribed);
    EXPECT_EQ(stored.target_name, "INBOX");

    const ledger_folder again = this->must(ledger.begin_folder(this->mailbox_, "INBOX", "INBOX", 1, 2, 14));
    EXPECT_EQ(again.id, folder.id);
    EXPECT_EQ(again.source_uid_next, 4294967295U) << "the same generation keeps what it knows";
    EXPECT_EQ(again.target_mark, 14U);
    EXPECT_FALSE(again.complete) << "open again";
    EXPECT_TRUE(again.subscribed);
    folder.id = 999;
    EXPECT_FALSE(run_to_end(ledger.finish_folder(folder)));
}

TYPED_TEST(ledger, rows_come_back_in_order_with_everything) {
    auto& ledger = *this->ledger_;
    const folder_id id = this->inbox();
    ledger_row full{.source_uid = 4294967295,
                    .target_uid = 4294967294,
                    .octets = 5'000'000'000,
                    .flags = 3,
                    .state = item_state::copied,
                    .digest = sha256::of("abc")};
    this->must(ledger.record(id, {full, copied(9, 10)}, {}));
    this->must(ledger.record(id, {row_of(2, item_state::present, 20)}, {}));
    EXPECT_EQ(this->rows(id), "2>0 p 0, 9>109 c 0, 4294967295>4294967294 c 3");
    EXPECT_EQ(this->totals(id), "2/5000000010 1/20 0/0");

    const auto upper = this->must(ledger.full_rows(id, 3, 4294967295));
    ASSERT_EQ(upper.size(), 2U);
    EXPECT_EQ(upper[0].source_uid, 9U);
    EXPECT_EQ(upper[1].octets, 5'000'000'000U);
    EXPECT_EQ(upper[1].flags, 3U);
    EXPECT_EQ(upper[1].digest, sha256::of("abc"));
    EXPECT_EQ(this->must(ledger.full_rows(id, 2, 2)).at(0).digest, std::nullopt);
    EXPECT_TRUE(this->must(ledger.full_rows(id, 3, 8)).empty());
}

TYPED_TEST(ledger, a_failed_row_that_is_copied_later_moves_the_totals) {
    auto& ledger = *this->ledger_;
    const folder_id id = this->inbox();
    this->must(ledger.record(id, {copied(1, 10), row_of(2, item_state::failed, 20), row_of(3, item_state::failed, 30)},
                             {reason_for(2, 20, "server said: no"), reason_for(3, 30, "too big")}));
    EXPECT_EQ(this->totals(id), "1/10 0/0 2/50");
    this->must(ledger.record(id, {row_of(3, item_state::failed, 31)}, {reason_for(3, 31, "still too big")}));
    this->must(ledger.record(id, {copied(2, 21)}, {}));
    EXPECT_EQ(this->totals(id), "2/31 0/0 1/31");
    const auto left = this->must(ledger.failures(id));
    ASSERT_EQ(left.size(), 1U);
    EXPECT_EQ(left[0].source_uid, 3U);
    EXPECT_EQ(left[0].octets, 31U);
    EXPECT_EQ(left[0].message_id, "<3@x>");
    EXPECT_EQ(left[0].cls, retry_class::throttled);
    EXPECT_EQ(left[0].reason, "still too big");
}

TYPED_TEST(ledger, recording_the_same_again_counts_it_once) {
    auto& ledger = *this->ledger_;
    const folder_id id = this->inbox();
    for (int i = 0; i < 3; ++i) this->must(ledger.record(id, {copied(1, 10), copied(1, 10), copied(2, 5)}, {}));
    EXPECT_EQ(this->totals(id), "2/15 0/0 0/0");
    this->must(ledger.record(id, {row_of(1, item_state::present, 12)}, {}));
    EXPECT_EQ(this->totals(id), "1/5 1/12 0/0");
    EXPECT_EQ(this->must(ledger.full_rows(id, 1, 1)).at(0).digest, std::nullopt) << "replaced as a whole";
}

TYPED_TEST(ledger, a_failure_makes_its_row_if_there_is_none) {
    auto& ledger = *this->ledger_;
    const folder_id id = this->inbox();
    this->must(ledger.record(id, {copied(5, 50)}, {reason_for(4, 40, "a"), reason_for(5, 55, "b")}));
    EXPECT_EQ(this->rows(id), "4>0 f 0, 5>0 f 0");
    EXPECT_EQ(this->totals(id), "0/0 0/0 2/95");
}

TYPED_TEST(ledger, flag_sets_are_numbered_per_folder) {
    auto& ledger = *this->ledger_;
    const folder_id id = this->inbox();
    const folder_id other = this->must(ledger.begin_folder(this->mailbox_, "Sent", "Sent", 1, 1, 1)).id;
    EXPECT_EQ(this->must(ledger.flag_set(id, "")), 0U);
    EXPECT_EQ(this->must(ledger.flag_set(id, "\\Seen")), 1U);
    EXPECT_EQ(this->must(ledger.flag_set(id, "\\seen")), 2U) << "canonical text, compared as it is";
    EXPECT_EQ(this->must(ledger.flag_set(id, "\\Seen")), 1U);
    EXPECT_EQ(this->must(ledger.flag_set(other, "\\Seen")), 0U);
    EXPECT_EQ(this->stored(id).flag_sets, (std::vector<std::string>{"", "\\Seen", "\\seen"}));
    EXPECT_EQ(this->stored(other).flag_sets, std::vector<std::string>{"\\Seen"});
    EXPECT_EQ(this->must(ledger.begin_folder(this->mailbox_, "Sent", "Sent", 1, 1, 1)).flag_sets,
              std::vector<std::string>{"\\Seen"});

    this->must(ledger.record(id, {copied(1, 1), copied(2, 1)}, {}));
    this->must(ledger.update_flags(id, {{2, 1}, {3, 1}, {1, 2}}));
    EXPECT_EQ(this->rows(id), "1>101 c 2, 2>102 c 1") << "rows that are not there stay so";
    EXPECT_EQ(this->totals(id), "2/2 0/0 0/0");
}

TYPED_TEST(ledger, forgotten_rows_leave_the_totals) {
    auto& ledger = *this->ledger_;
    const folder_id id = this->inbox();
    this->must(ledger.record(id, {copied(1, 10), copied(2, 20)}, {reason_for(3, 30, "no")}));
    this->must(ledger.forget(id, {2, 3, 4}));
    EXPECT_EQ(this->rows(id), "1>101 c 0");
    EXPECT_EQ(this->totals(id), "1/10 0/0 0/0");
    EXPECT_TRUE(this->must(ledger.failures(id)).empty());
}

TYPED_TEST(ledger, another_uid_validity_or_target_begins_a_new_generation) {
    auto& ledger = *this->ledger_;
    const folder_id sent = this->must(ledger.begin_folder(this->mailbox_, "Sent", "Sent", 1, 1, 1)).id;
    this->must(ledger.record(sent, {copied(1, 10)}, {}));
    struct identity {
        std::string target;
        std::uint32_t source_uid_validity, target_uid_validity;
    };
    const folder_id id = this->must(ledger.begin_folder(this->mailbox_, "INBOX", "INBOX", 1, 2, 3)).id;
    for (const identity& next : {identity{"INBOX", 9, 2}, identity{"INBOX", 9, 8}, identity{"Inbox copy", 9, 8}}) {
        this->must(ledger.flag_set(id, "\\Seen"));
        this->must(ledger.record(id, {copied(1, 10)}, {reason_for(2, 20, "no")}));
        ledger_folder seen;
        seen.id = id;
        seen.source_uid_next = seen.source_messages = 5;
        seen.source_modseq = 7;
        seen.complete = seen.subscribed = true;
        this->must(ledger.finish_folder(seen));
        const ledger_folder begun = this->must(ledger.begin_folder(
            this->mailbox_, "INBOX", next.target, next.source_uid_validity, next.target_uid_validity, 44));
        EXPECT_EQ(begun.id, id);
        EXPECT_EQ(begun.target_name, next.target);
        EXPECT_EQ(begun.source_uid_next + begun.source_messages + begun.source_modseq, 0U);
        EXPECT_EQ(begun.target_mark, 44U);
        EXPECT_FALSE(begun.complete || begun.subscribed);
        EXPECT_TRUE(begun.flag_sets.empty());
        EXPECT_EQ(this->totals(id), "0/0 0/0 0/0");
        EXPECT_EQ(this->rows(id), "");
        EXPECT_TRUE(this->must(ledger.failures(id)).empty());
    }
    EXPECT_EQ(this->rows(sent), "1>101 c 0") << "the neighbour is left alone";
}

TYPED_TEST(ledger, repairs_are_kept_with_their_rows) {
    using pairs = std::vector<std::pair<std::uint32_t, std::uint8_t>>;
    const folder_id id = this->inbox();
    (void)this->must(this->ledger_->flag_set(id, ""));
    const auto row = [](std::uint32_t uid, std::uint8_t repairs) {
        ledger_row r{.source_uid = uid, .target_uid = uid, .octets = 10, .flags = 0, .digest = {}, .repairs = repairs};
        return r;
    };
    this->must(this->ledger_->record(id, {row(1, 0), row(2, 3), row(3, 0x7f), row(4, 1)}, {}));
    EXPECT_EQ(this->must(this->ledger_->repaired(id)), (pairs{{2, 3}, {3, 0x7f}, {4, 1}}));
    this->must(this->ledger_->record(id, {row(2, 0), row(3, 5)}, {}));
    this->must(this->ledger_->set_state(id, {3}, item_state::gone));
    this->must(this->ledger_->forget(id, {4}));
    EXPECT_EQ(this->must(this->ledger_->repaired(id)), (pairs{{3, 5}}));
    const auto full = this->must(this->ledger_->full_rows(id, 1, 9));
    ASSERT_EQ(full.size(), 3U);
    EXPECT_EQ(full[1].repairs, 0);
    EXPECT_EQ(full[2].repairs, 5);
    EXPECT_EQ(this->must(this->ledger_->repaired(this->inbox(2))), pairs{});
}

TYPED_TEST(ledger, mailboxes_do_not_see_each_other) {
    auto& ledger = *this->ledger_;
    const mailbox_id bob = this->must(ledger.open_mailbox("imaps://bob@old", "imaps://bob@new"));
    const folder_id alices = this->inbox();
    const folder_id bobs = this->must(ledger.begin_folder(bob, "INBOX", "INBOX", 1, 2, 3)).id;
    EXPECT_NE(alices, bobs);
    this->must(ledger.record(bobs, {copied(1, 10)}, {}));
    EXPECT_EQ(this->rows(alices), "");
    EXPECT_EQ(this->must(ledger.folders(bob)).size(), 1U);
}

TYPED_TEST(ledger, a_folder_that_is_not_there_is_an_error_for_writers) {
    auto& ledger = *this->ledger_;
    for (auto outcome : {run_to_end(ledger.record(17, {copied(1, 1)}, {})), run_to_end(ledger.forget(17, {1}))}) {
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error().what, TypeParam::no_folder);
    }
    EXPECT_FALSE(run_to_end(ledger.flag_set(17, "x")));
    EXPECT_EQ(this->rows(17), "") << "and nothing was kept";
}

} // namespace
} // namespace postferry::store

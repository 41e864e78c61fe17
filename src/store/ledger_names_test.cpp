// The name book: one suite over the ledger in both databases and over the memory that other tests use, and what the
// databases add.
#include "sql/schema.hpp"
#include "store/ledger_books.hpp"
#include "store/ledger_schema.hpp"
#include "support/memory_names.hpp"
#include "support/postgres_server.hpp"
#include "support/run_to_end.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <unistd.h>

namespace postferry::store {
namespace {

using support::run_to_end;

constexpr const char* alice = "pop3s://alice@old";
constexpr const char* new_alice = "imaps://alice@new";

/// "uid_next: uid=name ..."
std::string text_of(const name_book::page& page) {
    std::string text = fmt::format("{}:", page.uid_next);
    for (const auto& e : page.entries) text += fmt::format(" {}={}", e.uid, e.name);
    return text;
}

std::string text_of(const std::vector<name_book::entry>& entries) {
    std::string text;
    for (const auto& e : entries) text += fmt::format("{}{}={}", text.empty() ? "" : " ", e.uid, e.name);
    return text;
}

class ledger_place : public testing::Test {
  protected:
    explicit ledger_place(sql::dialect kind) : place_(kind) {}

    [[nodiscard]] std::unique_ptr<ledger_books> open(bool read_only = false) const {
        auto opened = ledger_books::open(place_.url(), {.read_only = read_only, .holder_description = "test"});
        EXPECT_TRUE(opened) << opened.error().message();
        return opened ? std::move(*opened) : nullptr;
    }
    static std::string page_of(name_book& book, std::string folder = "INBOX") {
        auto page = run_to_end(book.open(alice, std::move(folder)));
        return page ? text_of(*page) : page.error().message();
    }
    static std::string add(name_book& book, std::vector<std::string> names, std::string folder = "INBOX") {
        auto given = run_to_end(book.add(alice, std::move(folder), std::move(names)));
        return given ? text_of(*given) : given.error().message();
    }

    support::test_database place_;
};

struct in_memory {
    static constexpr sql::dialect kept_in = sql::dialect::sqlite;
    static std::unique_ptr<name_book> make(ledger_books&) { return std::make_unique<support::memory_names>(); }
};
template <sql::dialect Kind> struct in_ledger {
    static constexpr sql::dialect kept_in = Kind;
    static std::unique_ptr<name_book> make(ledger_books& ledger) { return ledger.names(alice, new_alice); }
};

template <class Kind> class names : public ledger_place {
  protected:
    names() : ledger_place(Kind::kept_in) {}

    std::unique_ptr<ledger_books> ledger_ = open();
    std::unique_ptr<name_book> book_ = Kind::make(*ledger_);
};
using kinds = testing::Types<in_memory, in_ledger<sql::dialect::sqlite>, in_ledger<sql::dialect::postgresql>>;
TYPED_TEST_SUITE(names, kinds);

TYPED_TEST(names, an_unknown_folder_is_empty_and_gets_a_uid_validity_for_good) {
    const auto first = run_to_end(this->book_->open(alice, "INBOX"));
    ASSERT_TRUE(first);
    EXPECT_NE(first->uid_validity, 0U);
    EXPECT_EQ(text_of(*first), "1:");
    EXPECT_EQ(run_to_end(this->book_->open(alice, "INBOX"))->uid_validity, first->uid_validity);
}

TYPED_TEST(names, numbers_follow_the_names_and_equal_names_are_different_messages) {
    this->page_of(*this->book_);
    EXPECT_EQ(this->add(*this->book_, {"b", "a", "a"}), "1=b 2=a 3=a");
    EXPECT_EQ(this->add(*this->book_, {}), "");
    EXPECT_EQ(this->add(*this->book_, {"\x01 \xff/,S"}), "4=\x01 \xff/,S");
    EXPECT_EQ(this->page_of(*this->book_), "5: 1=b 2=a 3=a 4=\x01 \xff/,S");
}

TYPED_TEST(names, a_number_is_never_given_again) {
    this->page_of(*this->book_);
    this->add(*this->book_, {"a", "b"});
    ASSERT_TRUE(run_to_end(this->book_->remove(alice, "INBOX", {2, 1, 77})));
    EXPECT_EQ(this->page_of(*this->book_), "3:");
    EXPECT_EQ(this->add(*this->book_, {"b"}), "3=b");
}

TYPED_TEST(names, folders_and_places_count_by_themselves) {
    this->page_of(*this->book_, "INBOX");
    this->page_of(*this->book_, "Sent");
    EXPECT_EQ(this->add(*this->book_, {"a"}, "INBOX"), "1=a");
    EXPECT_EQ(this->add(*this->book_, {"x", "y"}, "Sent"), "1=x 2=y");
    EXPECT_EQ(text_of(*run_to_end(this->book_->open("maildir:/other", "INBOX"))), "1:");
    EXPECT_EQ(this->page_of(*this->book_), "2: 1=a");
}

TYPED_TEST(names, a_name_that_is_too_long_is_refused_with_all_that_came_with_it) {
    this->page_of(*this->book_);
    EXPECT_FALSE(run_to_end(this->book_->add(alice, "INBOX", {"a", std::string(256, 'x')})));
    EXPECT_EQ(this->page_of(*this->book_), "1:");
    EXPECT_EQ(this->add(*this->book_, {std::string(255, 'x')}), "1=" + std::string(255, 'x'));
}

class names_in_ledger : public ledger_place, public testing::WithParamInterface<sql::dialect> {
  protected:
    names_in_ledger() : ledger_place(GetParam()) {}
};
INSTANTIATE_TEST_SUITE_P(on, names_in_ledger, support::both_databases(), support::name_of);

class names_in_file : public ledger_place {
  protected:
    names_in_file() : ledger_place(sql::dialect::sqlite) {}
};

TEST_P(names_in_ledger, they_are_there_in_the_next_run) {
    std::uint32_t uid_validity = 0;
    {
        const auto ledger = open();
        const auto book = ledger->names(alice, new_alice);
        uid_validity = run_to_end(book->open(alice, "INBOX"))->uid_validity;
        add(*book, {"a", "b"});
        ASSERT_TRUE(run_to_end(book->remove(alice, "INBOX", {1})));
    }
    const auto ledger = open();
    const auto book = ledger->names(alice, new_alice);
    EXPECT_EQ(run_to_end(book->open(alice, "INBOX"))->uid_validity, uid_validity);
    EXPECT_EQ(page_of(*book), "3: 2=b");
}

TEST_P(names_in_ledger, two_mailboxes_that_read_one_place_count_by_themselves) {
    const auto ledger = open();
    const auto one = ledger->names(alice, new_alice);
    const auto other = ledger->names(alice, "maildir:/backup/alice");
    EXPECT_EQ(page_of(*one), "1:");
    EXPECT_EQ(page_of(*other), "1:");
    add(*one, {"a"});
    EXPECT_EQ(add(*other, {"a", "b"}), "1=a 2=b");
    EXPECT_EQ(page_of(*one), "2: 1=a");
}

TEST_P(names_in_ledger, a_folder_that_was_never_opened_gets_no_numbers) {
    const auto ledger = open();
    EXPECT_EQ(add(*ledger->names(alice, new_alice), {"a"}), "the ledger has no numbers for INBOX in pop3s://alice@old");
}

TEST_P(names_in_ledger, a_run_that_reads_only_gives_numbers_and_forgets_them) {
    {
        const auto ledger = open();
        const auto book = ledger->names(alice, new_alice);
        page_of(*book);
        add(*book, {"a"});
    }
    {
        const auto ledger = open(true);
        const auto book = ledger->names(alice, new_alice);
        EXPECT_EQ(page_of(*book), "2: 1=a");
        EXPECT_EQ(add(*book, {"b", "c"}), "2=b 3=c");
        ASSERT_TRUE(run_to_end(book->remove(alice, "INBOX", {1})));
        EXPECT_EQ(page_of(*book), "4: 2=b 3=c") << "within the run they count";
        EXPECT_NE(run_to_end(book->open(alice, "Sent"))->uid_validity, 0U);
        EXPECT_EQ(add(*book, {"x"}, "Sent"), "1=x");
    }
    const auto ledger = open();
    EXPECT_EQ(page_of(*ledger->names(alice, new_alice)), "2: 1=a");
}

TEST_F(names_in_file, without_a_ledger_a_run_that_reads_only_makes_none) {
    const auto ledger = open(true);
    const auto book = ledger->names(alice, new_alice);
    EXPECT_EQ(page_of(*book), "1:");
    EXPECT_EQ(add(*book, {"a"}), "1=a");
    EXPECT_FALSE(std::filesystem::exists(place_.url()));
}

TEST_P(names_in_ledger, the_last_number_is_not_overrun) {
    const auto ledger = open();
    const auto book = ledger->names(alice, new_alice);
    page_of(*book);
    ASSERT_TRUE(place_.open()->script("UPDATE named_folder SET uid_next = 4294967294"));
    EXPECT_EQ(add(*book, {"a"}), "4294967294=a");
    EXPECT_NE(add(*book, {"b"}).find("no numbers left"), std::string::npos);
}

TEST_P(names_in_ledger, a_ledger_of_version_1_keeps_its_rows_and_learns_to_number) {
    {
        const auto db = place_.open();
        const sql::schema old{.application = ledger_schema().application, .steps = ledger_schema().steps.first(1)};
        ASSERT_TRUE(sql::migrate(*db, old));
        ASSERT_TRUE(db->script("INSERT INTO mailbox VALUES (1, 'pop3s://alice@old', 'imaps://alice@new');"
                               "INSERT INTO folder (id, mailbox, source_name, target_name, source_uid_validity, "
                               "target_uid_validity, copied) VALUES (1, 1, 'INBOX', 'INBOX', 7, 8, 1);"
                               "INSERT INTO message VALUES (1, 5, 6, 100, 0, 1, NULL)"));
    }
    auto refused = ledger_books::open(place_.url(), {.read_only = true, .holder_description = "test"});
    ASSERT_FALSE(refused) << "a run that reads only changes nothing, not even the schema";
    EXPECT_EQ(refused.error().cls, retry_class::config);

    const auto ledger = open();
    ASSERT_TRUE(ledger);
    const auto rows = run_to_end(ledger->rows(1));
    ASSERT_TRUE(rows);
    ASSERT_EQ(rows->size(), 1U);
    EXPECT_EQ(rows->front().source_uid, 5U);
    const auto book = ledger->names(alice, new_alice);
    EXPECT_EQ(page_of(*book), "1:");
    EXPECT_EQ(add(*book, {"a"}), "1=a");
}

} // namespace
} // namespace postferry::store

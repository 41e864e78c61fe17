#include "message/mbox_for_test.hpp"
#include "support/mbox_place.hpp"

#include <csignal>
#include <sys/resource.h>
#include <unistd.h>

namespace postferry::mailbox {
namespace {

using support::list_feed;
using support::test_message;
using test::foreign;
using test::mailed;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using enum mbox_mailbox::role;

class mbox_target_test : public test::mbox_case {
  protected:
    /// Prepares the folders that the messages go to and brings them.
    result<void> bring(const std::vector<test_message>& messages, mbox_options how,
                       std::optional<std::size_t> breaks_off_in = {}) {
        log_.clear();
        return with<result<void>>(std::move(how), target, [&](mbox_mailbox& box) -> task<result<void>> {
            std::vector<folder_wish> wishes;
            for (const test_message& m : messages)
                if (std::ranges::find(wishes, m.handle, &folder_wish::handle) == wishes.end())
                    wishes.push_back({.handle = m.handle, .create = true});
            auto prepared = co_await box.prepare(wishes);
            if (!prepared) co_return std::unexpected(prepared.error());
            for (const prepared_folder& p : *prepared)
                if (p.failure) co_return std::unexpected(*p.failure);
            list_feed feed(messages, log_, 1000);
            feed.breaks_off_in = breaks_off_in;
            auto ok = co_await box.append(feed);
            remarks_ = box.take_remarks();
            co_return ok;
        });
    }
    result<void> bring(const std::vector<test_message>& messages) { return bring(messages, options()); }

    std::vector<std::string> log_, remarks_;
};

constexpr message_date date{.unix_seconds = 978'343'200, .zone_minutes = 60};

TEST_F(mbox_target_test, what_is_brought_is_read_again) {
    const std::vector<test_message> messages{
        {.flags = "\\Flagged \\Seen $Label1", .body = mailed("1"), .date = date, .handle = "INBOX"},
        {.flags = "", .body = "From x\r\n\r\nFrom y", .date = date, .handle = "INBOX"},
        {.flags = "", .body = "bare\nlf\r\n", .folder = 1, .date = date, .handle = "Work/Été"}};
    ASSERT_TRUE(bring(messages));
    const std::uint32_t v = names_.pages[{"mbox:/test", "INBOX"}].uid_validity;
    EXPECT_THAT(log_, ElementsAre(fmt::format("stored 1,2 as v{} 1,2", v), HasSubstr("stored 3")));
    EXPECT_THAT(files(), ElementsAre("Work/&AMk-t&AOk-", "inbox"));
    std::string text = read("inbox");
    const std::size_t base = text.find("X-IMAPbase: ");
    EXPECT_THAT(text.substr(base, text.find('\n', base) - base),
                testing::ContainsRegex("^X-IMAPbase: [0-9]+ 0000000000 .Label1 +$"));
    text.erase(base, text.find('\n', base) + 1 - base);
    EXPECT_EQ(text, "From postferry Mon Jan  1 11:00:00 2001 +0100\nStatus: RO\nX-Status: F\nX-Keywords: $Label1\n"
                    "Subject: 1\n\ntext\n\n"
                    "From postferry Mon Jan  1 11:00:00 2001 +0100 no-eol\nStatus: O\n>From x\n\n>From y\n\n");
    auto all = everything();
    EXPECT_THAT(all["INBOX"].contents(), ElementsAre(messages[0].body, messages[1].body));
    EXPECT_THAT(all["INBOX"].uids(), ElementsAre(1, 2));
    EXPECT_EQ(all["INBOX"].messages[0].flags, "\\Seen \\Flagged $Label1");
    EXPECT_EQ(all["INBOX"].messages[0].date, date);
    EXPECT_THAT(all["Work/Été"].contents(), ElementsAre(messages[2].body));
}

TEST_F(mbox_target_test, appends_to_what_others_have_written) {
    for (const std::string& before :
         {foreign("old"), test::from_line + "Subject: old\n\ntext\n", test::from_line + "Subject: old\n\ntext"}) {
        write("inbox", before);
        ASSERT_TRUE(bring({{.flags = "", .body = mailed("new"), .handle = "INBOX"}}));
        EXPECT_TRUE(read("inbox").starts_with(before));
        EXPECT_THAT(everything()["INBOX"].contents(),
                    testing::UnorderedElementsAre(testing::StartsWith("Subject: old"), mailed("new")));
    }
}

TEST_F(mbox_target_test, keywords_are_named_as_they_come_and_those_without_room_are_told) {
    ASSERT_TRUE(bring({{.flags = "", .body = mailed("1"), .handle = "m"}}));
    ASSERT_TRUE(bring({{.flags = "Work $Label1", .body = mailed("2"), .handle = "m"}}));
    ASSERT_TRUE(bring({{.flags = "$Label1 Play", .body = mailed("3"), .handle = "m"}}));
    EXPECT_THAT(read("m"), HasSubstr(" 0000000000 Work $Label1 Play   "));
    EXPECT_THAT(remarks_, IsEmpty());
    ASSERT_TRUE(
        bring({{.flags = std::string(250, 'x') + " " + std::string(250, 'y'), .body = mailed("4"), .handle = "m"}}));
    EXPECT_THAT(remarks_, ElementsAre(HasSubstr("yyy")));
    EXPECT_THAT(everything()["m"].contents(), ElementsAre(mailed("1"), mailed("2"), mailed("3"), mailed("4")));
    write("theirs", foreign("1"));
    ASSERT_TRUE(bring({{.flags = "Work", .body = mailed("2"), .handle = "theirs"}}));
    EXPECT_THAT(remarks_, ElementsAre(HasSubstr("does not name, so Dovecot and UW-IMAP will not show them: Work")));
    EXPECT_EQ(everything()["theirs"].messages[1].flags, "Work");
}

TEST_F(mbox_target_test, equal_messages_are_as_many) {
    ASSERT_TRUE(
        bring({{.flags = "", .body = mailed("x"), .handle = "m"}, {.flags = "", .body = mailed("x"), .handle = "m"}}));
    ASSERT_TRUE(bring({{.flags = "", .body = mailed("x"), .handle = "m"}}));
    EXPECT_THAT(log_, ElementsAre(testing::EndsWith(" 3")));
    EXPECT_THAT(everything()["m"].uids(), ElementsAre(1, 2, 3));
}

TEST_F(mbox_target_test, a_large_message_goes_by_way_of_a_spool) {
    mbox_options how = options();
    how.gather_octets = 10'000;
    std::string large = "Subject: large\r\n\r\n";
    for (int i = 0; i < 40'000; ++i) large += fmt::format("From line {}\r\n", i);
    ASSERT_TRUE(bring({{.flags = "", .body = mailed("1"), .handle = "m"},
                       {.flags = "", .body = large + "no end", .handle = "m"},
                       {.flags = "", .body = mailed("2"), .handle = "m"}},
                      how));
    EXPECT_EQ(log_.size(), 3U);
    EXPECT_THAT(everything()["m"].contents(), ElementsAre(mailed("1"), large + "no end", mailed("2")));
    EXPECT_THAT(everything()["m"].uids(), ElementsAre(1, 2, 3));
    EXPECT_THAT(remarks_, IsEmpty());
    EXPECT_THAT(files(), ElementsAre("m"));
}

TEST_F(mbox_target_test, what_cannot_be_kept_is_named) {
    mbox_options how = options();
    how.gather_octets = 10;
    ASSERT_TRUE(
        bring({{.flags = "", .body = "Subject: x\r\n\r\n" + std::string(2000, 'x') + "\nbare", .handle = "m"}}, how));
    EXPECT_THAT(remarks_, ElementsAre(HasSubstr("bare LF far from its beginning")));
    EXPECT_THAT(everything()["m"].contents(), ElementsAre("Subject: x\r\n\r\n" + std::string(2000, 'x') + "\r\nbare"));
    EXPECT_THAT(everything()["m"].uids(), ElementsAre(1));
}

TEST_F(mbox_target_test, a_source_that_breaks_off_leaves_nothing_of_its_message) {
    for (const std::size_t gather : {std::size_t{1} << 20U, std::size_t{1500}}) {
        std::filesystem::remove(root_ / "m");
        mbox_options how = options();
        how.gather_octets = gather;
        const auto ok = bring({{.flags = "", .body = mailed("1"), .handle = "m"},
                               {.flags = "", .body = std::string(5000, 'x'), .handle = "m"}},
                              how, 1);
        EXPECT_FALSE(ok);
        EXPECT_THAT(log_, ElementsAre(HasSubstr("stored 1"), HasSubstr("abandoned: the source broke off")));
        EXPECT_THAT(everything()["m"].contents(), ElementsAre(mailed("1")));
    }
}

TEST_F(mbox_target_test, waits_for_the_locks_of_others_but_not_for_ever) {
    write("m", foreign("1"));
    write("m.lock", fmt::format("{}:{}", ::getpid(), host_name()));
    const auto ok = bring({{.flags = "", .body = mailed("2"), .handle = "m"}});
    ASSERT_FALSE(ok);
    EXPECT_THAT(ok.error().message(), HasSubstr("m is locked by another program"));
    EXPECT_EQ(read("m"), foreign("1"));
    write("m.lock", fmt::format("{}:{}", 99'999'999, host_name())); // its owner is dead
    EXPECT_TRUE(bring({{.flags = "", .body = mailed("2"), .handle = "m"}}));
    EXPECT_THAT(files(), ElementsAre("m"));
}

TEST_F(mbox_target_test, an_mbox_that_was_removed_begins_anew) {
    ASSERT_TRUE(bring({{.flags = "", .body = mailed("1"), .handle = "m"}}));
    const auto before = everything()["m"].state;
    std::filesystem::remove(root_ / "m");
    ASSERT_TRUE(bring({{.flags = "", .body = mailed("1"), .handle = "m"}}));
    const auto after = everything()["m"].state;
    EXPECT_NE(after.uid_validity, before.uid_validity);
    EXPECT_EQ(after.messages, 1U);
    EXPECT_EQ(everything()["m"].state.uid_validity, after.uid_validity);
}

TEST_F(mbox_target_test, one_file_holds_the_inbox_only) {
    ASSERT_TRUE(bring({{.flags = "", .body = mailed("1"), .handle = "INBOX"}}, options("one.mbox")));
    EXPECT_THAT(files(), ElementsAre("one.mbox"));
    const auto other = bring({{.flags = "", .body = mailed("1"), .handle = "Sent"}}, options("one.mbox"));
    ASSERT_FALSE(other);
    EXPECT_THAT(other.error().message(), HasSubstr("room for the INBOX only"));
}

TEST_F(mbox_target_test, a_name_that_is_a_file_and_a_folder) {
    ASSERT_TRUE(bring({{.flags = "", .body = mailed("2"), .handle = "Work/2020"},
                       {.flags = "", .body = mailed("1"), .folder = 1, .handle = "Work"}}));
    EXPECT_THAT(files(), ElementsAre("Work", "Work.sbd/2020"));
    ASSERT_TRUE(bring({{.flags = "", .body = mailed("3"), .handle = "Play/Chess"}}));
    ASSERT_TRUE(bring({{.flags = "", .body = mailed("4"), .handle = "Play"}}));
    auto all = everything();
    EXPECT_THAT(all["Work/2020"].contents(), ElementsAre(mailed("2")));
    EXPECT_THAT(all["Play"].contents(), ElementsAre(mailed("4")));
    EXPECT_THAT(all["Play/Chess"].contents(), ElementsAre(mailed("3")));
}

TEST_F(mbox_target_test, a_full_disk_takes_the_batch_back) {
    ASSERT_TRUE(bring({{.flags = "", .body = mailed("1"), .handle = "m"}}));
    const std::string before = read("m");
    // The limit of a process's files is a disk that is full for it alone.
    rlimit old{}, small{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 5000;
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto ok = bring({{.flags = "", .body = mailed("2"), .handle = "m"},
                           {.flags = "", .body = std::string(9000, 'x'), .handle = "m"}});
    ::setrlimit(RLIMIT_FSIZE, &old);
    std::signal(SIGXFSZ, handler);
    EXPECT_FALSE(ok);
    EXPECT_EQ(read("m"), before);
    EXPECT_THAT(files(), ElementsAre("m"));
}

TEST_F(mbox_target_test, flags_are_those_it_was_brought_with) {
    write("m", foreign("1"));
    const auto ok = with<result<void>>(options(), target, [](mbox_mailbox& box) { return box.change_flags("m", {}); });
    ASSERT_FALSE(ok);
    EXPECT_EQ(ok.error().cls, retry_class::permanent);
}

} // namespace
} // namespace postferry::mailbox

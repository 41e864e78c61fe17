#include "support/maildir_bench.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

namespace postferry::mailbox {
namespace {

using support::run;
using support::told;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

class maildir_source : public support::maildir_bench {
  protected:
    static constexpr const char* mail = "Subject: x\n\ntext\n";
    static constexpr const char* mail_as_given = "Subject: x\r\n\r\ntext\r\n";
};

TEST_F(maildir_source, gives_what_dovecot_keeps_and_changes_nothing) {
    folder("");
    write(root / "cur/1.a.host,S=17,W=20:2,FSa", mail, 1'234'567'890);
    write(root / "new/2.b.host", mail);
    write(root / "dovecot-uidlist", "3 V77 N10 Gabc\n5 PU5 :1.a.host,S=17,W=20\n7 :2.b.host\n8 :gone\n");
    write(root / "dovecot-keywords", "0 $Label1\n");
    const auto before = photograph();
    const auto b = open(box::role::source);
    const told seen = scan(*b, "INBOX");
    ASSERT_EQ(seen.states.size(), 1U);
    EXPECT_EQ(seen.states[0].uid_validity, 77U);
    EXPECT_EQ(seen.states[0].uid_next, 10U);
    EXPECT_EQ(seen.states[0].messages, 2U);
    EXPECT_EQ(seen.present[0].to_string(), "5,7");
    EXPECT_THAT(seen.flags_of.at(5), ElementsAre("\\Flagged", "\\Seen", "$Label1"));
    told out;
    fetch(*b, "INBOX", 77, uid_set::of(1, 100), out);
    ASSERT_EQ(out.messages.size(), 2U);
    EXPECT_EQ(out.messages[0].head.uid, 5U);
    EXPECT_EQ(out.messages[0].head.uidl, "U5");
    EXPECT_EQ(out.messages[0].head.date->unix_seconds, 1'234'567'890);
    EXPECT_EQ(out.messages[0].head.octets, 20U);
    EXPECT_EQ(out.messages[0].text, mail_as_given);
    EXPECT_EQ(out.messages[1].head.uidl, "");
    EXPECT_EQ(photograph(), before);
}

TEST_F(maildir_source, reads_couriers_numbers) {
    folder("");
    write(root / "cur/1.a:2,", mail);
    write(root / "courierimapuiddb", "1 88 20\n12 1.a\n");
    const auto b = open(box::role::source);
    const told seen = scan(*b, "INBOX");
    EXPECT_EQ(seen.states[0].uid_validity, 88U);
    EXPECT_EQ(seen.present[0].to_string(), "12");
    write(root / "courierpop3dsizelist", "/3 20 77\n1.a:2, 18 12:77:0\n");
    told out;
    fetch(*b, "INBOX", 88, uid_set::of(12, 12), out);
    EXPECT_EQ(out.messages.at(0).head.uidl, "UID12-77");
}

TEST_F(maildir_source, numbers_by_the_book_what_no_list_names_and_keeps_to_it) {
    folder("");
    write(root / "cur/1.a:2,S", mail);
    write(root / "new/2.b", mail);
    auto b = open(box::role::source);
    told seen = scan(*b, "INBOX");
    const std::uint32_t validity = seen.states[0].uid_validity;
    EXPECT_EQ(seen.present[0].to_string(), "1:2");
    EXPECT_THAT(seen.flags_of.at(1), ElementsAre("\\Seen"));
    told out;
    fetch(*b, "INBOX", validity, uid_set::of(1, 1), out);
    EXPECT_EQ(out.messages.at(0).head.uidl, "1.a"); // as qmail-pop3d tells it
    // Another run: one message was read and moved, one is gone, one has come.
    fs::rename(root / "new/2.b", root / "cur/2.b:2,S");
    fs::remove(root / "cur/1.a:2,S");
    write(root / "new/0.c", mail);
    b = open(box::role::source);
    seen = scan(*b, "INBOX");
    EXPECT_EQ(seen.states[0].uid_validity, validity);
    EXPECT_EQ(seen.present[0].to_string(), "2:3");
    EXPECT_EQ(seen.states[0].uid_next, 4U);
}

TEST_F(maildir_source, a_folder_that_was_away_comes_back_with_the_same_numbers) {
    folder("");
    write(root / "cur/1.a:2,S", mail);
    write(root / "cur/2.b:2,S", mail);
    auto b = open(box::role::source);
    const told seen = scan(*b, "INBOX");
    fs::rename(root / "cur", root / "away");
    fs::create_directory(root / "cur");
    EXPECT_EQ(scan(*open(box::role::source), "INBOX").states[0].messages, 0U);
    fs::remove(root / "cur");
    fs::rename(root / "away", root / "cur");
    b = open(box::role::source);
    EXPECT_EQ(scan(*b, "INBOX").present, seen.present);
}

TEST_F(maildir_source, new_mail_beside_a_list_gets_numbers_that_the_server_will_not_give) {
    folder("");
    write(root / "cur/1.a:2,S", mail);
    write(root / "new/2.b", mail);
    write(root / "dovecot-uidlist", "3 V77 N6\n5 :1.a\n");
    auto b = open(box::role::source);
    EXPECT_EQ(scan(*b, "INBOX").present[0].to_string(), "5,2147483649");
    // The server has numbered it since: for us it stays the same message.
    write(root / "dovecot-uidlist", "3 V77 N7\n5 :1.a\n6 :2.b\n");
    b = open(box::role::source);
    const told seen = scan(*b, "INBOX");
    EXPECT_EQ(seen.present[0].to_string(), "5,2147483649");
    EXPECT_EQ(seen.states[0].uid_next, 7U);
}

TEST_F(maildir_source, lists_folders_with_their_names_subscriptions_and_oddities) {
    folder("");
    folder(".&AMk-t&AOk-.&AOA- la plage");
    folder(".Work");
    fs::create_directories(root / "cur/sub");
    fs::create_directory(root / ".spamassassin");
    fs::create_symlink(root / "cur", root / "cur/link:2,");
    write(root / "tmp/half", "Subj");
    fs::create_directory_symlink("/tmp", root / ".Link");
    write(root / "subscriptions", "V\t2\n\n&AMk-t&AOk-\t&AOA- la plage\n");
    write(root / "courierimapsubscribed", "INBOX.Work\n");
    const auto b = open(box::role::source);
    const auto l = run(b->list(true));
    ASSERT_TRUE(l);
    ASSERT_EQ(l->folders.size(), 3U);
    EXPECT_EQ(l->folders[0].name, "INBOX");
    EXPECT_FALSE(l->folders[0].subscribed);
    EXPECT_EQ(l->folders[1].name, "Work");
    EXPECT_TRUE(l->folders[1].subscribed);
    EXPECT_EQ(l->folders[2].name, "Été/à la plage");
    EXPECT_EQ(l->folders[2].handle, ".&AMk-t&AOk-.&AOA- la plage");
    EXPECT_TRUE(l->folders[2].subscribed);
    EXPECT_EQ(l->delimiter, '.');
    EXPECT_THAT(l->notes, Contains(HasSubstr("1 directories")));
    EXPECT_THAT(l->notes, Contains(HasSubstr("1 symbolic links")));
    EXPECT_THAT(l->notes, Contains(HasSubstr("1 files in tmp/")));
    EXPECT_THAT(l->notes, Contains(HasSubstr(".Link is a symbolic link")));
}

TEST_F(maildir_source, a_prefix_is_taken_off) {
    folder("");
    folder(".Old.Work");
    folder(".Other");
    const auto b = open(box::role::source, "Old");
    const auto l = run(b->list(false));
    ASSERT_EQ(l->folders.size(), 2U);
    EXPECT_EQ(l->folders[1].name, "Work");
    EXPECT_EQ(b->handle_of("Work"), ".Old.Work");
}

TEST_F(maildir_source, finds_messages_again_that_were_renamed_and_says_which_are_gone) {
    folder("");
    std::string list = "3 V77 N100\n";
    for (int i = 1; i <= 60; ++i) {
        write(root / fmt::format("{}/{}.m", i % 2 ? "new" : "cur", i), fmt::format("Subject: {}\n\n", i));
        list += fmt::format("{} :{}.m\n", i, i);
    }
    write(root / "dovecot-uidlist", list);
    const auto b = open(box::role::source);
    told out;
    bool done = false;
    out.on_begin = [&] {
        if (std::exchange(done, true)) return;
        // A server opens the folder: new/ moves to cur/, one becomes seen, one goes. Those ahead are read already.
        for (int i = 1; i <= 60; i += 2)
            fs::rename(root / fmt::format("new/{}.m", i), root / fmt::format("cur/{}.m:2,{}", i, i == 59 ? "RS" : ""));
        fs::rename(root / "cur/58.m", root / "cur/58.m:2,S");
        fs::remove(root / "cur/60.m");
    };
    fetch(*b, "INBOX", 77, uid_set::of(1, 60), out);
    EXPECT_EQ(out.messages.size() + out.missing_uids.size(), 60U);
    EXPECT_THAT(out.missing_uids, ElementsAre(60));
    EXPECT_EQ(out.messages[58].text, "Subject: 59\r\n\r\n");
}

TEST_F(maildir_source, an_empty_file_and_one_that_may_not_be_read_are_named_and_the_others_go_on) {
    folder("");
    write(root / "cur/1.a:2,", "");
    write(root / "cur/2.b:2,", mail);
    write(root / "cur/3.c:2,", mail);
    fs::permissions(root / "cur/2.b:2,", fs::perms::none);
    const auto b = open(box::role::source);
    const std::uint32_t validity = scan(*b, "INBOX").states[0].uid_validity;
    told out;
    fetch(*b, "INBOX", validity, uid_set::of(1, 3), out);
    const bool root_reads_all = ::geteuid() == 0;
    EXPECT_EQ(out.messages.size(), root_reads_all ? 2U : 1U);
    EXPECT_THAT(out.refused_uids, Contains(1U));
    EXPECT_THAT(out.reasons, Contains(HasSubstr("is empty")));
    if (!root_reads_all) EXPECT_THAT(out.refused_uids, Contains(2U));
}

TEST_F(maildir_source, every_kind_of_line_end_is_given_out_as_dovecot_does) {
    folder("");
    write(root / "cur/1.a:2,", "a\r\nb\nc\r\r\nd\n\n");
    std::string large = "Subject: large\n\n";
    while (large.size() < 700'000) large += "a line of text\nand one\r\n\n";
    write(root / "cur/2.b:2,", large);
    const auto b = open(box::role::source);
    const std::uint32_t validity = scan(*b, "INBOX").states[0].uid_validity;
    told out;
    fetch(*b, "INBOX", validity, uid_set::of(1, 2), out);
    EXPECT_EQ(out.messages.at(0).text, "a\r\nb\r\nc\r\r\nd\r\n\r\n");
    std::string expected;
    for (std::size_t i = 0; i < large.size(); ++i) {
        if (large[i] == '\n' && large[i - 1] != '\r') expected += '\r';
        expected += large[i];
    }
    EXPECT_EQ(out.messages.at(1).text, expected);
    EXPECT_EQ(out.messages.at(1).head.octets, expected.size());
    told heads;
    fetch(*b, "INBOX", validity, uid_set::of(1, 2), heads, fetch_part::fingerprint);
    EXPECT_EQ(heads.messages.at(1).head.octets, expected.size());
    EXPECT_EQ(heads.messages.at(1).text, "Subject: large\r\n");
}

TEST_F(maildir_source, another_uidvalidity_than_planned_is_told) {
    folder("");
    write(root / "cur/1.a:2,", mail);
    write(root / "dovecot-uidlist", "3 V77 N6\n5 :1.a\n");
    const auto b = open(box::role::source);
    told out;
    fetch(*b, "INBOX", 76, uid_set::of(1, 9), out);
    EXPECT_EQ(out.unavailable_because.size(), 1U);
    EXPECT_THAT(out.messages, IsEmpty());
}

TEST_F(maildir_source, two_files_of_one_name_are_one_message_only_if_they_are_one_file) {
    folder("");
    write(root / "cur/1.a:2,", mail);
    fs::create_hard_link(root / "cur/1.a:2,", root / "cur/1.a:2,S");
    write(root / "cur/2.b:2,", mail);
    write(root / "cur/2.b:2,S", "Subject: other\n\n");
    const auto b = open(box::role::source);
    EXPECT_EQ(scan(*b, "INBOX").states[0].messages, 3U);
}

TEST_F(maildir_source, a_message_that_is_renamed_in_the_middle_of_the_listing_counts_once) {
    folder("");
    write(root / "new/1.a", mail);
    write(root / "cur/1.a:2,S", mail); // as both looks of one reading may see it
    const auto b = open(box::role::source);
    const told seen = scan(*b, "INBOX");
    EXPECT_EQ(seen.states[0].messages, 1U);
    EXPECT_THAT(seen.flags_of.at(1), ElementsAre("\\Seen"));
}

TEST_F(maildir_source, its_modseq_is_the_same_while_nothing_changes_and_differs_after) {
    folder("");
    write(root / "cur/1.a:2,", mail);
    const auto age = [this] {
        for (const char* part : {"cur", "new"})
            fs::last_write_time(root / part, fs::last_write_time(root / part) - std::chrono::hours(1));
    };
    age();
    const auto b = open(box::role::source);
    const auto first = scan(*b, "INBOX").states[0];
    EXPECT_NE(first.modseq, 0U);
    EXPECT_EQ(scan(*b, "INBOX").states[0], first);
    EXPECT_EQ(run(b->list(false))->folders[0].state, first);
    fs::rename(root / "cur/1.a:2,", root / "cur/1.a:2,S");
    EXPECT_EQ(scan(*b, "INBOX").states[0].modseq, 0U); // too fresh to be sure
    age();
    EXPECT_NE(scan(*b, "INBOX").states[0].modseq, first.modseq);
}

TEST_F(maildir_source, searches_by_size_as_given_out_and_by_date) {
    folder("");
    write(root / "cur/1.a:2,", "a\nb\nc\n", 1000);                // 9 octets as given out
    write(root / "cur/2.b:2,", "a\r\nb\r\nc\r\n", 1'000'000'000); // 9
    write(root / "cur/3.c:2,", "0123456789", 2000);
    const auto b = open(box::role::source);
    const std::uint32_t validity = scan(*b, "INBOX").states[0].uid_validity;
    const fetch_request all{.handle = "INBOX", .uid_validity = validity, .uids = uid_set::of(1, 3)};
    EXPECT_EQ(run(b->search({&all, 1}, {.larger_than = 8, .older_than_unix = {}}))->front().to_string(), "1:3");
    EXPECT_EQ(run(b->search({&all, 1}, {.larger_than = 9, .older_than_unix = {}}))->front().to_string(), "3");
    EXPECT_EQ(run(b->search({&all, 1}, {.larger_than = {}, .older_than_unix = 5000}))->front().to_string(), "1,3");
}

TEST_F(maildir_source, what_is_no_maildir_is_refused_with_advice) {
    const auto attempt = [this] {
        maildir_options o;
        o.path = root;
        return run(box::open(std::move(o), box::role::source));
    };
    EXPECT_EQ(attempt().error().cls, retry_class::config);
    fs::create_directories(root);
    EXPECT_THAT(attempt().error().message(), HasSubstr("no Maildir"));
    fs::remove_all(root);
    write(root, "a file");
    EXPECT_EQ(attempt().error().cls, retry_class::config);
}

TEST_F(maildir_source, facts_for_check) {
    EXPECT_FALSE(look_at_maildir(root).exists);
    EXPECT_TRUE(look_at_maildir(root).parent_exists);
    folder("");
    write(root / "dovecot-uidlist", "3 V77 N6\n");
    const maildir_facts f = look_at_maildir(root);
    EXPECT_TRUE(f.exists && f.is_maildir && !f.unreadable && !f.unwritable);
    EXPECT_GT(f.free_octets, 0U);
    EXPECT_THAT(f.served_by, ElementsAre("Dovecot (dovecot-uidlist)"));
}

} // namespace
} // namespace postferry::mailbox

#include "message/line_ends.hpp"
#include "support/maildir_bench.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace postferry::mailbox {
namespace {

using support::ready_feed;
using support::run;
using support::told;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
namespace fs = std::filesystem;

class maildir_target : public support::maildir_bench {
  protected:
    static folder_wish wish(std::string handle, std::uint32_t validity, std::uint32_t next, bool create = true) {
        return {.handle = std::move(handle), .create = create, .uid_validity = validity, .uid_next = next};
    }
    static ready_feed::letter letter(std::uint32_t uid, std::string flags = {}, std::string handle = "INBOX") {
        return {.handle = std::move(handle),
                .text = fmt::format("Subject: {}\r\n\r\ntext\r\n", uid),
                .flags = std::move(flags),
                .source_uid = uid,
                .uidl = {}};
    }
    /// Which UID has which subject, as a reader sees it.
    std::map<std::uint32_t, std::string> subjects(const std::string& handle = "INBOX") {
        const auto b = open(box::role::target);
        const told seen = scan(*b, handle);
        told out;
        fetch(*b, handle, seen.states.at(0).uid_validity, seen.present.at(0), out);
        std::map<std::uint32_t, std::string> subjects;
        for (const told::message& m : out.messages) subjects[m.head.uid] = m.text.substr(9, m.text.find('\r') - 9);
        return subjects;
    }
    result<void> append(box& b, ready_feed& feed) { return run(b.append(feed)); }
};

TEST_F(maildir_target, a_new_maildir_takes_over_uidvalidity_uids_flags_dates_and_uidls) {
    const auto b = open(box::role::target);
    EXPECT_THAT(run(b->list(false))->folders, IsEmpty());
    EXPECT_FALSE(fs::exists(root)) << "nothing is made before prepare()";
    const auto p = prepare(*b, wish("INBOX", 4711, 50));
    EXPECT_EQ(p.state.uid_validity, 4711U);
    EXPECT_EQ(p.state.uid_next, 1U);
    ready_feed feed(
        {letter(3, "\\Seen $Label1"),
         letter(7, "\\Flagged Other $label1"),
         {.handle = "INBOX", .text = "Subject: 9\r\n\r\n", .flags = {}, .source_uid = 9, .uidl = "uidl-9"}});
    ASSERT_TRUE(append(*b, feed));
    EXPECT_THAT(feed.uids, ElementsAre(std::pair(0U, 3U), std::pair(1U, 7U), std::pair(2U, 9U)));
    EXPECT_EQ(feed.uid_validity, 4711U);
    EXPECT_THAT(subjects(), ElementsAre(std::pair(3U, "3"), std::pair(7U, "7"), std::pair(9U, "9")));
    EXPECT_EQ(read(root / "dovecot-keywords"), "0 $Label1\n1 Other\n");
    const std::string list = read(root / "dovecot-uidlist");
    EXPECT_THAT(list, ::testing::MatchesRegex("3 V4711 N50 G[0-9a-f]*\n3 :[^\n]*,S=[0-9]*,W=[0-9]*\n7 :[^\n]*\n"
                                              "9 Puidl-9 :[^\n]*\n"));
    EXPECT_THAT(names_in(root / "tmp"), IsEmpty());
    EXPECT_THAT(names_in(root / "new"), IsEmpty());
    const auto files = names_in(root / "cur");
    ASSERT_THAT(files, SizeIs(3));
    EXPECT_THAT(files[0], HasSubstr(",S=17,W=20:2,Sa"));
    EXPECT_THAT(files[1], HasSubstr(":2,Fab"));
    EXPECT_EQ(read(root / "cur" / files[0]), "Subject: 3\n\ntext\n");
    struct stat st{};
    ::stat((root / "cur" / files[0]).c_str(), &st);
    EXPECT_EQ(st.st_mtim.tv_sec, 1'000'000'000);
    EXPECT_EQ(st.st_mode & 0777U, 0600U);
}

TEST_F(maildir_target, folders_are_made_as_maildir_plus_plus_has_them) {
    const auto b = open(box::role::target);
    prepare(*b, wish("INBOX", 1, 1));
    prepare(*b, wish(b->handle_of("Été/à la plage"), 2, 1));
    const fs::path made = root / ".&AMk-t&AOk-.&AOA- la plage";
    EXPECT_TRUE(fs::exists(made / "maildirfolder"));
    for (const char* part : {"cur", "new", "tmp"}) EXPECT_TRUE(fs::is_directory(made / part));
    const auto l = run(b->list(false));
    EXPECT_EQ(l->folders.at(1).name, "Été/à la plage");
    EXPECT_EQ(l->folders.at(1).state->uid_validity, 2U);
}

TEST_F(maildir_target, what_may_not_be_stored_any_more_is_never_seen) {
    std::atomic<int> asked = 0;
    may_store = [&] { return ++asked == 1; };
    const auto b = open(box::role::target);
    prepare(*b, wish("INBOX", 4711, 50));
    ready_feed first({letter(3)}), second({letter(4), letter(5)});
    ASSERT_TRUE(append(*b, first));
    const auto refused = append(*b, second);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().cls, retry_class::cancelled);
    EXPECT_THAT(second.uids, IsEmpty());
    EXPECT_THAT(names_in(root / "cur"), SizeIs(1));
}

TEST_F(maildir_target, a_folder_with_mail_keeps_its_own_uidvalidity_and_gives_its_own_uids) {
    folder("");
    write(root / "cur/1.a:2,", "Subject: here\n\n");
    write(root / "dovecot-uidlist", "3 V77 N20 Gabc\n5 W1 :1.a\n");
    const auto b = open(box::role::target);
    EXPECT_EQ(prepare(*b, wish("INBOX", 4711, 50)).state.uid_validity, 77U);
    ready_feed feed({letter(3), letter(30)});
    ASSERT_TRUE(append(*b, feed));
    EXPECT_THAT(feed.uids, ElementsAre(std::pair(0U, 20U), std::pair(1U, 21U)));
    EXPECT_THAT(read(root / "dovecot-uidlist"), ::testing::StartsWith("3 V77 N20 Gabc\n5 W1 :1.a\n20 :"));
}

TEST_F(maildir_target, new_mail_that_arrived_there_never_gets_a_uid_of_the_source) {
    const auto b = open(box::role::target);
    prepare(*b, wish("INBOX", 4711, 50));
    ready_feed first({letter(3)});
    ASSERT_TRUE(append(*b, first));
    write(root / "new/999.local", "Subject: local\n\n"); // qmail delivers
    const auto later = open(box::role::target);
    // The listing of that moment counts on from above all that the source has.
    EXPECT_EQ(prepare(*later, wish("INBOX", 4711, 50, false)).state.uid_next, 51U);
    ready_feed second({letter(4), letter(60)});
    ASSERT_TRUE(append(*later, second));
    EXPECT_THAT(subjects(),
                ElementsAre(std::pair(3U, "3"), std::pair(50U, "local"), std::pair(51U, "4"), std::pair(60U, "60")));
}

TEST_F(maildir_target, a_server_that_looked_in_between_is_not_given_lower_uids) {
    const auto b = open(box::role::target);
    prepare(*b, wish("INBOX", 4711, 50));
    ready_feed first({letter(3)});
    ASSERT_TRUE(append(*b, first));
    write(root / "dovecot.index.log", "a server has seen N50, and says so in its log");
    ready_feed second({letter(4), letter(5)});
    ASSERT_TRUE(append(*b, second));
    EXPECT_THAT(second.uids, ElementsAre(std::pair(0U, 50U), std::pair(1U, 51U)));
}

TEST_F(maildir_target, what_comes_later_keeps_its_uid_where_a_server_has_seen_only_lower_ones) {
    auto b = open(box::role::target);
    prepare(*b, wish("INBOX", 4711, 5));
    ready_feed first({letter(4)});
    ASSERT_TRUE(append(*b, first));
    write(root / "dovecot.index.log", "a server has seen N5, and says so in its log");
    b = open(box::role::target);
    EXPECT_EQ(prepare(*b, wish("INBOX", 4711, 8, false)).state.uid_next, 5U);
    ready_feed second({letter(5), letter(7)});
    ASSERT_TRUE(append(*b, second));
    EXPECT_THAT(second.uids, ElementsAre(std::pair(0U, 5U), std::pair(1U, 7U)));
    EXPECT_THAT(read(root / "dovecot-uidlist"), HasSubstr("3 V4711 N8 "));
}

TEST_F(maildir_target, a_delivery_that_was_cut_off_before_the_list_gets_the_uid_that_it_was_to_get) {
    auto b = open(box::role::target);
    prepare(*b, wish("INBOX", 4711, 50));
    ready_feed feed({letter(3), letter(4), letter(5)});
    ASSERT_TRUE(append(*b, feed));
    // As after SIGKILL between the renames and the list.
    const std::string list = read(root / "dovecot-uidlist");
    write(root / "dovecot-uidlist", list.substr(0, list.find("\n4 ") + 1));
    b = open(box::role::target);
    const auto p = prepare(*b, wish("INBOX", 4711, 50, false));
    EXPECT_EQ(p.state.uid_next, 6U);
    EXPECT_EQ(p.state.messages, 3U);
    EXPECT_THAT(subjects(), ElementsAre(std::pair(3U, "3"), std::pair(4U, "4"), std::pair(5U, "5")));
    ready_feed rest({letter(6)});
    ASSERT_TRUE(append(*b, rest));
    EXPECT_THAT(rest.uids, ElementsAre(std::pair(0U, 6U)));
}

TEST_F(maildir_target, a_list_that_ends_in_the_middle_of_a_line_is_mended) {
    auto b = open(box::role::target);
    prepare(*b, wish("INBOX", 4711, 50));
    ready_feed feed({letter(3), letter(4)});
    ASSERT_TRUE(append(*b, feed));
    const std::string list = read(root / "dovecot-uidlist");
    write(root / "dovecot-uidlist", list.substr(0, list.size() - 10));
    b = open(box::role::target);
    prepare(*b, wish("INBOX", 4711, 50, false));
    EXPECT_EQ(read(root / "dovecot-uidlist").back(), '\n');
    EXPECT_THAT(subjects(), ElementsAre(std::pair(3U, "3"), std::pair(4U, "4")));
}

TEST_F(maildir_target, of_several_folders_that_become_one_no_uids_are_kept) {
    const auto b = open(box::role::target);
    const std::vector<folder_wish> both{wish("INBOX", 11, 50), wish("INBOX", 22, 60)};
    const auto p = run(b->prepare(both));
    ASSERT_TRUE(p);
    EXPECT_EQ(p->at(0).state, p->at(1).state);
    EXPECT_NE(p->at(0).state.uid_validity, 11U);
    ready_feed feed({letter(40), letter(41)});
    ASSERT_TRUE(append(*b, feed));
    EXPECT_THAT(feed.uids, ElementsAre(std::pair(0U, 1U), std::pair(1U, 2U)));
}

TEST_F(maildir_target, numbers_of_a_name_book_are_no_uids_to_keep) {
    const auto b = open(box::role::target);
    prepare(*b, wish("INBOX", 11, 50));
    ready_feed feed({letter(40), letter(0x80000005U)});
    ASSERT_TRUE(append(*b, feed));
    EXPECT_THAT(feed.uids, ElementsAre(std::pair(0U, 40U), std::pair(1U, 50U)));
}

TEST_F(maildir_target, messages_come_back_octet_for_octet_whatever_their_line_ends) {
    const auto b = open(box::role::target);
    prepare(*b, wish("INBOX", 11, 50));
    std::string large = "Subject: large\r\n\r\n";
    while (large.size() < 3'000'000) large += "a line of a large message that is written in pieces\r\n";
    const std::vector<std::string> texts{"a\r\nb\r\n",
                                         "x",
                                         "lone\rCR\r\n",
                                         "ends with CR\r",
                                         "CRCRLF\r\r\nand more\r\n",
                                         large,
                                         large + "odd\r\r\nend\r\n",
                                         "odd\r\r\n" + large};
    for (const std::size_t step : {7UL, 65'536UL}) {
        std::vector<ready_feed::letter> letters;
        for (const std::string& t : texts)
            if (step > 1000 || t.size() < 1000)
                letters.push_back({.handle = "INBOX", .text = t, .flags = {}, .source_uid = 0, .uidl = {}});
        ready_feed feed(letters, step);
        ASSERT_TRUE(append(*b, feed));
        const told seen = scan(*b, "INBOX");
        for (std::size_t i = 0; i < letters.size(); ++i) {
            told out;
            fetch(*b, "INBOX", 11, uid_set::of(feed.uids.at(i), feed.uids.at(i)), out);
            ASSERT_EQ(out.messages.size(), 1U);
            EXPECT_TRUE(out.messages[0].text == letters[i].text) << i;
            EXPECT_EQ(out.messages[0].head.octets, letters[i].text.size());
        }
    }
    // What its name says of a file's sizes is what servers rely on.
    for (const std::string& name : names_in(root / "cur")) {
        const auto told_sizes = message::parse_maildir_file(name);
        const std::string text = read(root / "cur" / name);
        EXPECT_EQ(told_sizes.stored_octets, text.size());
        message::bare_lf_counter bare;
        bare.add(text);
        EXPECT_EQ(told_sizes.octets, text.size() + bare.count()) << name;
    }
    EXPECT_THAT(names_in(root / "tmp"), IsEmpty());
}

TEST_F(maildir_target, bare_line_feeds_are_stored_as_they_came) {
    const auto b = open(box::role::target);
    prepare(*b, wish("INBOX", 11, 50));
    ready_feed feed({{.handle = "INBOX", .text = "a\r\nb\nc\r\n", .flags = {}, .source_uid = 1, .uidl = {}}});
    ASSERT_TRUE(append(*b, feed));
    const auto files = names_in(root / "cur");
    EXPECT_EQ(read(root / "cur" / files.at(0)), "a\r\nb\nc\r\n");
    EXPECT_THAT(files.at(0), HasSubstr(",S=8,W=9:2,"));
}

TEST_F(maildir_target, many_messages_in_several_folders_arrive_in_batches_and_in_order) {
    const auto b = open(box::role::target);
    std::vector<ready_feed::letter> letters;
    for (const char* handle : {"INBOX", ".A", ".B"}) {
        prepare(*b, wish(handle, 11, 2000));
        for (std::uint32_t uid = 1; uid <= 300; ++uid) letters.push_back(letter(uid, "\\Seen", handle));
    }
    ready_feed feed(std::move(letters));
    ASSERT_TRUE(append(*b, feed));
    EXPECT_EQ(feed.uids.size(), 900U);
    for (const auto& [i, uid] : feed.uids) ASSERT_EQ(uid, i % 300 + 1);
    EXPECT_LT(feed.batches.size(), 60U);
    EXPECT_EQ(subjects(".B").at(300), "300");
    EXPECT_FALSE(fs::exists(root / "dovecot-uidlist.lock"));
}

TEST_F(maildir_target, keywords_beyond_the_26th_are_left_out_and_named) {
    const auto b = open(box::role::target);
    prepare(*b, wish("INBOX", 11, 50));
    std::string flags = "\\Seen";
    for (int i = 0; i < 26; ++i) flags += fmt::format(" k{}", i);
    ready_feed feed({letter(1, flags), letter(2, "k25 one-more")});
    ASSERT_TRUE(append(*b, feed));
    EXPECT_THAT(b->take_remarks(), ElementsAre(HasSubstr("INBOX: keyword one-more is not kept")));
    EXPECT_THAT(b->take_remarks(), IsEmpty());
    const told seen = scan(*b, "INBOX");
    EXPECT_THAT(seen.flags_of.at(2), ElementsAre("k25"));
    // From now on the folder says so by itself.
    const auto p = prepare(*b, wish("INBOX", 11, 50));
    ASSERT_TRUE(p.permanent_flags);
    EXPECT_THAT(*p.permanent_flags, SizeIs(31));
}

TEST_F(maildir_target, flags_are_changed_by_renaming_even_when_somebody_else_renames) {
    const auto b = open(box::role::target);
    prepare(*b, wish("INBOX", 11, 50));
    ready_feed feed({letter(1, "\\Seen Old"), letter(2), letter(3)});
    ASSERT_TRUE(append(*b, feed));
    const std::vector<flag_change> changes{{.uids = uid_set::of(1, 1), .add = {"\\Flagged", "New"}, .remove = {"Old"}},
                                           {.uids = uid_set::of(2, 9), .add = {"\\Answered"}, .remove = {"\\Seen"}}};
    ASSERT_TRUE(run(b->change_flags("INBOX", changes)));
    const told seen = scan(*b, "INBOX");
    EXPECT_THAT(seen.flags_of.at(1), ElementsAre("\\Flagged", "\\Seen", "New"));
    EXPECT_THAT(seen.flags_of.at(2), ElementsAre("\\Answered"));
    EXPECT_EQ(seen.present[0].to_string(), "1:3");
    const std::vector<flag_change> stale{
        {.uids = uid_set::of(1, 1), .add = {"\\Draft"}, .remove = {}, .uid_validity = 12}};
    EXPECT_FALSE(run(b->change_flags("INBOX", stale)));
}

TEST_F(maildir_target, messages_are_removed_by_uid_and_their_uids_not_given_again) {
    const auto b = open(box::role::target);
    prepare(*b, wish("INBOX", 11, 50));
    ready_feed feed({letter(1), letter(2), letter(3)});
    ASSERT_TRUE(append(*b, feed));
    EXPECT_EQ(run(b->remove("INBOX", 12, uid_set::of(2, 9))).error().cls, retry_class::transient);
    ASSERT_TRUE(run(b->remove("INBOX", 11, uid_set::of(2, 9))));
    EXPECT_THAT(subjects(), ElementsAre(std::pair(1U, "1")));
    ready_feed again({letter(2)});
    ASSERT_TRUE(append(*b, again));
    EXPECT_THAT(again.uids, ElementsAre(std::pair(0U, 50U)));
}

TEST_F(maildir_target, subscriptions_are_added_for_dovecot_and_where_it_has_a_list_for_courier) {
    folder("");
    write(root / "courierimapsubscribed", "INBOX.Sent\n");
    const auto b = open(box::role::target);
    prepare(*b, wish(".A.B", 11, 50));
    const std::vector<std::string> handles{"INBOX", ".A.B"};
    ASSERT_TRUE(run(b->subscribe(handles)));
    EXPECT_EQ(read(root / "subscriptions"), "V\t2\n\nINBOX\nA\tB\n");
    EXPECT_EQ(read(root / "courierimapsubscribed"), "INBOX.Sent\nINBOX\nINBOX.A.B\n");
}

TEST_F(maildir_target, a_quota_that_is_counted_in_maildirsize_goes_on_being_counted) {
    folder("");
    write(root / "maildirsize", "1000000S\n10 1\n");
    const auto b = open(box::role::target);
    prepare(*b, wish("INBOX", 11, 50));
    ready_feed feed({letter(1), letter(2)});
    ASSERT_TRUE(append(*b, feed));
    EXPECT_EQ(read(root / "maildirsize"), "1000000S\n10 1\n34 2\n");
}

TEST_F(maildir_target, a_source_that_breaks_off_within_a_message_leaves_nothing_of_it) {
    const auto b = open(box::role::target);
    prepare(*b, wish("INBOX", 11, 50));
    std::string large(5'000'000, 'x');
    ready_feed feed({letter(1), {.handle = "INBOX", .text = large, .flags = {}, .source_uid = 2, .uidl = {}}}, 100'000);
    feed.breaks_off = 1;
    EXPECT_FALSE(append(*b, feed));
    EXPECT_FALSE(feed.announced_letters.contains(1));
    EXPECT_THAT(names_in(root / "tmp"), IsEmpty());
}

TEST_F(maildir_target, a_full_disk_refuses_what_does_not_fit_and_loses_nothing) {
    const auto b = open(box::role::target);
    prepare(*b, wish("INBOX", 11, 50));
    // A limit on the size of files is the full disk that a test can make: EFBIG, with its signal ignored.
    std::signal(SIGXFSZ, SIG_IGN);
    struct rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    const struct rlimit small{.rlim_cur = 100'000, .rlim_max = before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
    std::string large(2'000'000, 'x');
    ready_feed feed(
        {letter(1), {.handle = "INBOX", .text = large, .flags = {}, .source_uid = 2, .uidl = {}}, letter(3)});
    const auto ok = append(*b, feed);
    ::setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_FALSE(ok);
    EXPECT_EQ(ok.error().cls, retry_class::local);
    EXPECT_TRUE(feed.uids.contains(0));
    EXPECT_FALSE(feed.uids.contains(1));
    EXPECT_THAT(names_in(root / "tmp"), IsEmpty());
}

TEST(file_error, says_what_a_full_disk_is_and_what_to_do) {
    for (const int number : {ENOSPC, EDQUOT}) {
        const error e = file_error(number, phase::append, "A message cannot be written");
        EXPECT_EQ(e.cls, retry_class::local);
        EXPECT_EQ(e.response_code, "OVERQUOTA");
        EXPECT_FALSE(e.advice.empty());
    }
    EXPECT_EQ(file_error(EACCES, phase::append, "x").advice, "Run as root or as the owner of the mailbox");
    EXPECT_EQ(file_error(ENOENT, phase::connect, "x").cls, retry_class::config);
}

TEST_F(maildir_target, a_missing_home_folder_is_named_with_advice) {
    maildir_options o;
    o.path = home / "nobody" / "Maildir";
    const auto made = run(box::open(std::move(o), box::role::target));
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().cls, retry_class::config);
    EXPECT_THAT(made.error().advice, HasSubstr("Create the account"));
}

TEST_F(maildir_target, a_lock_that_a_living_program_holds_is_waited_for_and_not_for_ever) {
    folder("");
    write(root / "dovecot-uidlist.lock", fmt::format("{}:{}", ::getpid(), host_name()), ::time(nullptr));
    maildir_options o;
    o.path = root;
    o.lock_patience = std::chrono::milliseconds(50);
    const auto b = std::move(*run(box::open(std::move(o), box::role::target)));
    const folder_wish w = wish("INBOX", 11, 50);
    const auto p = run(b->prepare({&w, 1}));
    ASSERT_TRUE(p);
    ASSERT_TRUE(p->front().failure);
    EXPECT_EQ(p->front().failure->cls, retry_class::transient);
    EXPECT_TRUE(fs::exists(root / "dovecot-uidlist.lock"));
}

TEST_F(maildir_target, a_lock_of_a_dead_program_is_removed) {
    folder("");
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    int status = 0;
    ::waitpid(child, &status, 0);
    write(root / "dovecot-uidlist.lock", fmt::format("{}:{}", child, host_name()), ::time(nullptr));
    const auto b = open(box::role::target);
    EXPECT_EQ(prepare(*b, wish("INBOX", 11, 50)).state.uid_validity, 11U);
    EXPECT_FALSE(fs::exists(root / "dovecot-uidlist.lock"));
}

TEST_F(maildir_target, when_root_copies_all_belongs_to_the_mailboxes_owner) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    folder("");
    for (const char* part : {"", "cur", "new", "tmp"}) ASSERT_EQ(::chown((root / part).c_str(), 61234, 61235), 0);
    fs::permissions(root, fs::perms::owner_all | fs::perms::group_all);
    const auto b = open(box::role::target);
    prepare(*b, wish("INBOX", 11, 50));
    prepare(*b, wish(".Sub", 11, 50));
    ready_feed feed({letter(1, "Key"), letter(1, "Key", ".Sub")});
    ASSERT_TRUE(append(*b, feed));
    for (const auto& e : fs::recursive_directory_iterator(root)) {
        struct stat st{};
        ::lstat(e.path().c_str(), &st);
        EXPECT_EQ(st.st_uid, 61234U) << e.path();
        EXPECT_EQ(st.st_gid, 61235U) << e.path();
        if (e.path().string().find("Sub") != std::string::npos)
            EXPECT_EQ(st.st_mode & 0777U, e.is_directory() ? 0770U : 0660U) << e.path();
    }
}

TEST_F(maildir_target, a_folder_that_is_a_symbolic_link_is_no_way_out_of_the_maildir) {
    folder("");
    fs::create_directories(home / "elsewhere/cur");
    fs::create_directory_symlink(home / "elsewhere", root / ".Sub");
    const auto b = open(box::role::target);
    const folder_wish w = wish(".Sub", 11, 50);
    const auto p = run(b->prepare({&w, 1}));
    ASSERT_TRUE(p);
    EXPECT_TRUE(p->front().failure);
    EXPECT_THAT(names_in(home / "elsewhere"), ElementsAre("cur"));
}

} // namespace
} // namespace postferry::mailbox

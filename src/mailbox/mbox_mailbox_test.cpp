#include "support/mbox_place.hpp"

#include <sys/stat.h>

namespace postferry::mailbox {
namespace {

using test::foreign;
using test::from_line;
using test::mailed;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using enum mbox_mailbox::role;

class mbox_mailbox_test : public test::mbox_case {};

TEST_F(mbox_mailbox_test, reads_everything_and_changes_nothing) {
    write("inbox", foreign("1", "Status: RO\nX-Keywords: Work\n") + foreign("2"));
    write("Sent", foreign("3"));
    struct stat before{}, after{};
    ASSERT_EQ(::stat((root_ / "inbox").c_str(), &before), 0);
    auto all = everything();
    ASSERT_EQ(::stat((root_ / "inbox").c_str(), &after), 0);
    EXPECT_THAT(files(), ElementsAre("Sent", "inbox"));
    EXPECT_EQ(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    EXPECT_EQ(before.st_atim.tv_nsec, after.st_atim.tv_nsec);
    EXPECT_EQ(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
    ASSERT_EQ(all.size(), 2U);
    const auto& inbox = all["INBOX"];
    EXPECT_THAT(inbox.contents(), ElementsAre(mailed("1"), mailed("2")));
    EXPECT_THAT(inbox.uids(), ElementsAre(1, 2));
    EXPECT_EQ(inbox.messages[0].flags, "\\Seen Work");
    EXPECT_EQ(inbox.messages[0].date->unix_seconds, 978'343'200);
    EXPECT_EQ(inbox.state.messages, 2U);
    EXPECT_EQ(inbox.state.uid_next, 3U);
    EXPECT_NE(inbox.state.uid_validity, all["Sent"].state.uid_validity);
}

TEST_F(mbox_mailbox_test, numbers_stay_with_their_messages) {
    write("m", foreign("1") + foreign("2") + foreign("1") + foreign("3"));
    EXPECT_THAT(everything()["m"].uids(), ElementsAre(1, 2, 3, 4));
    // One of two equal ones goes, the others change their flags, one is added, twice.
    write("m", foreign("2", "Status: R\n") + foreign("1") + foreign("3") + foreign("4") + foreign("4"));
    const auto later = everything()["m"];
    EXPECT_THAT(later.uids(), ElementsAre(1, 2, 4, 5, 6));
    EXPECT_THAT(later.contents(), ElementsAre(mailed("1"), mailed("2"), mailed("3"), mailed("4"), mailed("4")));
    // A message that comes back is another.
    write("m", foreign("1") + foreign("1"));
    EXPECT_THAT(everything()["m"].uids(), ElementsAre(1, 7));
}

TEST_F(mbox_mailbox_test, a_file_that_did_not_change_is_not_read_to_be_listed) {
    write("m", foreign("1") + foreign("2"));
    (void)everything();
    const auto state = [this] {
        const auto list = with<result<listing>>(options(), source, [](mbox_mailbox& box) { return box.list(false); });
        return list->folders.at(0).state.value();
    };
    EXPECT_EQ(state().messages, 2U);
    EXPECT_EQ(state().uid_next, 3U);
    EXPECT_EQ(state().modseq, 0U); // too young to be trusted
    std::filesystem::last_write_time(root_ / "m",
                                     std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
    // The time of the inode's change is young still; only time could make it old.
    EXPECT_EQ(state().modseq, 0U);
    const mbox_stamp stamp{.device = 1, .inode = 2, .size = 3, .modified_ns = 4, .changed_ns = 5};
    mbox_stamp other = stamp;
    other.modified_ns = 6;
    EXPECT_NE(stamp.as_modseq(10'000'000'000), 0U);
    EXPECT_NE(stamp.as_modseq(10'000'000'000), other.as_modseq(10'000'000'000));
}

TEST_F(mbox_mailbox_test, tells_flags_that_may_have_changed) {
    write("m", foreign("1", "Status: RO\n") + foreign("2") + foreign("3"));
    const auto folder = everything()["m"];
    reader r;
    const auto scan = [&](scan_request request) {
        const std::vector<scan_request> requests{std::move(request)};
        r.flags_told.clear();
        ASSERT_TRUE(with<result<void>>(options(), source, [&](mbox_mailbox& box) { return box.scan(requests, r); }));
    };
    scan({.handle = "m", .known_uid_validity = folder.state.uid_validity, .known_uid_next = 3});
    EXPECT_THAT(r.flags_told, ElementsAre("1 \\Seen", "2 "));
    scan({.handle = "m"});
    EXPECT_THAT(r.flags_told, IsEmpty());
    scan({.handle = "n"});
    EXPECT_THAT(r.troubles[0], HasSubstr("n is not there"));
}

TEST_F(mbox_mailbox_test, every_part_of_a_damaged_file_has_its_outcome) {
    const std::string hole(4096, '\0');
    write("m", "\x7f"
               "ELF junk\n\n" +
                   foreign("1") + from_line + "\n" + hole + foreign("2") + from_line + "Subject: 3\n\ncut o");
    const auto m = everything()["m"];
    ASSERT_EQ(m.messages.size(), 5U);
    EXPECT_THAT(m.messages[0].failure, HasSubstr("begins with 11 octets that are no message"));
    EXPECT_EQ(m.messages[1].content, mailed("1"));
    EXPECT_EQ(m.messages[2].content, "\r\n" + hole);
    EXPECT_EQ(m.messages[3].content, mailed("2"));
    EXPECT_EQ(m.messages[4].content, "Subject: 3\r\n\r\ncut o");
    write("m", foreign("1") + from_line);
    EXPECT_THAT(everything()["m"].contents(), ElementsAre(mailed("1"), HasSubstr("Nothing but a From_ line is left")));
}

TEST_F(mbox_mailbox_test, internal_data_is_skipped_by_its_rule) {
    const std::string internal =
        from_line +
        "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 5 {}\nStatus: RO\n\nThis text\n\n";
    write("m", internal + foreign("1"));
    EXPECT_EQ(everything()["m"].messages[0].skip_rule, "uw-internal-data");
    write("m", internal + foreign("1"));
    EXPECT_THAT(everything()["m"].uids(), ElementsAre(1, 2));
}

TEST_F(mbox_mailbox_test, large_messages_come_in_pieces) {
    std::string body;
    for (int i = 0; i < 40'000; ++i) body += fmt::format("line {} of a large message\n", i);
    write("m", foreign("1") + from_line + "Subject: large\n\n" + body + "\n" + foreign("2"));
    const auto m = everything()["m"];
    ASSERT_EQ(m.messages.size(), 3U);
    EXPECT_EQ(m.messages[1].content.size(), std::string_view("Subject: large\r\n\r\n").size() + body.size() + 40'000);
    EXPECT_TRUE(m.messages[1].content.ends_with("line 39999 of a large message\r\n"));
    EXPECT_EQ(m.messages[2].content, mailed("2"));
}

TEST_F(mbox_mailbox_test, headers_only) {
    write("m", foreign("1") + from_line + "\nno header\n\n" + from_line + "Subject: x\n");
    reader r;
    const std::vector<scan_request> scans{{.handle = "m"}};
    const auto headers = [&](mbox_mailbox& box) -> task<result<void>> {
        if (auto ok = co_await box.scan(scans, r); !ok) co_return ok;
        const std::vector<fetch_request> f{
            {.handle = "m", .uid_validity = r.states[0].uid_validity, .uids = r.present[0]}};
        co_return co_await box.fetch(f, fetch_part::fingerprint, r);
    };
    ASSERT_TRUE(with<result<void>>(options(), source, headers));
    std::vector<std::string> fields;
    for (const seen_message& m : r.messages[0]) fields.push_back(m.content);
    EXPECT_THAT(fields, ElementsAre("Subject: 1", "\r\nno header\r\n", "Subject: x\r\n"));
}

TEST_F(mbox_mailbox_test, a_file_that_is_changed_while_it_is_read) {
    std::string all;
    for (int i = 0; i < 200; ++i) all += foreign(fmt::format("number {}", i));
    write("m", all);
    reader r;
    r.on_chunk = [this, &all, &r] {
        // The first message is taken out, in place: everything moves up.
        if (r.messages[0].size() == 1) write("m", all.substr(foreign("number 0").size()));
    };
    const std::vector<scan_request> scans{{.handle = "m"}};
    const auto read = [&](mbox_mailbox& box) -> task<result<void>> {
        if (auto ok = co_await box.scan(scans, r); !ok) co_return ok;
        const std::vector<fetch_request> f{
            {.handle = "m", .uid_validity = r.states[0].uid_validity, .uids = r.present[0]}};
        co_return co_await box.fetch(f, fetch_part::whole, r);
    };
    ASSERT_TRUE(with<result<void>>(options(), source, read));
    EXPECT_THAT(r.troubles[0], HasSubstr("changed while it was being read"));
    EXPECT_LT(r.messages[0].size(), 200U);
    for (std::size_t i = 0; i < r.messages[0].size(); ++i)
        EXPECT_EQ(r.messages[0][i].content, mailed(fmt::format("number {}", i)));
}

TEST_F(mbox_mailbox_test, searches_by_size_and_date) {
    write("m", foreign("1") + "From x Tue Jan  1 10:00:00 2019\nSubject: much longer than the other\n\ntext\n\n");
    const auto folder = everything()["m"];
    const std::vector<fetch_request> f{
        {.handle = "m", .uid_validity = folder.state.uid_validity, .uids = uid_set::of(1, 2)}};
    const auto search = [&](search_criterion what) {
        auto found = with<result<std::vector<uid_set>>>(options(), source,
                                                        [&](mbox_mailbox& box) { return box.search(f, what); });
        return found->front().to_string();
    };
    EXPECT_EQ(search({.larger_than = 30, .older_than_unix = {}}), "2");
    EXPECT_EQ(search({.larger_than = {}, .older_than_unix = 1'500'000'000}), "1");
}

TEST_F(mbox_mailbox_test, a_source_that_is_not_there) {
    const auto open = with<result<listing>>(options("nowhere"), source, [](mbox_mailbox& b) { return b.list(false); });
    ASSERT_FALSE(open);
    EXPECT_EQ(open.error().cls, retry_class::config);
}

TEST_F(mbox_mailbox_test, a_prefix_is_taken_off) {
    write("inbox", foreign("1"));
    write("old/Work", foreign("2"));
    write("other", foreign("3"));
    mbox_options o = options();
    o.prefix = "old";
    const auto list = with<result<listing>>(o, source, [](mbox_mailbox& box) { return box.list(true); });
    std::vector<std::string> names;
    for (const listed_folder& f : list->folders) names.push_back(f.name + " <" + f.handle + ">");
    EXPECT_THAT(names, ElementsAre("INBOX <INBOX>", "Work <old/Work>"));
    EXPECT_EQ(list->folders[0].state->octets, mailed("1").size());
}

} // namespace
} // namespace postferry::mailbox

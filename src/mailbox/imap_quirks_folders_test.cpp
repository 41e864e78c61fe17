// Rows of docs/quirks.md as transcripts: folders, labels, and what is brought to odd servers.
#include "support/quirk_script.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::mailbox {
namespace {

using support::list;
using support::list_and_scan;
using support::names;
using support::play;
using support::with_quirks;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::string_view plain_list = R"(
        C: P1 LIST "" "*" RETURN (SUBSCRIBED STATUS (MESSAGES UIDNEXT UIDVALIDITY))
        {}
        S: P1 OK)";

listing listed(std::string_view lines, const imap_options& options = {}) {
    return list("LIST-EXTENDED LIST-STATUS", fmt::format(fmt::runtime(plain_list), lines), options);
}

// quirk hidden-prefix
TEST(imap_quirks, a_prefix_that_no_namespace_tells_of_is_seen) {
    const listing got = listed(R"(
        S: * LIST () "." INBOX
        S: * LIST () "." INBOX.Sent
        S: * LIST () "." INBOX.Lists.asio)");
    EXPECT_THAT(names(got), ElementsAre("INBOX <INBOX>", "Sent <INBOX.Sent>", "Lists/asio <INBOX.Lists.asio>"));
    EXPECT_FALSE(got.children_of_inbox);
    EXPECT_THAT(got.notes, ElementsAre(HasSubstr("INBOX.")));
    EXPECT_THAT(names(listed(R"(
        S: * LIST () "." INBOX
        S: * LIST () "." INBOX.Sent
        S: * LIST () "." Archive)")),
                ElementsAre("INBOX <INBOX>", "INBOX/Sent <INBOX.Sent>", "Archive <Archive>"));
    EXPECT_THAT(listed("S: * LIST () \".\" INBOX").notes, IsEmpty());
    EXPECT_THAT(names(listed(R"(
        S: * LIST () "/" INBOX
        S: * LIST () "/" INBOX/Sent)")),
                ElementsAre("INBOX <INBOX>", "INBOX/Sent <INBOX/Sent>"))
        << "it may be that nobody has made another folder yet";
}

TEST(imap_quirks, where_the_prefix_was_seen_new_folders_get_it) {
    std::string handle;
    const std::function<task<result<void>>(imap_mailbox&)> use = [&](imap_mailbox& box) -> task<result<void>> {
        auto ok = co_await box.list(false);
        handle = box.handle_of("Work/2020");
        if (!ok) co_return std::unexpected(ok.error());
        co_return result<void>{};
    };
    (void)support::play_once<result<void>>("LIST-EXTENDED LIST-STATUS", R"(
        C: P1 LIST <any>
        S: * LIST () "." INBOX
        S: * LIST () "." INBOX.Sent
        S: P1 OK)",
                                           use);
    EXPECT_EQ(handle, "INBOX.Work.2020");
}

TEST(imap_quirks, a_folder_called_inbox_below_the_prefix_is_not_the_inbox) {
    const listing got = list("NAMESPACE LIST-EXTENDED LIST-STATUS", R"(
        C: P1 NAMESPACE
        C: P2 LIST <any>
        S: * NAMESPACE (("INBOX." ".")) NIL NIL
        S: P1 OK
        S: * LIST () "." INBOX
        S: * LIST () "." INBOX.INBOX
        S: * LIST () "." INBOX.inbox.a
        S: * LIST () "." INBOX.a
        S: P2 OK)");
    EXPECT_THAT(names(got),
                ElementsAre("INBOX <INBOX>", "INBOX/INBOX <INBOX.INBOX>", "INBOX/a <INBOX.inbox.a>", "a <INBOX.a>"));
}

// quirk noselect
TEST(imap_quirks, what_only_holds_others_or_is_not_there_is_not_opened) {
    const listing got = listed(R"(
        S: * LIST (\Noselect \HasChildren) "/" a
        S: * LIST (\NonExistent) "/" b
        S: * LIST (\\nonexistent \Subscribed) "/" b/c
        S: * LIST () "/" a/d
        S: * LIST () "/" INBOX)");
    std::vector<bool> selectable;
    for (const listed_folder& f : got.folders) selectable.push_back(f.selectable);
    EXPECT_THAT(selectable, ElementsAre(false, false, false, true, true));
}

// quirk equal-names: nobody's mail may be lost because two names read the same.
TEST(imap_quirks, two_folders_that_read_the_same_are_two_folders) {
    const listing got = listed(R"(
        S: * LIST () "/" INBOX
        S: * LIST () "/" INBOX/x
        S: * LIST () "/" Inbox/x
        S: * LIST () "/" a
        S: * LIST () "/" "&AGE-"
        S: * LIST (\Noselect) "/" b/
        S: * LIST () "/" b)");
    EXPECT_THAT(names(got), ElementsAre("INBOX <INBOX>", "INBOX/x <INBOX/x>", "Inbox/x <Inbox/x>", "a <a>",
                                        "&AGE- <&AGE->", "b <b>"));
    EXPECT_THAT(got.notes, ::testing::SizeIs(2));
}

// quirk folder-names: empty levels, wildcards, trailing white space, "&" that nobody encoded (ME#46), TAB (MK#945)
TEST(imap_quirks, odd_names_keep_what_they_are) {
    EXPECT_THAT(names(listed(R"(
        S: * LIST () "." INBOX
        S: * LIST () "." "a...b"
        S: * LIST () "." "100% *"
        S: * LIST () "." "ends in space "
        S: * LIST () "." "R&D"
        S: * LIST (\HasNoChildren) "." Exchange\x09Tab
        S: * LIST () NIL "no delimiter/here")")),
                ElementsAre("INBOX <INBOX>", "a///b <a...b>", "100% * <100% *>", "ends in space  <ends in space >",
                            "R&D <R&D>", "Exchange\tTab <Exchange\tTab>",
                            "no delimiter\u2215here <no delimiter/here>"));
}

// quirk domino: "\" as delimiter, nothing below INBOX; quirk exchange: case and trailing spaces
TEST(imap_quirks, what_the_target_can_do_with_names) {
    EXPECT_FALSE(listed(R"(S: * LIST () "\" INBOX)", with_quirks("domino")).children_of_inbox);
    const listing exchange = listed(R"(S: * LIST () "/" INBOX)", with_quirks("exchange"));
    EXPECT_TRUE(exchange.case_insensitive);
    EXPECT_FALSE(exchange.trailing_spaces);
    const listing plain = listed(R"(S: * LIST () "/" INBOX)");
    EXPECT_FALSE(plain.case_insensitive);
    EXPECT_TRUE(plain.trailing_spaces);
}

// quirk yahoo
TEST(imap_quirks, a_folder_that_shows_only_its_newest_messages_is_named) {
    EXPECT_THAT(listed(R"(
        S: * LIST () "/" Inbox
        S: * STATUS Inbox (MESSAGES 10000 UIDNEXT 90000 UIDVALIDITY 3)
        S: * LIST () "/" Sent
        S: * STATUS Sent (MESSAGES 9000 UIDNEXT 90000 UIDVALIDITY 3))",
                       with_quirks("yahoo"))
                    .notes,
                ElementsAre("INBOX: this server shows about 10000 messages of a folder; there may be more"));
}

// quirk no-uidnext, quirk empty-status (ME#15), [NOPERM]
TEST(imap_quirks, states_that_are_not_told_are_unknown) {
    const listing got = listed(R"(
        S: * LIST () "/" INBOX
        S: * STATUS INBOX (MESSAGES 3 UIDVALIDITY 7)
        S: * LIST () "/" a
        S: * STATUS "a" ()
        S: * LIST () "/" b
        S: * STATUS "b")");
    ASSERT_EQ(got.folders.size(), 3U);
    EXPECT_EQ(got.folders[0].state->uid_next, 0U);
    EXPECT_EQ(got.folders[1].state->uid_validity, 0U);
    EXPECT_EQ(got.folders[2].state->messages, 0U);
}

// quirk gmail. Labels as in node-imap#187: X-GM-LABELS ("\\Inbox" "\\Important").
TEST(imap_quirks, gmails_folders) {
    const listing got = list("X-GM-EXT-1 SPECIAL-USE LIST-EXTENDED LIST-STATUS", R"(
        C: P1 LIST "" "*" RETURN (SUBSCRIBED SPECIAL-USE STATUS (MESSAGES UIDNEXT UIDVALIDITY))
        S: * LIST (\HasNoChildren) "/" "INBOX"
        S: * LIST (\HasChildren \Noselect) "/" "[Gmail]"
        S: * LIST (\All \HasNoChildren) "/" "[Gmail]/Alle Nachrichten"
        S: * LIST (\HasNoChildren) "/" "[Gmail]/Chats"
        S: * LIST (\HasNoChildren \Sent) "/" "[Gmail]/Gesendet"
        S: P1 OK Success)");
    ASSERT_EQ(got.folders.size(), 5U);
    EXPECT_FALSE(got.folders[1].selectable);
    EXPECT_EQ(got.folders[2].left_out, "");
    EXPECT_EQ(got.folders[3].left_out, "Gmail's chats are no mail");
    EXPECT_EQ(got.folders[4].left_out, "");
}

TEST(imap_quirks, gmails_labels_say_where_a_message_is_as_well) {
    const std::string_view script = R"(
        C: P1 LIST <any>
        S: * LIST () "/" "INBOX"
        S: * LIST (\All) "/" "[Gmail]/All Mail"
        S: * LIST (\Sent) "/" "[Gmail]/Sent Mail"
        S: * LIST (\Flagged) "/" "[Gmail]/Starred"
        S: * LIST () "/" "B&APw-ro/2020"
        S: P1 OK
        C: P2 EXAMINE "[Gmail]/All Mail"
        C: P3 UID FETCH 1:* (UID X-GM-LABELS)
        C: P4 UID SEARCH ALL
        C: P5 EXAMINE INBOX
        C: P6 UID SEARCH ALL
        S: * 5 EXISTS
        S: * OK [UIDVALIDITY 11] UIDs valid.
        S: P2 OK
        S: * 1 FETCH (X-GM-LABELS ("\\Inbox" "\\Important") UID 1)
        S: * 2 FETCH (X-GM-LABELS ("\\Sent" \\Starred) UID 2)
        S: * 3 FETCH (X-GM-LABELS ("B&APw-ro/2020") UID 3)
        S: * 4 FETCH (X-GM-LABELS () UID 4)
        S: * 5 FETCH (X-GM-LABELS ("hidden from IMAP") UID 5)
        S: P3 OK Success
        S: * SEARCH 1 2 3 4 5
        S: P4 OK SEARCH completed (Success)
        S: * 1 EXISTS
        S: * OK [UIDVALIDITY 1] UIDs valid.
        S: P5 OK
        S: * SEARCH 1
        S: P6 OK)";
    const std::vector<scan_request> folders{{.handle = "[Gmail]/All Mail"}, {.handle = "INBOX"}};
    EXPECT_THAT(list_and_scan("X-GM-EXT-1 LIST-EXTENDED LIST-STATUS", script, folders),
                ElementsAre("0 also 1 in INBOX", "0 also 2 in [Gmail]/Sent Mail, [Gmail]/Starred",
                            "0 also 3 in B&APw-ro/2020", "0 done v11 m5: 1:5", "1 done v1 m1: 1"));
}

TEST(imap_quirks, without_its_labels_all_mail_is_not_copied) {
    EXPECT_THAT(list_and_scan("X-GM-EXT-1 LIST-EXTENDED LIST-STATUS", R"(
        C: P1 LIST <any>
        S: * LIST () "/" "INBOX"
        S: * LIST (\All) "/" "all"
        S: P1 OK
        C: P2 EXAMINE all
        C: P3 UID FETCH 1:* (UID X-GM-LABELS)
        C: P4 UID SEARCH ALL
        S: * 5 EXISTS
        S: P2 OK
        S: P3 NO [THROTTLED] later
        S: * SEARCH 1 2 3 4 5
        S: P4 OK)",
                              {{.handle = "all"}}),
                ElementsAre(HasSubstr("0 failed: Gmail's labels could not be read")));
}

std::vector<std::string> append(std::string_view capabilities, std::string_view script,
                                const std::vector<support::test_message>& messages, std::string_view quirks = "") {
    std::vector<std::string> log;
    const std::function<task<result<void>>(imap_mailbox&)> use = [&](imap_mailbox& box) -> task<result<void>> {
        support::list_feed feed(messages, log);
        co_return co_await box.append(feed);
    };
    const auto ok = support::play_once<result<void>>(capabilities, script, use, with_quirks(quirks));
    if (!ok) log.push_back("failed: " + ok.error().message());
    return log;
}

// quirk davmail
TEST(imap_quirks, an_appenduid_that_cannot_be_believed_is_not_used) {
    EXPECT_THAT(append("UIDPLUS", R"(
        C: P1 APPEND x () {3}
        S: + OK
        C: one
        S: P1 OK [APPENDUID 41 1] APPEND completed)",
                       {{.flags = "", .body = "one"}}, "davmail"),
                ElementsAre("stored 1 as v0 "));
}

// RFC 6855, section 6: UTF8=ONLY
TEST(imap_quirks, who_speaks_utf_8_only_is_spoken_to_in_utf_8) {
    const listing got = list("ENABLE UTF8=ONLY LIST-EXTENDED LIST-STATUS", R"(
        C: P1 ENABLE UTF8=ACCEPT
        S: * ENABLED UTF8=ACCEPT
        S: P1 OK
        C: P2 LIST <any>
        S: * LIST () "/" INBOX
        S: * LIST () "/" "Entw\xc3\xbcrfe"
        S: * LIST () "/" "R&D-"
        S: P2 OK)");
    EXPECT_THAT(names(got), ElementsAre("INBOX <INBOX>", "Entw\u00fcrfe <Entw\u00fcrfe>", "R&D- <R&D->"));
    EXPECT_THAT(append("ENABLE UTF8=ONLY LITERAL+ MULTIAPPEND", R"(
        C: P1 ENABLE UTF8=ACCEPT
        S: * ENABLED UTF8=ACCEPT
        S: P1 OK
        C: P2 APPEND x () UTF8 (~{3}
        S: + go on
        C~ one)
        C~  () UTF8 (~{3+}\r\n
        C: two)
        S: P2 OK)",
                       {{.flags = "", .body = "one"}, {.flags = "", .body = "two"}}),
                ElementsAre("stored 1,2 as v0 "));
    EXPECT_THAT(append("ENABLE UTF8=ACCEPT", R"(
        C: P1 APPEND x () {3}
        S: + go on
        C: one
        S: P1 OK)",
                       {{.flags = "", .body = "one"}}),
                ElementsAre("stored 1 as v0 "))
        << "hMailServer's fork offers UTF8=ACCEPT and rejects UTF8 in APPEND";
}

TEST(imap_quirks, flags_are_not_changed_where_the_uids_mean_other_messages) {
    const flag_change change{.uids = *uid_set::parse("3"), .add = {"\\Seen"}, .remove = {}, .uid_validity = 7};
    const auto changed = play<result<void>>("", R"(
        C: P1 SELECT x
        S: * OK [UIDVALIDITY 8] UIDs valid
        S: P1 OK)",
                                            [&](imap_mailbox& box) { return box.change_flags("x", {&change, 1}); });
    ASSERT_FALSE(changed);
    EXPECT_EQ(changed.error().cls, retry_class::transient);
    EXPECT_THAT(changed.error().what, HasSubstr("UIDVALIDITY"));
}

// RFC 4314, RFC 5464
TEST(imap_rights, are_read_without_the_owners_and_annotations_are_noticed) {
    const std::vector<std::string> handles{"INBOX", "Team x"};
    const auto got = play<result<std::vector<folder_extras>>>("ACL METADATA", R"(
        C: P1 GETACL INBOX
        C: P2 GETMETADATA (DEPTH infinity) INBOX (/private /shared)
        C: P3 GETACL "Team x"
        C: P4 GETMETADATA (DEPTH infinity) "Team x" (/private /shared)
        S: * ACL INBOX anna lrswipkxtecda
        S: P1 OK
        S: * METADATA INBOX (/private/comment "mine")
        S: P2 OK
        S: * ACL "Team x" "otto the \\"great\\"" lrs anyone l "$staff" "l r" anna lrs
        S: P3 OK
        S: P4 NO none)",
                                                              [&](imap_mailbox& box) { return box.extras(handles); });
    ASSERT_TRUE(got);
    EXPECT_THAT((*got)[0].rights, IsEmpty());
    EXPECT_TRUE((*got)[0].annotated);
    EXPECT_THAT((*got)[1].rights, ElementsAre(access_right{"otto the \"great\"", "lrs"}, access_right{"anyone", "l"},
                                              access_right{"$staff", "lr"}));
    EXPECT_FALSE((*got)[1].annotated);
}

TEST(imap_rights, that_are_refused_are_named) {
    const std::vector<rights_wish> wishes{{.handle = "Team", .rights = {{"otto", "lrs"}, {"nobody here", "l"}}}};
    const auto refused = play<result<std::vector<std::string>>>("ACL", R"(
        C: P1 SETACL Team otto lrs
        C: P2 SETACL Team "nobody here" l
        S: P1 OK
        S: P2 NO [CANNOT] no such user)",
                                                                [&](imap_mailbox& box) { return box.grant(wishes); });
    ASSERT_TRUE(refused);
    EXPECT_THAT(*refused, ElementsAre("l for \"nobody here\" to Team: \"NO [CANNOT] no such user\""));
}

} // namespace
} // namespace postferry::mailbox

#include "support/mailbox_script.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::mailbox {
namespace {

using support::play;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string describe(const listed_folder& f) {
    std::string out = fmt::format("{} <{}>", f.name, f.handle);
    if (!f.selectable) out += " closed";
    if (f.subscribed) out += " subscribed";
    if (!f.personal) out += " foreign";
    if (f.state) {
        out += fmt::format(" v{} n{} m{} h{}", f.state->uid_validity, f.state->uid_next, f.state->messages,
                           f.state->modseq);
        if (f.state->octets) out += fmt::format(" o{}", *f.state->octets);
    }
    return out;
}

struct listed {
    std::vector<std::string> folders;
    std::vector<std::string> notes;
    listing all;
};

listed list(std::string_view capabilities, std::string_view script, bool with_octets = false,
            imap_options options = {}) {
    listed out;
    auto got = play<result<listing>>(
        capabilities, script, [&](imap_mailbox& box) { return box.list(with_octets); }, nullptr, options);
    if (!got) {
        out.folders.push_back("failed: " + got.error().message());
        return out;
    }
    for (const listed_folder& f : got->folders) out.folders.push_back(describe(f));
    out.notes = got->notes;
    out.all = std::move(*got);
    return out;
}

constexpr std::string_view extended = "LIST-EXTENDED LIST-STATUS";

/// A listing by LIST-STATUS without NAMESPACE, of these LIST and STATUS lines.
listed plain_list(std::string_view lines, imap_options options = {}) {
    return list(extended,
                fmt::format(R"(
        C: P1 LIST "" "*" RETURN (SUBSCRIBED STATUS (MESSAGES UIDNEXT UIDVALIDITY))
        {}
        S: P1 OK)",
                            lines),
                false, std::move(options));
}

TEST(imap_list, everything_in_one_round_trip) {
    const listed got = list("NAMESPACE LIST-EXTENDED LIST-STATUS SPECIAL-USE CONDSTORE ENABLE STATUS=SIZE", R"(
        C: P1 ENABLE CONDSTORE
        C: P2 NAMESPACE
        C: P3 LIST "" "*" RETURN (SUBSCRIBED SPECIAL-USE STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ SIZE))
        S: * ENABLED CONDSTORE
        S: P1 OK
        S: * NAMESPACE (("" "/")) NIL NIL
        S: P2 OK
        S: * LIST (\HasNoChildren \Subscribed) "/" INBOX
        S: * STATUS INBOX (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 7 HIGHESTMODSEQ 9 SIZE 1000)
        S: * LIST (\Noselect \HasChildren) "/" Work
        S: * LIST (\Sent) "/" "Work/Sent Items"
        S: * STATUS "Work/Sent Items" (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 8 HIGHESTMODSEQ 1 SIZE 0)
        S: P3 OK)",
                            true);
    EXPECT_THAT(got.folders, ElementsAre("INBOX <INBOX> subscribed v7 n4 m3 h9 o1000", "Work <Work> closed",
                                         "Work/Sent Items <Work/Sent Items> v8 n1 m0 h1 o0"));
    EXPECT_THAT(got.all.folders[2].attributes, ElementsAre("\\Sent"));
    EXPECT_EQ(got.all.delimiter, '/');
    EXPECT_TRUE(got.all.children_of_inbox);
}

TEST(imap_list, of_an_old_server) {
    const listed got = list("", R"(
        C: P1 LIST "" "*"
        C: P2 LSUB "" "*"
        S: * LIST () "." INBOX
        S: * LIST () "." INBOX.b
        S: * LIST (\NoSelect) "." c
        S: P1 OK
        S: * LSUB () "." INBOX.b
        S: P2 OK
        C: P3 STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY)
        C: P4 STATUS INBOX.b (MESSAGES UIDNEXT UIDVALIDITY)
        S: * STATUS "inbox" (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 3)
        S: P3 OK
        S: P4 NO [NOPERM] not yours)");
    EXPECT_THAT(got.folders, ElementsAre("INBOX <INBOX> v3 n2 m1 h0", "INBOX/b <INBOX.b> subscribed", "c <c> closed"));
}

TEST(imap_list, without_list_status_states_are_asked_for_in_one_go) {
    const listed got = list("LIST-EXTENDED", R"(
        C: P1 LIST "" "*" RETURN (SUBSCRIBED)
        S: * LIST (\Subscribed) "/" INBOX
        S: * LIST () "/" "a \"b\""
        S: P1 OK
        C: P2 STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY)
        C: P3 STATUS "a \\"b\\"" (MESSAGES UIDNEXT UIDVALIDITY)
        S: * STATUS INBOX (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 3)
        S: P2 OK
        S: * STATUS "a \"b\"" (MESSAGES 5 UIDNEXT 6 UIDVALIDITY 7)
        S: P3 OK)");
    EXPECT_THAT(got.folders, ElementsAre("INBOX <INBOX> subscribed v3 n2 m1 h0", "a \"b\" <a \"b\"> v7 n6 m5 h0"));
}

TEST(imap_list, the_prefix_of_the_namespace_is_taken_off_and_foreign_ones_are_marked) {
    const listed got = list("NAMESPACE LIST-EXTENDED LIST-STATUS", R"(
        C: P1 NAMESPACE
        C: P2 LIST "" "*" RETURN (SUBSCRIBED STATUS (MESSAGES UIDNEXT UIDVALIDITY))
        S: * NAMESPACE (("INBOX." ".")) (("user." ".")) (("shared." "."))
        S: P1 OK
        S: * LIST () "." INBOX
        S: * LIST () "." INBOX.a.b
        S: * LIST () "." Inbox.c
        S: * LIST (\Noselect) "." user
        S: * LIST () "." user.otto
        S: * LIST () "." shared.all
        S: P2 OK)");
    EXPECT_THAT(got.folders,
                ElementsAre("INBOX <INBOX>", "a/b <INBOX.a.b>", "c <Inbox.c>", "user <user> closed foreign",
                            "user/otto <user.otto> foreign", "shared/all <shared.all> foreign"));
    EXPECT_FALSE(got.all.children_of_inbox);
}

TEST(imap_list, odd_delimiters) {
    EXPECT_THAT(plain_list(R"(
        S: * LIST () "\\" INBOX
        S: * LIST () "\\" "a\\b"
        S: * LIST () NIL flat/name
        S: * LIST () "." "a/b.c")")
                    .folders,
                ElementsAre("INBOX <INBOX>", "a/b <a\\b>", "flat\u2215name <flat/name>", "a\u2215b/c <a/b.c>"));
}

TEST(imap_list, inbox_has_no_case_and_comes_once) {
    EXPECT_THAT(plain_list(R"(
        S: * LIST () "/" Inbox
        S: * STATUS inbox (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 3)
        S: * LIST (\Subscribed) "/" INBOX
        S: * LIST () "/" inbox/a
        S: * LIST () "/" a
        S: * LIST (\Subscribed) "/" a)")
                    .folders,
                ElementsAre("INBOX <Inbox> subscribed v3 n2 m1 h0", "INBOX/a <inbox/a>", "a <a> subscribed"));
}

TEST(imap_list, names_that_are_no_modified_utf_7) {
    const listed got = plain_list(R"(
        S: * LIST () "/" INBOX
        S: * LIST () "/" "Entw&APw-rfe"
        S: * LIST () "/" "Tom & Jerry"
        S: * LIST () "/" "\xe4rger/Tom & Jerry"
        S: * LIST () "/" "J\xc3\xb6rg")");
    EXPECT_THAT(got.folders, ElementsAre("INBOX <INBOX>", "Entwürfe <Entw&APw-rfe>", "Tom & Jerry <Tom & Jerry>",
                                         "\\xe4rger/Tom & Jerry <\xe4rger/Tom & Jerry>", "Jörg <Jörg>"));
    EXPECT_THAT(got.notes, ElementsAre(HasSubstr("rger")));
}

TEST(imap_list, a_delimiter_at_the_end_is_no_level) {
    EXPECT_THAT(plain_list(R"(
        S: * LIST () "/" INBOX
        S: * LIST (\Noselect) "/" a/
        S: * LIST () "/" a/b)")
                    .folders,
                ElementsAre("INBOX <INBOX>", "a <a> closed", "a/b <a/b>"));
}

TEST(imap_list, below_a_prefix_only) {
    imap_options options;
    options.prefix = "old/mail";
    EXPECT_THAT(plain_list(R"(
        S: * LIST () "/" INBOX
        S: * LIST () "/" old
        S: * LIST () "/" old/mail
        S: * LIST () "/" old/mail/a
        S: * LIST () "/" old/mailbox)",
                           options)
                    .folders,
                ElementsAre("INBOX <INBOX>", "a <old/mail/a>"));
}

TEST(imap_list, a_server_that_trips_over_the_extended_form) {
    for (const char* verdict : {"BAD what is SPECIAL-USE", "NO internal error"}) {
        EXPECT_THAT(list("LIST-EXTENDED", fmt::format(R"(
            C: P1 LIST "" "*" RETURN (SUBSCRIBED)
            S: P1 {}
            C: P2 LIST "" "*"
            C: P3 LSUB "" "*"
            S: * LIST () "/" INBOX
            S: P2 OK
            S: * LSUB () "/" INBOX
            S: P3 OK
            C: P4 STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY)
            S: P4 OK)",
                                                      verdict))
                        .folders,
                    ElementsAre("INBOX <INBOX> subscribed"));
    }
}

TEST(imap_list, an_extended_list_that_forgets_the_inbox) {
    EXPECT_THAT(list("LIST-EXTENDED", R"(
        C: P1 LIST "" "*" RETURN (SUBSCRIBED)
        S: * LIST (\Subscribed) "/" a
        S: P1 OK
        C: P2 LIST "" "*"
        C: P3 LSUB "" "*"
        S: * LIST () "/" INBOX
        S: * LIST () "/" a
        S: P2 OK
        S: P3 OK
        C: P4 STATUS a (MESSAGES UIDNEXT UIDVALIDITY)
        C: P5 STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY)
        S: P4 OK
        S: P5 OK)")
                    .folders,
                ElementsAre("a <a> subscribed", "INBOX <INBOX>"));
}

TEST(imap_list, refused) {
    EXPECT_THAT(list("", R"(
        C: P1 LIST "" "*"
        C: P2 LSUB "" "*"
        S: P1 NO [UNAVAILABLE] later
        S: P2 NO later)")
                    .folders,
                ElementsAre(HasSubstr("refused to list the folders")));
}

TEST(imap_list, handles_of_names) {
    const auto handle_of = [](std::string_view space, imap_options options, std::string_view name) {
        std::string out;
        const std::function<task<result<void>>(imap_mailbox&)> use = [&](imap_mailbox& box) -> task<result<void>> {
            auto ok = co_await box.list(false);
            out = box.handle_of(name);
            if (!ok) co_return std::unexpected(ok.error());
            co_return result<void>{};
        };
        (void)support::play_once<result<void>>("NAMESPACE LIST-EXTENDED LIST-STATUS",
                                               fmt::format(R"(
            C: P1 NAMESPACE
            C: P2 LIST <any>
            S: * NAMESPACE ({}) NIL NIL
            S: P1 OK
            S: * LIST () "." INBOX
            S: P2 OK)",
                                                           space),
                                               use, options);
        return out;
    };
    imap_options below;
    below.prefix = "Old";
    EXPECT_EQ(handle_of(R"(("INBOX." "."))", {}, "a/b"), "INBOX.a.b");
    EXPECT_EQ(handle_of(R"(("INBOX." "."))", {}, "inbox"), "INBOX");
    EXPECT_EQ(handle_of(R"(("" "."))", {}, "Entwürfe/b"), "Entw&APw-rfe.b");
    EXPECT_EQ(handle_of(R"(("" "."))", below, "a"), "Old.a");
    EXPECT_EQ(handle_of(R"(("" "."))", below, "INBOX"), "INBOX");
}

} // namespace
} // namespace postferry::mailbox

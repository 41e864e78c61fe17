// Rows of docs/quirks.md as transcripts: what servers said in the cited threads, and what comes of it.
#include "mailbox/detail/odd_messages.hpp"
#include "support/quirk_script.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::mailbox {
namespace {

using support::fetch;
using support::list;
using support::list_and_scan;
using support::names;
using support::play;
using support::with_quirks;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view open_x = R"(
        C: P1 EXAMINE x
        C: P2 UID FETCH 3 (UID FLAGS INTERNALDATE BODY.PEEK[])
        S: * OK [UIDVALIDITY 7] v
        S: P1 OK)";

// quirk empty-body: OI#62, "00005 UID FETCH 20004 (BODY.PEEK[])", "00005 OK FETCH completed."
TEST(imap_quirks, ok_without_a_body_is_asked_for_in_halves) {
    EXPECT_THAT(fetch("3", fmt::format(R"({}
        S: P2 OK FETCH completed.
        C: P3 EXAMINE x
        C: P4 UID FETCH 3 (UID FLAGS INTERNALDATE BODY.PEEK[])
        S: * OK [UIDVALIDITY 7] v
        S: P3 OK
        S: * 280 FETCH (UID 3 FLAGS () INTERNALDATE NIL BODY[] NIL)
        S: P4 OK FETCH completed.
        C: P5 EXAMINE x
        C: P6 UID FETCH 3 (UID FLAGS INTERNALDATE BODY.PEEK[HEADER] BODY.PEEK[TEXT])
        S: * OK [UIDVALIDITY 7] v
        S: P5 OK
        S: * 280 FETCH (UID 3 FLAGS (\Seen) INTERNALDATE NIL BODY[HEADER] {{8}}
        S~ A: b\r\n\r\n
        S:  BODY[TEXT] {{2}}
        S~ hi
        S: )
        S: P6 OK FETCH completed.)",
                                       open_x)),
                ElementsAre("0/3 (\\Seen) - 10 in halves: A: b\r\n\r\nhi|"));
}

TEST(imap_quirks, halves_are_not_the_message_on_zimbra) {
    EXPECT_THAT(fetch("3",
                      fmt::format(R"({}
        S: P2 OK
        C: P3 EXAMINE x
        C: P4 UID FETCH 3 (UID FLAGS INTERNALDATE BODY.PEEK[])
        S: * OK [UIDVALIDITY 7] v
        S: P3 OK
        S: P4 OK)",
                                  open_x),
                      "zimbra"),
                ElementsAre("0 missing 3"));
}

TEST(imap_quirks, a_text_without_its_header_is_no_message) {
    for (const char* halves : {"BODY[HEADER] NIL BODY[TEXT] \"hi\"", "BODY[TEXT] \"hi\"", "BODY[HEADER] \"A: b\""}) {
        EXPECT_THAT(fetch("3", fmt::format(R"({}
            S: P2 OK
            C: P3 EXAMINE x
            C: P4 UID FETCH 3 <any>
            S: * OK [UIDVALIDITY 7] v
            S: P3 OK
            S: P4 OK
            C: P5 EXAMINE x
            C: P6 UID FETCH 3 <any>
            S: * OK [UIDVALIDITY 7] v
            S: P5 OK
            S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE NIL {})
            S: P6 OK)",
                                           open_x, halves)),
                    ElementsAre("0 missing 3"))
            << halves;
    }
}

// quirk exchange: the notice, as quoted in OI#62.
constexpr std::string_view notice =
    "MIME-Version: 1.0\\r\\nFrom: Microsoft Exchange Server 2010\\r\\n"
    "Subject: Retrieval using the IMAP4 protocol failed for the following\\r\\n message: 20004\\r\\n\\r\\n"
    "The server couldn't retrieve the following message:\\r\\n";
constexpr std::size_t notice_octets = 199;

TEST(imap_quirks, exchanges_notice_is_not_the_message) {
    const std::string script = fmt::format(R"({}
        S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE NIL BODY[] {{{}}}
        S~ {}
        S: )
        S: P2 OK FETCH completed.)",
                                           open_x, notice_octets, notice);
    EXPECT_THAT(fetch("3", script, "exchange"), ElementsAre(StartsWith("0 missing 3: \"Retrieval using the IMAP4")));
    EXPECT_THAT(fetch("3", script), ElementsAre(HasSubstr("Retrieval using"))) << "a mail about it is a mail elsewhere";
}

TEST(imap_quirks, mail_from_exchange_arrives_whole) {
    const std::string letter = "Subject: Retrieval of the car\\r\\n\\r\\nhi";
    EXPECT_THAT(fetch("3",
                      fmt::format(R"({}
        S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE NIL BODY[] {{35}}
        S~ {}
        S: )
        S: P2 OK)",
                                  open_x, letter),
                      "exchange"),
                ElementsAre("0/3 () - 35: Subject: Retrieval of the car\r\n\r\nhi|"));
    EXPECT_THAT(fetch("3",
                      fmt::format(R"({}
        S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE NIL BODY[] {{3}}
        S~ hi!
        S: )
        S: P2 OK)",
                                  open_x),
                      "exchange"),
                ElementsAre("0/3 () - 3: hi!|"));
}

TEST(imap_quirks, kinds_of_messages) {
    using detail::kind_of_message;
    using detail::odd_message;
    EXPECT_EQ(kind_of_message("From: Mail System Internal Data <MAILER-DAEMON@mail.example.org>\r\n"
                              "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\r\n"
                              "X-IMAP: 1132742306 0000000001\r\n\r\nThis text is part of"),
              odd_message::internal_data);
    EXPECT_EQ(kind_of_message("Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\r\n\r\nX-IMAP: what is it?"),
              odd_message::none);
    EXPECT_EQ(kind_of_message("Subject: Re: Retrieval using the IMAP4 protocol failed for the following message: 1"),
              odd_message::none);
    EXPECT_EQ(kind_of_message(""), odd_message::none);
}

// quirk short-literal: MK#954. Announced are one and two octets less than come.
TEST(imap_quirks, octets_too_many_end_the_line_and_reach_no_other_message) {
    for (const auto& [announced, octets] : {std::pair(9, "0123456789"), std::pair(8, "0123456789"),
                                            std::pair(8, "01234567\\r\\n"), std::pair(9, "01234567))")}) {
        const auto log = fetch("3:4", fmt::format(R"(
            C: P1 EXAMINE x
            C: P2 UID FETCH 3:4 <any>
            S: * OK [UIDVALIDITY 7] v
            S: P1 OK
            S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE NIL BODY[] {{{}}}
            S~ {}
            S: )
            S: * 2 FETCH (UID 4 FLAGS () INTERNALDATE NIL BODY[] {{2}}
            S~ hi
            S: )
            S: P2 OK)",
                                                  announced, octets));
        ASSERT_THAT(log, ::testing::SizeIs(2)) << octets;
        EXPECT_THAT(log[0], ::testing::Not(::testing::EndsWith("|"))) << "it was called complete: " << octets;
        EXPECT_THAT(log[1], HasSubstr("failed: ")) << octets;
    }
}

// quirk absent-body: MK#1708; quirk missing-star: "NO Server Unavailable. 15".
TEST(imap_quirks, a_body_without_value_and_a_no_without_star) {
    EXPECT_THAT(fetch("3:4", R"(
        C: P1 EXAMINE x
        C: P2 UID FETCH 3:4 <any>
        S: * OK [UIDVALIDITY 7] v
        S: P1 OK
        S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE NIL BODY[])
        S: NO Server Unavailable. 15
        S: * 2 FETCH (UID 4 FLAGS () INTERNALDATE NIL BODY[] {2}
        S~ hi
        S: )
        S: P2 OK
        C: P3 EXAMINE x
        C: P4 UID FETCH 3 (UID FLAGS INTERNALDATE BODY.PEEK[])
        S: * OK [UIDVALIDITY 7] v
        S: P3 OK
        S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE NIL BODY[])
        S: P4 NO [UNAVAILABLE] UID FETCH Server error while fetching messages)"),
                ElementsAre("0/4 () - 2: hi|", StartsWith("0 missing 3: \"NO [UNAVAILABLE] UID FETCH")));
}

// quirk absurd-sequence-number: MK#428, MK#435. quirk unsolicited-fetch. quirk late-items.
TEST(imap_quirks, fetch_is_keyed_by_uid) {
    EXPECT_THAT(fetch("3:4", R"(
        C: P1 EXAMINE x
        C: P2 UID FETCH 3:4 <any>
        S: * OK [UIDVALIDITY 7] v
        S: * 2 EXISTS
        S: P1 OK
        S: * 0 FETCH (FLAGS (\Seen))
        S: * 30 FETCH (UID 3 FLAGS () INTERNALDATE NIL BODY[] {2}
        S~ hi
        S: )
        S: * 1 FETCH (FLAGS (\Deleted))
        S: * 9 FETCH (UID 9 FLAGS () INTERNALDATE NIL BODY[] {2}
        S~ no
        S: )
        S: * 4294967295 FETCH (UID 4 FLAGS () INTERNALDATE NIL BODY[] {2}
        S~ ho
        S: )
        S: P2 OK)"),
                ElementsAre("0/3 () - 2: hi|", "0/4 () - 2: ho|"));
}

// quirk internaldate: MK#1236 (00-Jan-0000), Zarafa (NIL), IS#96 (one digit)
TEST(imap_quirks, dates_that_are_none_and_one_digit_days) {
    for (const auto& [sent, read] :
         {std::pair(R"("00-Jan-0000 00:00:00 +0000")", "-"), std::pair("NIL", "-"),
          std::pair(R"("01-Jan-1980 00:00:00 -0000")", " 1-Jan-1980 00:00:00 +0000"),
          std::pair(R"("1-Feb-2003 4:05:06 +0100")", " 1-Feb-2003 04:05:06 +0100"), std::pair(R"("")", "-")}) {
        EXPECT_THAT(fetch("3", fmt::format(R"({}
            S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE {} BODY[] {{2}}
            S~ hi
            S: )
            S: P2 OK)",
                                           open_x, sent)),
                    ElementsAre(fmt::format("0/3 () {} 2: hi|", read)))
            << sent;
    }
}

// quirk size-lies, float-number (MK#1838), nil-number, negative-number, double-parentheses (MK#943)
TEST(imap_quirks, only_the_literal_tells_the_size) {
    for (const char* item : {"RFC822.SIZE 1", "RFC822.SIZE 9.3736e+06", "RFC822.SIZE NIL", "MODSEQ (-1)",
                             "RFC822.SIZE -1", R"((ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)))"}) {
        EXPECT_THAT(fetch("3", fmt::format(R"({}
            S: * 1 FETCH (UID 3 {} FLAGS () INTERNALDATE NIL BODY[] {{2}}
            S~ hi
            S: )
            S: P2 OK)",
                                           open_x, item)),
                    ElementsAre("0/3 () - 2: hi|"))
            << item;
    }
}

// quirk command-length
TEST(imap_quirks, sets_of_uids_are_cut_to_the_servers_lines) {
    std::string uids;
    for (unsigned uid = 4'000'000'001; uid < 4'000'000'101; uid += 2)
        uids += (uids.empty() ? "" : ",") + std::to_string(uid);
    const std::vector<fetch_request> requests{{.handle = "x", .uid_validity = 7, .uids = *uid_set::parse(uids)}};
    std::vector<std::string> log;
    auto record = std::make_shared<support::line_record>();
    const std::function<task<result<void>>(imap_mailbox&)> use = [&](imap_mailbox& box) -> task<result<void>> {
        support::noting_message_sink sink(log);
        co_return co_await box.fetch(requests, fetch_part::whole, sink);
    };
    (void)support::play_once<result<void>>("", R"(
        C: P1 EXAMINE x
        C: P2 UID FETCH <any>
        C: P3 UID FETCH <any>
        S: P1 NO that is all)",
                                           use, with_quirks("yahoo"), {}, record);
    std::size_t longest = 0;
    for (std::size_t from = 0, to = 0; (to = record->written.find('\n', from)) != std::string::npos; from = to + 1)
        longest = std::max(longest, to - from);
    EXPECT_LT(longest, 1000U);
    EXPECT_GT(longest, 400U);
}

TEST(imap_quirks, one_message_per_fetch_where_it_is_forced) {
    EXPECT_THAT(fetch("3:4", R"(
        C: P1 EXAMINE x
        C: P2 UID FETCH 3 <any>
        C: P3 UID FETCH 4 <any>
        S: * OK [UIDVALIDITY 7] v
        S: P1 OK
        S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE NIL BODY[] {2}
        S~ hi
        S: )
        S: P2 OK
        S: * 2 FETCH (UID 4 FLAGS () INTERNALDATE NIL BODY[] {2}
        S~ ho
        S: )
        S: P3 OK)",
                      "one-by-one"),
                ElementsAre("0/3 () - 2: hi|", "0/4 () - 2: ho|"));
}

// quirk netease: "NO SELECT Unsafe Login. Please contact kefu@188.com for help" without ID.
TEST(imap_quirks, id_goes_ahead_of_everything_and_costs_no_round_trip) {
    EXPECT_THAT(fetch("3", R"(
        C: P1 ID ("name" "postferry" "version" <any>)
        C: P2 EXAMINE x
        C: P3 UID FETCH 3 <any>
        S: * ID NIL
        S: P1 OK ID completed
        S: * OK [UIDVALIDITY 7] v
        S: P2 OK
        S: * 1 FETCH (UID 3 FLAGS () INTERNALDATE NIL BODY[] {2}
        S~ hi
        S: )
        S: P3 OK)",
                      "", "ID"),
                ElementsAre("0/3 () - 2: hi|"));
    EXPECT_THAT(fetch("3", R"(
        C: P1 ID <any>
        C: P2 EXAMINE x
        C: P3 UID FETCH 3 <any>
        S: P1 BAD invalid command
        S: P2 NO that is all
        S: P3 BAD)",
                      "netease"),
                ElementsAre(HasSubstr("unavailable")));
}

TEST(imap_quirks, the_answer_to_id_tells_the_server_apart) {
    std::vector<std::string> known;
    const std::function<task<result<void>>(imap_mailbox&)> use = [&](imap_mailbox& box) -> task<result<void>> {
        auto listed = co_await box.list(false);
        known.clear();
        for (const client::applied_quirk& q : box.quirks()) known.push_back(fmt::format("{}: {}", q.what->name, q.why));
        if (!listed) co_return std::unexpected(listed.error());
        co_return result<void>{};
    };
    (void)support::play_once<result<void>>("ID LIST-EXTENDED LIST-STATUS", R"(
        C: P1 ID <any>
        C: P2 LIST "" "*" RETURN (SUBSCRIBED STATUS (MESSAGES UIDNEXT UIDVALIDITY))
        S: * ID ("name" "Dovecot")
        S: P1 OK
        S: * LIST () "/" INBOX
        S: P2 OK)",
                                           use);
    EXPECT_THAT(known, ElementsAre("dovecot: its ID says name \"Dovecot\""));
}

// quirks exchange-2003 (MK#1512: the connection drops), zimbra, strato (MK#1957)
TEST(imap_quirks, what_a_server_cannot_bear_is_not_asked) {
    EXPECT_THAT(names(list("NAMESPACE LIST-EXTENDED", R"(
        C: P1 LIST "" "*"
        C: P2 LSUB "" "*"
        S: * LIST (\Marked \HasNoChildren) "/" INBOX
        S: P1 OK
        S: P2 OK
        C: P3 STATUS INBOX <any>
        S: P3 OK)",
                           with_quirks("exchange-2003,zimbra"))),
                ElementsAre("INBOX <INBOX>"));
}

// quirk modseq-refused: a server that offers CONDSTORE and does not take it
TEST(imap_quirks, condstore_that_is_refused_is_done_without) {
    EXPECT_THAT(list_and_scan("CONDSTORE", R"(
        C: P1 LIST "" "*"
        C: P2 LSUB "" "*"
        S: * LIST () "/" x
        S: * LIST () "/" INBOX
        S: P1 OK
        S: P2 OK
        C: P3 STATUS x (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ)
        C: P4 STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ)
        S: P3 BAD expected status-att instead of "HIGHESTMODSEQ"
        S: P4 BAD expected status-att instead of "HIGHESTMODSEQ"
        C: P5 STATUS x (MESSAGES UIDNEXT UIDVALIDITY)
        C: P6 STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY)
        S: P5 OK
        S: P6 OK
        C: P7 EXAMINE x
        C: P8 UID SEARCH ALL
        S: * 1 EXISTS
        S: * OK [UIDVALIDITY 7] v
        S: P7 OK
        S: * SEARCH 3
        S: P8 OK)",
                              {{.handle = "x"}}),
                ElementsAre("0 done v7 m1: 3"));
    EXPECT_THAT(list_and_scan("CONDSTORE LIST-EXTENDED LIST-STATUS", R"(
        C: P1 LIST <any>
        S: * LIST () "/" INBOX
        S: P1 OK
        C: P2 EXAMINE x (CONDSTORE)
        C: P3 UID SEARCH ALL
        S: P2 BAD what is CONDSTORE
        S: P3 BAD no folder
        C: P4 EXAMINE x
        C: P5 UID FETCH 1:* (UID)
        S: * 1 EXISTS
        S: * OK [UIDVALIDITY 7] v
        S: P4 OK
        S: * 1 FETCH (UID 3)
        S: P5 OK)",
                              {{.handle = "x"}}),
                ElementsAre("0 done v7 m1: 3"));
    EXPECT_THAT(names(list("CONDSTORE ENABLE", R"(
        C: P1 LIST "" "*"
        C: P2 LSUB "" "*"
        S: * LIST () "/" INBOX
        S: P1 OK
        S: P2 OK
        C: P3 STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY)
        S: P3 OK)",
                           with_quirks("ionos"))),
                ElementsAre("INBOX <INBOX>"));
}

// quirk yandex
TEST(imap_quirks, where_search_is_unreliable_fetch_lists_and_measures) {
    EXPECT_THAT(list_and_scan("LIST-EXTENDED LIST-STATUS", R"(
        C: P1 LIST <any>
        S: * LIST () "|" INBOX
        S: P1 OK
        C: P2 EXAMINE x
        C: P3 UID FETCH 1:* (UID)
        S: * 2 EXISTS
        S: * OK [UIDVALIDITY 7] v
        S: P2 OK
        S: * 1 FETCH (UID 3)
        S: * 2 FETCH (UID 9)
        S: P3 OK)",
                              {{.handle = "x"}}, with_quirks("yandex")),
                ElementsAre("0 done v7 m2: 3,9"));
    const std::vector<fetch_request> requests{{.handle = "x", .uid_validity = 7, .uids = uid_set::of(1, 9)}};
    const auto found = play<result<std::vector<uid_set>>>(
        "", R"(
        C: P1 EXAMINE x
        C: P2 UID FETCH 1:* (UID RFC822.SIZE INTERNALDATE)
        S: P1 OK
        S: * 1 FETCH (UID 3 RFC822.SIZE 100 INTERNALDATE NIL)
        S: * 2 FETCH (UID 9 RFC822.SIZE 101 INTERNALDATE NIL)
        S: P2 OK)",
        [&](imap_mailbox& box) { return box.search(requests, {.larger_than = 100, .older_than_unix = {}}); }, nullptr,
        with_quirks("yandex"));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->front().to_string(), "9");
}

// quirk bye-in-the-middle; yandex: BYE repeats until the line is closed (MK#938)
TEST(imap_quirks, bye_again_and_again_ends_the_line_once) {
    EXPECT_THAT(fetch("3", fmt::format(R"({}
        S: * BYE Autologout; idle for too long
        S: * BYE Autologout; idle for too long
        S: * BYE Autologout; idle for too long
        S!)",
                                       open_x)),
                ElementsAre(HasSubstr("closed the connection")));
}

} // namespace
} // namespace postferry::mailbox

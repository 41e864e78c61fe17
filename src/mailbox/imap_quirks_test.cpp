// Rows of docs/quirks.md as transcripts: what servers said in the cited threads, and what comes of it.
#include "mailbox/detail/odd_messages.hpp"
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
using ::testing::StartsWith;

imap_options with_quirks(std::string_view names) {
    imap_options out;
    out.quirks = *client::parse_quirks(names);
    return out;
}

std::vector<std::string> fetch(std::string_view uids, std::string_view script, std::string_view quirks = "",
                               std::string_view capabilities = "") {
    std::vector<std::string> log;
    const std::vector<fetch_request> requests{{.handle = "x", .uid_validity = 7, .uids = *uid_set::parse(uids)}};
    const std::function<task<result<void>>(imap_mailbox&)> use = [&](imap_mailbox& box) -> task<result<void>> {
        support::noting_message_sink sink(log);
        co_return co_await box.fetch(requests, fetch_part::whole, sink);
    };
    const auto ok = play<result<void>>(capabilities, script, use, &log, with_quirks(quirks));
    if (!ok) log.push_back("failed: " + ok.error().message());
    return log;
}

listing list(std::string_view capabilities, std::string_view script, const imap_options& options = {}) {
    auto got = play<result<listing>>(
        capabilities, script, [](imap_mailbox& box) { return box.list(false); }, nullptr, options);
    EXPECT_TRUE(got) << got.error().message();
    return got.value_or(listing{});
}

std::vector<std::string> names(const listing& all) {
    std::vector<std::string> out;
    for (const listed_folder& f : all.folders) out.push_back(fmt::format("{} <{}>", f.name, f.handle));
    return out;
}

/// Lists, then scans; the log holds what the scan told.
std::vector<std::string> list_and_scan(std::string_view capabilities, std::string_view script,
                                       const std::vector<scan_request>& folders, const imap_options& options = {}) {
    class sink final : public scan_sink {
      public:
        explicit sink(std::vector<std::string>& log) : log_(log) {}
        void flags(std::size_t request, std::uint32_t uid, const std::vector<std::string>& flags) override {
            log_.push_back(fmt::format("{} flags {} ({})", request, uid, fmt::join(flags, " ")));
        }
        void done(std::size_t request, const folder_state& s, uid_set present) override {
            log_.push_back(
                fmt::format("{} done v{} m{}: {}", request, s.uid_validity, s.messages, present.to_string()));
        }
        void failed(std::size_t request, error why) override {
            log_.push_back(fmt::format("{} failed: {}", request, why.message()));
        }
        void also_in(std::size_t request, std::uint32_t uid, std::span<const std::string> handles) override {
            log_.push_back(fmt::format("{} also {} in {}", request, uid, fmt::join(handles, ", ")));
        }

      private:
        std::vector<std::string>& log_;
    };
    std::vector<std::string> log;
    const std::function<task<result<void>>(imap_mailbox&)> use = [&](imap_mailbox& box) -> task<result<void>> {
        auto listed = co_await box.list(false);
        if (!listed) co_return std::unexpected(listed.error());
        sink told(log);
        co_return co_await box.scan(folders, told);
    };
    const auto ok = play<result<void>>(capabilities, script, use, &log, options);
    if (!ok) log.push_back("failed: " + ok.error().message());
    return log;
}

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
                ElementsAre("0/3 (\\Seen) - 10: A: b\r\n\r\nhi|"));
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

// quirk exchange
TEST(imap_quirks, flagged_is_set_again_where_append_loses_it) {
    const std::vector<support::test_message> messages{{.flags = "\\Flagged \\Seen", .body = "one"},
                                                      {.flags = "\\Seen", .body = "two"}};
    EXPECT_THAT(append("UIDPLUS", R"(
        C: P1 APPEND x (\Flagged \Seen) {3}
        S: + Ready for additional command text.
        C: one
        S: P1 OK [APPENDUID 7 41] APPEND completed.
        C: P2 APPEND x (\Seen) {3}
        S: + Ready for additional command text.
        C: two
        S: P2 OK [APPENDUID 7 42] APPEND completed.
        C: P3 SELECT x
        S: * OK [UIDVALIDITY 7] UIDVALIDITY value
        S: P3 OK [READ-WRITE] SELECT completed.
        C: P4 UID STORE 41 +FLAGS.SILENT (\Flagged)
        S: P4 OK STORE completed.)",
                       messages, "exchange"),
                ElementsAre("stored 1 as v7 41", "stored 2 as v7 42"));
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

} // namespace
} // namespace postferry::mailbox

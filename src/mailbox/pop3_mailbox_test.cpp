// Reading messages of a maildrop, whole and by their headers.
#include "support/maildrop_bench.hpp"

namespace postferry::mailbox {
namespace {

using namespace support;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(maildrops, one_by_one_where_the_server_does_not_pipeline) {
    EXPECT_THAT(play("",
                     with(three, R"(
        C: RETR 1
        S: +OK 10 octets
        S: Subject: a
        S:
        S: ..dot
        S: .
        C: RETR 2
        S: +OK
        S: two
        S: .
    )",
                          quit_after_reading),
                     fetch(uids(1, 2))),
                ElementsAre("1 20 <aa>: Subject: a\r\n\r\n.dot\r\n", "2 5 <bb>: two\r\n"));
}

TEST_F(maildrops, pipelined_where_it_does) {
    EXPECT_THAT(play("PIPELINING,UIDL", R"(
        C: STAT
        C: LIST
        C: UIDL
        S: +OK 4 40
        S: +OK
        S: 1 10
        S: 2 10
        S: 3 10
        S: 4 10
        S: .
        S: +OK
        S: 1 aa
        S: 2 bb
        S: 3 cc
        S: 4 dd
        S: .
        C: RETR 1
        C: RETR 2
        C: RETR 3
        S: +OK
        S: one
        S: .
        C: RETR 4
        S: +OK
        S: two
        S: .
        S: +OK
        S: three
        S: .
        S: +OK
        S: four
        S: .
        C: LAST
        S: +OK 4
        C: QUIT
        S: +OK
    )",
                     fetch(uids(1, 4))),
                ElementsAre("1 5 <aa>: one\r\n", "2 5 <bb>: two\r\n", "3 7 <cc>: three\r\n", "4 6 <dd>: four\r\n"));
}

TEST_F(maildrops, a_large_message_goes_through_a_file_and_comes_out_whole) {
    const std::string line(500, 'x');
    std::string script = "C: RETR 1\nS: +OK\n", body;
    for (int i = 0; i < 30; ++i) {
        script += "S: ." + line + "\nS: .." + line + "\n";
        body += "." + line + "\r\n." + line + "\r\n";
    }
    const played p = once("", with(three, script + "S: .\nC: RETR 2\nS: +OK\nS: two\nS: .\n", quit_after_reading),
                          fetch(uids(1, 2)));
    EXPECT_FALSE(p.failure) << p.failure->message();
    EXPECT_THAT(p.log, ElementsAre(fmt::format("1 {} <aa>: {}", body.size(), body), "2 5 <bb>: two\r\n"));
}

TEST_F(maildrops, headers_by_top) {
    EXPECT_THAT(play("", with(three, R"(
        C: TOP 2 0
        S: +OK
        S: Subject: b
        S:
        S: .
    )"),
                     fetch(uids(2, 2), fetch_part::fingerprint)),
                ElementsAre("2 about 20: Subject: b\r\n\r\n"));
}

TEST_F(maildrops, headers_by_retr_where_there_is_no_top) {
    EXPECT_THAT(play("",
                     with(three, R"(
        C: TOP 1 0
        S: -ERR unknown command
        C: TOP 2 0
        S: -ERR unknown command
        C: RETR 1
        S: +OK
        S: Subject: a
        S: .
        C: RETR 2
        S: +OK
        S: Subject: b
        S: .
    )",
                          quit_after_reading),
                     fetch(uids(1, 2), fetch_part::fingerprint)),
                ElementsAre("1 about 10: Subject: a\r\n", "2 about 20: Subject: b\r\n"));
}

// docs/quirks.md#listed-not-returned
TEST_F(maildrops, a_message_that_is_listed_and_not_returned_is_named) {
    EXPECT_THAT(play("",
                     with(three, R"(
        C: RETR 1
        S: -ERR no such message
        C: RETR 2
        S: +OK
        S: .
        C: RETR 3
        S: +OK
        S: three
        S: .
    )",
                          quit_after_reading),
                     fetch(uids(1, 4))),
                ElementsAre("missing 1: \"-ERR no such message\"", "missing 2", "3 7 <cc>: three\r\n", "missing 4"));
}

TEST_F(maildrops, a_maildrop_in_trouble_is_no_messages_fault) {
    const played p = once("", with(three, "C: RETR 1\nS: -ERR [SYS/TEMP] storage is away\n", ""), fetch(uids(1, 3)));
    ASSERT_TRUE(p.failure);
    EXPECT_EQ(p.failure->cls, retry_class::transient);
    EXPECT_THAT(p.log, IsEmpty());
}

TEST_F(maildrops, sizes_and_dates_are_searched) {
    const auto search = [](search_criterion what) {
        return [what](pop3_mailbox& box, log_sink&) -> task<result<void>> {
            const fetch_request request{.handle = "INBOX", .uid_validity = 1001, .uids = uids(1, 2)};
            const auto found = co_await box.search({&request, 1}, what);
            if (!found) co_return std::unexpected(found.error());
            EXPECT_EQ(found->front().to_string(), "2");
            co_return result<void>{};
        };
    };
    play("", with(three, ""), search({.larger_than = 19, .older_than_unix = {}}));
    play("", with(three, R"(
        C: TOP 1 0
        S: +OK
        S: Date: Fri, 1 Jan 2021 00:00:00 +0000
        S: .
        C: TOP 2 0
        S: +OK
        S: Received: from x by y; Tue, 1 Jan 2019 00:00:00 +0000
        S: .
    )"),
         search({.larger_than = {}, .older_than_unix = 1'577'836'800}));
}

TEST_F(maildrops, another_uid_validity_or_folder_is_not_served) {
    EXPECT_THAT(play("", with(three, ""), fetch(uids(1, 3), fetch_part::whole, 7)),
                ElementsAre(HasSubstr("unavailable 0: The folder's UIDVALIDITY changed")));
    EXPECT_THAT(play("", with(three, ""),
                     [](pop3_mailbox& box, log_sink& sink) -> task<result<void>> {
                         const scan_request request{.handle = "Sent"};
                         co_return co_await box.scan({&request, 1}, sink);
                     }),
                ElementsAre("failed: POP3 has no folder but INBOX"));
}

// RFC 2449, 6.8: the server may remove what was retrieved; only the UPDATE state, which QUIT begins, can do that.
TEST_F(maildrops, where_reading_may_remove_the_session_ends_without_quit) {
    const played p = once("EXPIRE 0", with(three, "", ""), scan());
    EXPECT_FALSE(p.failure);
    EXPECT_THAT(p.line->written, Not(HasSubstr("QUIT")));
    EXPECT_TRUE(p.line->closed);
}

TEST_F(maildrops, nothing_that_could_remove_a_message_is_ever_sent) {
    const played p = once("PIPELINING", with(three, "", ""), fetch(uids(1, 3)));
    EXPECT_THAT(p.line->written, Not(HasSubstr("DELE")));
}

} // namespace
} // namespace postferry::mailbox

#include "protocol/pop3/conversation.hpp"
#include "support/pop3_script.hpp"

#include <gtest/gtest.h>

namespace postferry::pop3 {
namespace {

using support::converse_pop3;

TEST(pop3_conversation, one_command_after_the_other) {
    converse_pop3(R"(
        > capa
        S: +OK POP3 ready <1896.697170952@old>
        = greeting OK POP3 ready <1896.697170952@old>
        C: CAPA
        S: +OK
        S: TOP
        S: SASL PLAIN LOGIN
        S: .
        = line 1 TOP
        = line 1 SASL PLAIN LOGIN
        = done 1 OK
        > user anna
        > pass secret
        C: USER anna
        S: +OK
        = done 2 OK
        C: PASS secret
        S: +OK Logged in.
        = done 3 OK Logged in.
        > retr 1
        > retr 2
        C: RETR 1
        S: +OK 12 octets
        S: Subject: a
        S:
        S: .
        = body 4: Subject: a\r\n\r\n
        = done 4 OK 12 octets
        C: RETR 2
        S: -ERR [SYS/TEMP] not now
        = done 5 ERR [SYS/TEMP] not now
        > quit
        C: QUIT
        S: +OK bye
        = done 6 OK bye
    )");
}

TEST(pop3_conversation, pipelined) {
    converse_pop3(R"(
        S: +OK
        = greeting OK
        > pipelining
        > stat
        > list
        > retr 1
        > retr 2
        C: STAT
        C: LIST
        C: RETR 1
        C: RETR 2
        S: +OK 2 30
        S: +OK
        S: 1 10
        S: 2 20
        S: .
        S: +OK
        S: one
        S: .
        S: +OK
        S: .
        = done 1 OK 2 30
        = line 2 1 10
        = line 2 2 20
        = done 2 OK
        = body 3: one\r\n
        = done 3 OK
        = body 4:
        = done 4 OK
    )");
}

TEST(pop3_conversation, what_must_stand_alone_waits_and_holds_back) {
    converse_pop3(R"(
        S: +OK
        = greeting OK
        > pipelining
        > capa
        > stls
        > stat
        C: CAPA
        S: -ERR unknown
        = done 1 ERR unknown
        C: STLS
        S: +OK Begin TLS
        = done 2 OK Begin TLS
        C: STAT
        S: +OK 0 0
        = done 3 OK 0 0
    )");
}

TEST(pop3_conversation, authentication_is_a_dialogue) {
    converse_pop3(R"(
        S: +OK
        = greeting OK
        > auth SCRAM-SHA-1 biwsbj1hbm5h
        C: AUTH SCRAM-SHA-1 biwsbj1hbm5h
        S: + cj1hYmM=
        = challenge 1 cj1hYmM=
        > respond Yz1i
        C: Yz1i
        S: +
        = challenge 1
        > respond
        C:
        S: +OK Logged in.
        = done 1 OK Logged in.
        > auth PLAIN
        C: AUTH PLAIN
        S: -ERR [AUTH] no
        = done 2 ERR [AUTH] no
    )");
}

TEST(pop3_conversation, dots_that_were_added_are_taken_off) {
    converse_pop3(R"(
        S: +OK
        = greeting OK
        > retr 1
        C: RETR 1
        S: +OK
        S: ..
        S: ...two
        S: a .dot
        S~ ..\r.\r\n
        S:
        S: .
        = body 1: .\r\n..two\r\na .dot\r\n.\r.\r\n\r\n
        = done 1 OK
    )");
}

TEST(pop3_conversation, a_server_that_adds_no_dots_keeps_those_of_the_message) {
    converse_pop3(R"(
        S: +OK
        = greeting OK
        > retr 1
        C: RETR 1
        S: +OK
        S: .signature
        S~ .\rx\n
        S: .
        = body 1: .signature\r\n.\rx\n
        = done 1 OK
    )");
}

// docs/quirks.md#pop3-bare-lf
TEST(pop3_conversation, lines_may_end_in_lf_alone_also_the_last_one) {
    converse_pop3(R"(
        S~ +OK ready\n
        = greeting OK ready
        > list
        > retr 1
        C: LIST
        S~ +OK\n1 10\n.\n
        = line 1 1 10
        = done 1 OK
        C: RETR 1
        S~ +OK\nSubject: a\n\ntext\n.\n
        = body 2: Subject: a\n\ntext\n
        = done 2 OK
    )");
}

TEST(pop3_conversation, a_line_of_any_length_is_content_of_a_message) {
    converse_pop3("S: +OK\n= greeting OK\n> retr 1\nC: RETR 1\nS: +OK\nS: " + std::string(2'500, 'x') +
                  "\nS: .\n= body 1: " + std::string(2'500, 'x') + "\\r\\n\n= done 1 OK\n");
}

TEST(pop3_conversation, the_message_may_end_without_a_line_end) {
    // Some servers add one, some add nothing: then the dot is no terminator, and what follows is part of the message.
    converse_pop3(R"(
        S: +OK
        = greeting OK
        > retr 1
        C: RETR 1
        S: +OK
        S: no line end.
        S: .
        = body 1: no line end.\r\n
        = done 1 OK
    )");
}

TEST(pop3_conversation, a_message_that_ends_too_early_does_not_count) {
    const std::vector<support::script_step> steps = support::read_script(R"(
        S: +OK
        = greeting OK
        > retr 1
        C: RETR 1
        S~ +OK\r\none\r\n.\r\ntwo\r\n.\r\n
        = body 1: one\r\n
        = broken: something that is no reply follows the end of a message
        > stat
    )");
    EXPECT_TRUE(support::play_pop3(steps, {}));
}

TEST(pop3_conversation, a_message_that_ends_too_early_is_seen_behind_a_pipelined_one_too) {
    const std::vector<support::script_step> steps = support::read_script(R"(
        S: +OK
        = greeting OK
        > pipelining
        > retr 1
        > retr 2
        C: RETR 1
        C: RETR 2
        S~ +OK\r\none\r\n.\r\n-- \r\nAnna\r\n.\r\n
        = body 1: one\r\n
        = done 1 OK
        = broken: "-- " where +OK or -ERR is due
    )");
    EXPECT_TRUE(support::play_pop3(steps, {})) << "a line that begins like a reply is found out by the next look";
}

TEST(pop3_conversation, an_err_that_nothing_asked_for_is_a_goodbye) {
    converse_pop3(R"(
        S: +OK
        = greeting OK
        S: -ERR Disconnected for inactivity.
        = goodbye ERR Disconnected for inactivity.
    )");
}

TEST(pop3_conversation, an_ok_that_nothing_asked_for_ends_it) {
    const std::vector<support::script_step> steps = support::read_script(R"(
        S: +OK
        = greeting OK
        S: +OK 1 120
        = broken: "+OK 1 120" that nothing asked for
        > stat
    )");
    EXPECT_TRUE(support::play_pop3(steps, {}));
}

TEST(pop3_conversation, a_greeting_of_another_protocol_ends_it) {
    for (const std::string_view hello : {"* OK IMAP4rev1 ready", "220 mail ESMTP", "HTTP/1.1 400 Bad Request"}) {
        conversation talk;
        const std::string octets = std::string(hello) + "\r\n";
        talk.feed(octets);
        EXPECT_TRUE(std::holds_alternative<conversation::broken>(talk.next())) << hello;
        talk.submit(capa());
        EXPECT_EQ(talk.take_output(), "");
    }
}

} // namespace
} // namespace postferry::pop3

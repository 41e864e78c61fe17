// Transcripts of the client's half; tests/support/conversation_script.hpp tells how to read them. converse() plays each
// as it stands, cut at every octet, and with nonsense from the server before every step.
#include "protocol/imap/conversation.hpp"
#include "support/conversation_script.hpp"

namespace postferry::imap {
namespace {

using support::converse;

// --- Greeting -------------------------------------------------------------------------------------------------------

TEST(conversation_greeting, ok_preauth_and_bye_are_told) {
    converse(R"(
        S: * OK ready
        = greeting OK ready)");
    converse(R"(
        S: * PREAUTH welcome
        = greeting PREAUTH welcome)");
    converse(R"(
        S: * BYE too busy
        = greeting BYE too busy)");
}

TEST(conversation_greeting, anything_else_is_no_imap_server) {
    for (const char* line : {"+OK POP3 ready", "220 mail.example.org ESMTP", "SSH-2.0-OpenSSH_9.2", "* 3 EXISTS",
                             "P1 OK hello", "+ go on"}) {
        const auto steps = support::read_script(fmt::format("S: {}\n= broken: <any>\n", line));
        EXPECT_TRUE(support::play(steps, {})) << line;
    }
}

TEST(conversation_greeting, a_client_that_does_not_wait_for_it_may_queue) {
    converse(R"(
        > submit CAPABILITY
        C: P1 CAPABILITY
        S: * OK ready
        = greeting OK ready
        S: P1 OK done
        = done 1 OK done)");
}

// --- Tags and pipelining --------------------------------------------------------------------------------------------

TEST(conversation, answers_belong_to_the_oldest_command) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > submit EXAMINE a
        > submit UID SEARCH ALL
        > submit NOOP
        C: P1 EXAMINE a
        C: P2 UID SEARCH ALL
        C: P3 NOOP
        S: * 3 EXISTS
        = data 1 number 0 3
        S: P1 OK opened
        = done 1 OK opened
        S: * SEARCH 1 2
        = data 2 search [1, 2] modseq=-
        S: P2 NO no
        = done 2 NO no
        S: P3 BAD what
        = done 3 BAD what
        S: * 4 EXISTS
        = data 0 number 0 4)");
}

TEST(conversation, a_later_command_may_be_answered_first) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > submit NOOP
        > submit NOOP
        C: P1 NOOP
        C: P2 NOOP
        S: P2 OK second
        = done 2 OK second
        S: * 1 EXISTS
        = data 1 number 0 1
        S: P1 OK first
        = done 1 OK first)");
}

TEST(conversation, bodies_belong_to_the_oldest_command) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > submit UID FETCH 7 (BODY.PEEK[])
        C: P1 UID FETCH 7 (BODY.PEEK[])
        S: * 1 FETCH (UID 7 BODY[] {10}
        S~ P1 OK not!
        S: )
        = body 1 10: P1 OK not!
        = end 1
        = data 1 fetch 1 uid=7 <any>
        S: P1 OK done
        = done 1 OK done)");
}

TEST(conversation, a_tag_that_nobody_gave_ends_it) {
    for (const char* tag : {"P2", "P0", "P01", "Q1", "P", "P1x", "P99999999999"}) {
        const auto steps = support::read_script(fmt::format(R"(
            S: * OK ready
            = greeting OK ready
            > submit NOOP
            C: P1 NOOP
            S: {} OK done
            = broken: the server answered a command that does not wait for it (tag {})
            > submit NOOP)",
                                                            tag, tag));
        EXPECT_TRUE(support::play(steps, {})) << tag;
    }
}

TEST(conversation, an_answer_given_twice_ends_it) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > submit NOOP
        C: P1 NOOP
        S: P1 OK done
        = done 1 OK done
        > submit NOOP
        C: P2 NOOP
        S: P1 OK done
        = broken: <any>
        > submit LOGOUT)");
}

TEST(conversation, an_answer_to_a_command_that_is_still_held_back_ends_it) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > exclusive STARTTLS
        > submit NOOP
        C: P1 STARTTLS
        S: P2 OK guessed
        = broken: <any>)");
}

TEST(conversation, bye_is_data_and_commands_stay_unfinished) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > submit NOOP
        C: P1 NOOP
        S: * BYE shutting down
        = data 1 status tag= kind=4 code=- text=shutting down
        S: * BYE shutting down
        = data 1 status tag= kind=4 code=- text=shutting down)");
}

// --- Literals of whole commands -------------------------------------------------------------------------------------

TEST(conversation_literal, waits_for_the_server_before_each) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > submit LOGIN {2}\r\n | me {3}\r\n | pw!
        > submit NOOP
        C: P1 LOGIN {2}
        S: + first
        = go 1
        C: me {3}
        S: +
        = go 1
        C: pw!
        C: P2 NOOP
        S: P1 OK in
        = done 1 OK in
        S: P2 OK
        = done 2 OK )");
}

TEST(conversation_literal, refused_before_it_was_sent_leaves_the_rest_away) {
    for (const char* verdict : {"NO", "BAD"}) {
        converse(fmt::format(R"(
            S: * OK ready
            = greeting OK ready
            > submit CREATE {{5}}\r\n | x DELETE Archive
            > submit NOOP
            C: P1 CREATE {{5}}
            S: P1 {} no
            = done 1 {} short no
            C: P2 NOOP
            S: P2 OK
            = done 2 OK )",
                             verdict, verdict));
    }
}

TEST(conversation_literal, a_second_one_refused) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > submit LOGIN {2}\r\n | me {3}\r\n | pw!
        C: P1 LOGIN {2}
        S: + go
        = go 1
        C: me {3}
        S: P1 NO no such user
        = done 1 NO short no such user
        > submit NOOP
        C: P2 NOOP)");
}

TEST(conversation_literal, ok_before_the_end_of_the_command_is_a_lie) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > submit CREATE {5}\r\n | hello
        C: P1 CREATE {5}
        S: P1 OK created
        = broken: the server said OK to a command that was not sent to its end
        > submit NOOP)");
}

TEST(conversation_literal, without_waiting_bad_ends_it) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > submit CREATE {5+}\r\nhello
        > submit NOOP
        C: P1 CREATE {5+}
        C: hello
        C: P2 NOOP
        S: P1 BAD what
        = done 1 BAD what
        > submit NOOP
        > open APPEND x
        > plus 4
        > finish
        > respond x
        S: P2 OK)");
}

TEST(conversation_literal, without_waiting_no_is_harmless) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > submit CREATE {5+}\r\nhello
        C: P1 CREATE {5+}
        C: hello
        S: P1 NO exists
        = done 1 NO exists
        > submit NOOP
        C: P2 NOOP)");
}

// --- Continuation requests that nobody asked for --------------------------------------------------------------------

TEST(conversation_plus, one_too_many_is_passed_over_and_remembered) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > submit CREATE {1+}\r\nx
        C: P1 CREATE {1+}
        C: x
        S: + go
        = go 0
        S: P1 OK
        = done 1 OK )");
    conversation talk;
    talk.feed("* OK\r\n+ go\r\n");
    (void)talk.next();
    EXPECT_FALSE(talk.needless_plus());
    (void)talk.next();
    EXPECT_TRUE(talk.needless_plus());
}

// --- Exclusive and interactive commands -----------------------------------------------------------------------------

TEST(conversation_exclusive, waits_for_all_before_and_holds_all_behind) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > submit CAPABILITY
        > exclusive STARTTLS
        > submit NOOP
        C: P1 CAPABILITY
        S: P1 OK
        = done 1 OK 
        C: P2 STARTTLS
        S: P2 OK begin
        = done 2 OK begin
        C: P3 NOOP)");
}

TEST(conversation_exclusive, a_refusal_frees_the_way_too) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > exclusive LOGIN {1}\r\n | x
        > submit NOOP
        C: P1 LOGIN {1}
        S: P1 NO no
        = done 1 NO short no
        C: P2 NOOP)");
}

TEST(conversation_interactive, challenges_go_to_the_caller) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > interactive AUTHENTICATE LOGIN
        > submit NOOP
        C: P1 AUTHENTICATE LOGIN
        S: + VXNlcg==
        = challenge 1 VXNlcg==
        > respond bWU=
        C: bWU=
        S: +
        = challenge 1 
        > respond *
        C: *
        S: P1 BAD given up
        = done 1 BAD given up
        C: P2 NOOP)");
}

// --- The stream itself ----------------------------------------------------------------------------------------------

TEST(conversation, nothing_is_left_over_at_a_boundary) {
    conversation talk;
    talk.feed("* OK ready\r\n* 1 EX");
    (void)talk.next();
    EXPECT_FALSE(talk.at_boundary());
    EXPECT_TRUE(std::holds_alternative<conversation::need_more>(talk.next()));
    EXPECT_FALSE(talk.at_boundary());
    talk.feed("ISTS\r\n");
    EXPECT_TRUE(std::holds_alternative<conversation::untagged>(talk.next()));
    EXPECT_TRUE(talk.at_boundary());
}

TEST(conversation, a_line_without_end_is_bounded) {
    conversation talk({.line_octets = 1000});
    talk.feed("* OK\r\n");
    (void)talk.next();
    const std::string endless(2000, 'x');
    talk.feed(endless);
    EXPECT_TRUE(std::holds_alternative<conversation::broken>(talk.next()));
    talk.submit({"NOOP"});
    EXPECT_EQ(talk.take_output(), "");
}

} // namespace
} // namespace postferry::imap

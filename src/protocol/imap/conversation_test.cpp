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

// --- Streaming commands ---------------------------------------------------------------------------------------------

TEST(conversation_stream, synchronising) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > open APPEND x
        > more  (\Seen) 
        > sync 5
        > submit NOOP
        C: P1 APPEND x (\Seen) {5}
        S: + go
        = go 1
        > body hello
        > finish
        C: hello
        C: P2 NOOP
        S: P1 OK kept
        = done 1 OK kept
        S: P2 OK
        = done 2 OK )");
}

TEST(conversation_stream, several_literals_of_both_kinds) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > open APPEND x
        > more  () 
        > sync 2
        C: P1 APPEND x () {2}
        S: + go
        = go 1
        > body aa
        > more  () 
        > plus 2
        > body bb
        > more  (New) 
        > sync 2
        C~ aa () {2+}\r\nbb (New) {2}\r\n
        S: + go
        = go 1
        > body cc
        > more  () 
        > plus8 1
        > body d
        > finish
        C~ cc () ~{1+}\r\nd\r\n
        S: P1 OK [APPENDUID 1 2:5] kept
        = done 1 OK kept)");
}

TEST(conversation_stream, a_name_that_needs_a_literal) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > open APPEND {2}\r\n | \xc3\xa4
        C: P1 APPEND {2}
        S: + name
        = go 1
        C~ \xc3\xa4
        > more  () 
        > sync 1
        C:  () {1}
        S: + body
        = go 1
        > body m
        > finish
        C: m
        S: P1 OK kept
        = done 1 OK kept)");
}

TEST(conversation_stream, a_name_that_is_refused) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > open APPEND {2}\r\n | \xc3\xa4
        C: P1 APPEND {2}
        S: P1 BAD 8 bits
        = done 1 BAD short 8 bits
        > submit NOOP
        C: P2 NOOP)");
}

TEST(conversation_stream, refused_instead_of_the_plus) {
    for (const char* verdict : {"NO", "BAD"}) {
        converse(fmt::format(R"(
            S: * OK ready
            = greeting OK ready
            > open APPEND x
            > more  () 
            > sync 16
            > submit NOOP
            C: P1 APPEND x () {{16}}
            S: P1 {} no
            = done 1 {} short no
            C: P2 NOOP)",
                             verdict, verdict));
    }
}

TEST(conversation_stream, no_in_the_middle_of_the_octets) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > open APPEND x
        > more  () 
        > plus 10
        > submit NOOP
        C: P1 APPEND x () {10+}
        > body 01234
        C~ 01234
        S: P1 NO [OVERQUOTA] full
        = done 1 NO full
        > body 56789
        > finish
        C: 56789
        C: P2 NOOP
        S: P2 OK
        = done 2 OK )");
}

TEST(conversation_stream, what_was_refused_early_is_over_with_its_last_octet) {
    conversation talk;
    talk.open({"APPEND x"});
    talk.literal(10, false);
    talk.feed("* OK\r\nP1 NO full\r\n");
    (void)talk.next();
    EXPECT_FALSE(talk.refused_early());
    (void)talk.next();
    EXPECT_TRUE(talk.refused_early());
    EXPECT_EQ(talk.unfinished(), 1U);
    talk.finish();
    EXPECT_FALSE(talk.refused_early());
    EXPECT_EQ(talk.unfinished(), 0U);
}

TEST(conversation_stream, refused_twice_ends_it) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > open APPEND x
        > more  () 
        > plus 10
        C: P1 APPEND x () {10+}
        S: P1 NO full
        = done 1 NO full
        S: P1 NO full
        = broken: <any>
        > finish
        > submit NOOP)");
}

TEST(conversation_stream, ok_in_the_middle_of_the_octets_is_a_lie) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > open APPEND x
        > more  () 
        > plus 10
        C: P1 APPEND x () {10+}
        S: P1 OK kept
        = broken: the server said OK to a command that was not sent to its end
        > finish)");
}

TEST(conversation_stream, ok_instead_of_the_plus_is_a_lie) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > open APPEND x
        > more  () 
        > sync 10
        C: P1 APPEND x () {10}
        S: P1 OK kept
        = broken: the server said OK to a command that was not sent to its end
        > finish)");
}

TEST(conversation_stream, bad_in_the_middle_of_the_octets_ends_it_also_when_they_were_asked_for) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > open APPEND x
        > more  () 
        > sync 10
        C: P1 APPEND x () {10}
        S: + go
        = go 1
        > body 01234
        C~ 01234
        S: P1 BAD what
        = done 1 BAD what
        > finish
        > submit NOOP)");
}

TEST(conversation_stream, bad_after_a_literal_that_was_not_asked_for_ends_it) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > open APPEND x
        > more  (\Indexed) 
        > plus 18
        > body 1 DELETE Archive\r\n
        > finish
        > submit NOOP
        C: P1 APPEND x (\Indexed) {18+}
        C: 1 DELETE Archive
        C: 
        C: P2 NOOP
        S: P1 BAD Invalid system flag \Indexed
        = done 1 BAD Invalid system flag \Indexed
        > more x
        > finish
        > submit NOOP
        > exclusive NOOP
        > respond x
        S: 1 OK deleted)");
}

TEST(conversation_stream, bad_to_no_command_while_a_literal_is_under_way_ends_it) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > open APPEND x
        > more  () 
        > plus 5
        > body hello
        > finish
        C: P1 APPEND x () {5+}
        C: hello
        S: * BAD Error in IMAP command
        = broken: it could not read a line while a literal was under way: Error in IMAP command
        > submit NOOP)");
}

TEST(conversation_stream, bad_to_no_command_is_harmless_else) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > submit NOOP
        C: P1 NOOP
        S: * BAD what
        = data 1 status tag= kind=2 code=- text=what
        > submit NOOP
        C: P2 NOOP)");
}

TEST(conversation_stream, bad_after_literals_that_were_asked_for_is_a_refusal) {
    converse(R"(
        S: * OK ready
        = greeting OK ready
        > open APPEND x
        > more  () 
        > sync 5
        C: P1 APPEND x () {5}
        S: + go
        = go 1
        > body hello
        > finish
        C: hello
        S: P1 BAD unable to parse message
        = done 1 BAD unable to parse message
        > submit NOOP
        C: P2 NOOP)");
}

TEST(conversation_stream, when_one_can_be_opened) {
    conversation talk;
    EXPECT_TRUE(talk.can_open());
    talk.open({"APPEND x"});
    EXPECT_FALSE(talk.can_open());
    EXPECT_TRUE(talk.streaming());
    talk.literal(3, true);
    EXPECT_TRUE(talk.held());
    talk.feed("* OK\r\n+ go\r\n");
    (void)talk.next();
    EXPECT_EQ(std::get<conversation::go_ahead>(talk.next()).command, 1U);
    EXPECT_FALSE(talk.held());
    talk.finish();
    EXPECT_TRUE(talk.can_open());
    EXPECT_EQ(talk.unfinished(), 1U);
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

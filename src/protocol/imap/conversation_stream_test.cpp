// Commands whose octets flow while the server may already answer: APPEND. See conversation_test.cpp.
#include "protocol/imap/conversation.hpp"
#include "support/conversation_script.hpp"

namespace postferry::imap {
namespace {

using support::converse;

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

} // namespace
} // namespace postferry::imap

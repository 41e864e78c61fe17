#include "net/wire_trace.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::net {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class trace : public ::testing::Test {
  protected:
    /// What was written, without time and number; empties the record.
    std::vector<std::string> lines() {
        std::vector<std::string> out;
        for (const std::string& line : std::exchange(written_, {})) out.push_back(line.substr(line.find(' ', 13) + 1));
        return out;
    }

    std::vector<std::string> written_;
    wire_trace trace_{[this](std::string_view line) { written_.emplace_back(line); }, 7,
                      [] {
                          return std::chrono::system_clock::time_point(
                              std::chrono::milliseconds(86400'000LL * 20000 + 45'296'789));
                      }};
};

TEST_F(trace, tells_time_connection_and_direction) {
    trace_.note("connected to 192.0.2.1:993");
    trace_.server_line("* OK ready\r\n");
    trace_.command("a1 SELECT INBOX");
    EXPECT_THAT(written_, ElementsAre("12:34:56.789 #7 -- connected to 192.0.2.1:993", "12:34:56.789 #7 S: * OK ready",
                                      "12:34:56.789 #7 C: a1 SELECT INBOX"));
}

TEST_F(trace, literals_are_counted_only) {
    trace_.command("a2 APPEND Sent (\\Seen) {1234+}");
    trace_.literal(1234, direction::sent);
    trace_.server_line("* 1 FETCH (BODY[] {99}");
    trace_.literal(99, direction::received);
    trace_.server_line(")");
    EXPECT_THAT(lines(), ElementsAre("C: a2 APPEND Sent (\\Seen) {1234+}", "C: <literal of 1234 octets>",
                                     "S: * 1 FETCH (BODY[] {99}", "S: <literal of 99 octets>", "S: )"));
}

TEST_F(trace, login_in_any_spelling) {
    for (const char* line :
         {"a1 LOGIN joe hunter2", "a1 login \"joe\" \"hunter2\"\r\n", "a1  Login  joe hunter2",
          "\ta1 LOGIN joe hunter2", "a0 NOOP\r\na1 LOGIN joe hunter2\r\n", "a0 NOOP\na1 LOGIN joe hunter2",
          "LOGIN joe hunter2", "PASS hunter2", "pass hunter2\r\n", "APOP joe hunter2"})
        trace_.command(line);
    const auto all = lines();
    EXPECT_EQ(all.size(), 12u);
    EXPECT_THAT(all, Each(Not(HasSubstr("hunter2"))));
    EXPECT_THAT(all, Each(Not(HasSubstr("joe"))));
    EXPECT_EQ(all[0], "C: a1 LOGIN <secret>");
}

TEST_F(trace, login_in_literals) {
    trace_.command("a1 LOGIN {3}");
    trace_.server_line("+ go on");
    trace_.command("joe {7}");
    trace_.server_line("+ go on");
    trace_.command("hunter2");
    trace_.server_line("a1 OK");
    trace_.command("a2 NOOP");
    EXPECT_THAT(lines(), ElementsAre("C: a1 LOGIN <secret>", "S: + go on", "C: <secret>", "S: + go on", "C: <secret>",
                                     "S: a1 OK", "C: a2 NOOP"));
    trace_.command("a3 LOGIN {3+}\r\njoe {7+}\r\nhunter2\r\na4 NOOP\r\n");
    EXPECT_THAT(lines(), ElementsAre("C: a3 LOGIN <secret>", "C: <secret>", "C: <secret>", "C: a4 NOOP"));
}

TEST_F(trace, authenticate_hides_the_whole_exchange) {
    trace_.command("a1 AUTHENTICATE SCRAM-SHA-256");
    trace_.server_line("+ ");
    trace_.command("biwsbj1qb2U=");
    trace_.server_line("* CAPABILITY IMAP4rev1");
    trace_.server_line("+ cj1hYmM=");
    trace_.command("Yz1iaXdz");
    trace_.server_line("nonsense dj1hYmM=");
    trace_.server_line("a1 NO [AUTHENTICATIONFAILED] no");
    trace_.command("a2 NOOP");
    EXPECT_THAT(lines(), ElementsAre("C: a1 AUTHENTICATE SCRAM-SHA-256", "S: + <secret>", "C: <secret>",
                                     "S: * CAPABILITY IMAP4rev1", "S: + <secret>", "C: <secret>", "S: <secret>",
                                     "S: a1 NO [AUTHENTICATIONFAILED] no", "C: a2 NOOP"));
}

TEST_F(trace, authenticate_with_an_initial_response) {
    trace_.command("a1 authenticate plain AGpvZQBodW50ZXIy");
    trace_.server_line("a10 OK another tag");
    trace_.command("AGpvZQ==");
    trace_.server_line("a1 OK");
    EXPECT_THAT(lines(), ElementsAre("C: a1 authenticate plain <secret>", "S: <secret>", "C: <secret>", "S: a1 OK"));
}

TEST_F(trace, protocols_without_tags) {
    trace_.command("AUTH LOGIN");
    trace_.server_line("334 VXNlcm5hbWU6");
    trace_.command("am9l");
    trace_.server_line("235 2.7.0 welcome");
    trace_.command("MAIL FROM:<joe@example.org>");
    trace_.command("AUTHENTICATE \"PLAIN\" \"AGpvZQBodW50ZXIy\"");
    trace_.server_line("\"cnNwYXV0aA==\"");
    trace_.server_line("OK \"Logged in.\"");
    EXPECT_THAT(lines(), ElementsAre("C: AUTH LOGIN", "S: <secret>", "C: <secret>", "S: 235 2.7.0 welcome",
                                     "C: MAIL FROM:<joe@example.org>", "C: AUTHENTICATE \"PLAIN\" <secret>",
                                     "S: <secret>", "S: OK \"Logged in.\""));
}

TEST_F(trace, secret_lines) {
    trace_.secret_line(direction::sent);
    trace_.secret_line(direction::received);
    EXPECT_THAT(lines(), ElementsAre("C: <secret>", "S: <secret>"));
}

TEST_F(trace, lines_are_bounded_and_escaped) {
    trace_.server_line("* OK \x1b[2J\xff");
    trace_.server_line("* OK " + std::string(5000, 'x'));
    ASSERT_EQ(written_.size(), 2u);
    EXPECT_THAT(written_[0], HasSubstr("* OK \\x1b[2J\\xff"));
    EXPECT_LE(written_[1].size(), 1024u);
    EXPECT_THAT(written_[1], ::testing::EndsWith("xxx..."));
}

TEST(wire_trace, without_a_sink_nothing_happens) {
    wire_trace off;
    EXPECT_FALSE(off);
    off.command("a1 NOOP");
    off.server_line("a1 OK");
    off.literal(1, direction::sent);
    off.secret_line(direction::sent);
    off.note("x");
}

} // namespace
} // namespace postferry::net

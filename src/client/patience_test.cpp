// What a server may make us keep and wait for, and how we part from it.
#include "support/login_script.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::client {
namespace {

using namespace support;
using std::chrono::minutes;
using ::testing::HasSubstr;

/// A clock that goes on by this much whenever somebody looks: each read takes so long.
void let_each_read_take(attempt& how, minutes time) {
    how.settings.now = [time, now = std::chrono::steady_clock::time_point{}]() mutable { return now += time; };
    how.faults.read_at_most = 1;
}

std::string repeated(std::string_view line, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += line;
    return out;
}

void expect_endless(const outcome& out) {
    ASSERT_TRUE(out.failure) << "it was waited for";
    EXPECT_EQ(out.failure->cls, retry_class::transient);
    EXPECT_THAT(out.failure->what, HasSubstr("went on talking without coming to an end"));
    EXPECT_TRUE(out.line->closed);
}
void expect_patience(const outcome& out) { EXPECT_FALSE(out.failure) << out.failure->message(); }

// --- IMAP -----------------------------------------------------------------------------------------------------------

const std::string preauth = "S: * PREAUTH [CAPABILITY IMAP4rev1] hi\n";

outcome imap(const attempt& how, const std::string& answers) {
    return by_imap::play(how, preauth + "C: P1 NOOP\n" + answers + "S: P1 OK\nC: P2 NOOP\n" + answers + "S: P2 OK\n",
                         [](imap_session& session) -> task<result<void>> {
                             auto ok = co_await by_imap::noop(session);
                             if (ok) ok = co_await by_imap::noop(session);
                             co_return ok;
                         });
}

TEST(imap_patience, so_many_answers_to_one_command) {
    attempt how;
    how.settings.limits.answers = 7;
    expect_patience(imap(how, repeated("S: * 3 EXISTS\n", 7)));
    expect_endless(imap(how, repeated("S: * 3 EXISTS\n", 8)));
}

TEST(imap_patience, so_long_a_talk_without_an_end) {
    attempt how;
    let_each_read_take(how, minutes(1)); // 22 octets a minute
    const std::string still = "S: * OK Still searching\n";
    expect_patience(imap(how, repeated(still, 2)));
    expect_endless(imap(how, repeated(still, 3)));
    how.settings.limits.patience_with_talk = 10;
    expect_endless(imap(how, repeated(still, 2)));
}

TEST(imap_patience, a_message_that_grows_is_an_end_of_its_own) {
    attempt how;
    const auto message = [](std::size_t octets) {
        return fmt::format("S: * 1 FETCH (BODY[] {{{}}}\nS~ {}\nS: )\n", octets, std::string(octets, 'x'));
    };
    let_each_read_take(how, minutes(1));
    expect_patience(imap(how, repeated(message(5), 3)));
    expect_endless(imap(how, message(70)));
    how.faults.read_at_most = 65'536 / 30; // a block of progress in half an hour
    expect_patience(imap(how, message(200'000)));
}

TEST(imap_goodbye, waits_for_the_server_to_close) {
    const outcome out = by_imap::works({}, preauth + R"(
        C: P1 LOGOUT
        S: * BYE see you
        S: P1 OK done
        S!)",
                                       by_imap::leave);
    EXPECT_TRUE(out.line->closed);
    EXPECT_THAT(out.trace, testing::Contains(HasSubstr("P1 OK done")));
}

TEST(imap_goodbye, never_fails_and_never_waits_for_ever) {
    attempt how;
    how.settings.goodbye_patience = std::chrono::milliseconds(0);
    const outcome hurried = by_imap::play(how, preauth + "C: P1 LOGOUT\n", by_imap::leave);
    EXPECT_FALSE(hurried.failure);
    EXPECT_EQ(hurried.line->written, "P1 LOGOUT\r\n");
    EXPECT_TRUE(hurried.line->closed);
    how = {};
    by_imap::works(how, preauth + "C: P1 LOGOUT\nS!\n", by_imap::leave);
    by_imap::works(how, preauth + "C: P1 LOGOUT\nS: P1 BAD what\nS!\n", by_imap::leave);
    how.faults.failing_write = 0;
    const outcome dead = by_imap::play(how, preauth, by_imap::leave);
    EXPECT_FALSE(dead.failure);
    EXPECT_TRUE(dead.line->closed);
}

TEST(imap_goodbye, answers_under_way_are_not_waited_for) {
    const auto leave_at_once = [](imap_session& session) -> task<result<void>> {
        session.submit({"UID FETCH 1:* (BODY.PEEK[])"});
        co_return co_await by_imap::leave(session);
    };
    const outcome out = by_imap::play({}, preauth + R"(
        C: P1 UID FETCH 1:* (BODY.PEEK[])
        C: P2 LOGOUT)",
                                      leave_at_once);
    EXPECT_FALSE(out.failure);
    EXPECT_TRUE(out.line->closed);
    EXPECT_EQ(out.line->reads, 1U) << "the greeting";
}

// --- POP3 -----------------------------------------------------------------------------------------------------------

/// Logs in to a server that has no CAPA, before and after.
const std::string pop3_way_in = R"(
        S: +OK
        C: CAPA
        S: -ERR
        C: USER anna
        S: +OK
        C: PASS correct-horse
        S: +OK
        C: CAPA
        S: -ERR
)";

outcome pop3_listing(const attempt& how, const std::string& lines) {
    return by_pop3::play(how,
                         pop3_way_in + fmt::format(R"(
        C: UIDL
        S: +OK
        {}
        S: .
        )",
                                                   lines),
                         [](pop3_session& session) -> task<result<void>> {
                             const auto status = co_await session.run(pop3::uidl());
                             co_return status ? result<void>{} : std::unexpected(status.error());
                         });
}

TEST(pop3_patience, so_many_lines_of_one_answer) {
    attempt how;
    how.settings.limits.answers = 7;
    expect_patience(pop3_listing(how, repeated("S: 1 a\n", 7)));
    expect_endless(pop3_listing(how, repeated("S: 1 a\n", 8)));
}

TEST(pop3_patience, so_long_a_talk_without_an_end) {
    attempt how;
    let_each_read_take(how, minutes(1));
    expect_patience(pop3_listing(how, repeated("S: 1 a\n", 8)));
    expect_endless(pop3_listing(how, repeated("S: 1 a\n", 12)));
    how.settings.limits.patience_with_talk = 10;
    expect_endless(pop3_listing(how, repeated("S: 1 a\n", 8)));
}

TEST(pop3_patience, challenges_without_end) {
    attempt how;
    how.settings.limits.answers = 5;
    const outcome out = by_pop3::play(how, R"(
        S: +OK
        C: CAPA
        S: +OK
        S: SASL CRAM-MD5
        S: .
        C: AUTH CRAM-MD5
        S: + PDE4OTYuNjk3MTcwOTUyQG9sZD4=
        C: <any>
        S: + PDE4OTYuNjk3MTcwOTUyQG9sZD4=
        C: <any>
        S: + PDE4OTYuNjk3MTcwOTUyQG9sZD4=
        C: <any>
        S: + PDE4OTYuNjk3MTcwOTUyQG9sZD4=
        C: <any>
        S: + PDE4OTYuNjk3MTcwOTUyQG9sZD4=
        C: <any>
        S: + PDE4OTYuNjk3MTcwOTUyQG9sZD4=)");
    expect_endless(out);
}

TEST(pop3_goodbye, has_an_end) {
    attempt how;
    how.settings.goodbye_patience = std::chrono::milliseconds(0);
    let_each_read_take(how, minutes(0));
    const outcome out = by_pop3::play(how, pop3_way_in + R"(
        C: QUIT
        S: +OK)");
    EXPECT_FALSE(out.failure);
    EXPECT_TRUE(out.line->closed);
}

} // namespace
} // namespace postferry::client

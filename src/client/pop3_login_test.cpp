// Logging in by POP3, as transcripts (support/memory_line.hpp tells how to read them).
#include "support/login_script.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::client {
namespace {

using namespace support;
using testing::HasSubstr;

outcome play(const attempt& how, std::string_view script) {
    outcome out = by_pop3::play(how, script);
    for (const std::string& l : out.trace) EXPECT_THAT(l, Not(testing::AnyOf(HasSubstr(password), HasSubstr(plain))));
    return out;
}

/// Plays a login that works; also octet by octet, and with a line that dies at every octet and in every operation.
outcome works(const attempt& how, std::string_view script) {
    outcome out = play(how, script);
    (void)login_works<pop3_session>(how, script, by_pop3::leave);
    // What becomes of a goodbye that is not answered is nobody's failure.
    const auto dead = [&](auto fault, std::size_t n) {
        attempt spoilt = how;
        spoilt.faults.*fault = n;
        outcome dead_line;
        (void)run_to_end(log_in<pop3_session>(spoilt, script, by_pop3::leave, dead_line));
        return dead_line;
    };
    for (std::size_t n = 0; n + 1 < out.line->delivered; ++n)
        EXPECT_TRUE(dead(&line_faults::dies_after, n).line->closed) << "cut at " << n;
    for (std::size_t n = 0; n + 1 < out.line->reads; ++n)
        EXPECT_TRUE(dead(&line_faults::failing_read, n).failure) << "read " << n;
    for (std::size_t n = 0; n + 1 < out.line->writes; ++n)
        EXPECT_TRUE(dead(&line_faults::failing_write, n).failure) << "write " << n;
    return out;
}

error fails(const attempt& how, std::string_view script) { return by_pop3::fails(how, script); }

TEST(pop3_login, user_and_pass_where_there_is_nothing_better) {
    const outcome out = works({}, R"(
        S: +OK ready
        C: CAPA
        S: -ERR unknown command
        C: USER anna
        S: +OK
        C: PASS correct-horse
        S: +OK
        C: CAPA
        S: -ERR unknown command
        C: QUIT
        S: +OK
    )");
    EXPECT_EQ(out.method, "PASS");
    EXPECT_THAT(out.trace, testing::Contains(HasSubstr("C: PASS <secret>")));
}

TEST(pop3_login, plain_in_one_line) {
    const outcome out = works({}, fmt::format(R"(
        S: +OK ready
        C: CAPA
        S: +OK
        S: SASL PLAIN LOGIN
        S: USER
        S: .
        C: AUTH PLAIN {}
        S: +OK Logged in.
        C: CAPA
        S: +OK
        S: PIPELINING
        S: UIDL
        S: .
        C: QUIT
        S: +OK
    )",
                                              plain));
    EXPECT_EQ(out.method, "PLAIN");
    EXPECT_THAT(out.capabilities, testing::ElementsAre("PIPELINING", "UIDL")) << "those behind the login count";
}

// RFC 1734 knew no initial response: such a server asks for it.
TEST(pop3_login, plain_for_a_server_that_does_not_read_the_initial_response) {
    works({}, fmt::format(R"(
        S: +OK
        C: CAPA
        S: +OK
        S: SASL PLAIN
        S: .
        C: AUTH PLAIN {0}
        S: +
        C: {0}
        S: +OK
        C: CAPA
        S: -ERR
        C: QUIT
        S: +OK
    )",
                          plain));
}

TEST(pop3_login, a_token_that_is_too_long_for_the_command_follows_when_asked_for) {
    attempt how;
    how.settings.auth = sasl::choice::xoauth2;
    how.settings.password = secret(std::string(300, 't'));
    const std::string token = sasl::base64_encode("user=anna\x01"
                                                  "auth=Bearer " +
                                                  std::string(300, 't') + "\x01\x01");
    works(how, fmt::format(R"(
        S: +OK Gpop ready
        C: CAPA
        S: +OK
        S: SASL PLAIN XOAUTH2
        S: .
        C: AUTH XOAUTH2
        S: +
        C: {}
        S: +OK Welcome.
        C: CAPA
        S: -ERR
        C: QUIT
        S: +OK Farewell.
    )",
                           token));
}

TEST(pop3_login, cram_md5_over_a_line_in_the_clear) {
    const outcome out = works(in_the_clear(net::tls_mode::detect), R"(
        S: +OK
        C: CAPA
        S: +OK
        S: SASL CRAM-MD5
        S: .
        C: AUTH CRAM-MD5
        S: + PDE4OTYuNjk3MTcwOTUyQG9sZD4=
        C: <any>
        S: +OK
        C: CAPA
        S: -ERR
        C: QUIT
        S: +OK
    )");
    EXPECT_EQ(out.method, "CRAM-MD5");
}

TEST(pop3_login, stls_then_everything_anew) {
    works(in_the_clear(net::tls_mode::detect), R"(
        S: +OK
        C: CAPA
        S: +OK
        S: STLS
        S: .
        C: STLS
        S: +OK Begin TLS negotiation now.
        T:
        C: CAPA
        S: +OK
        S: USER
        S: .
        C: USER anna
        S: +OK
        C: PASS correct-horse
        S: +OK
        C: CAPA
        S: -ERR
        C: QUIT
        S: +OK
    )");
}

TEST(pop3_login, what_comes_in_the_clear_behind_stls_is_not_believed) {
    const error why = fails(in_the_clear(net::tls_mode::require), R"(
        S: +OK
        C: CAPA
        S: +OK
        S: STLS
        S: .
        C: STLS
        S~ +OK Begin TLS\r\n+OK injected\r\n
    )");
    EXPECT_EQ(why.cls, retry_class::protocol);
    EXPECT_THAT(why.what, HasSubstr("that nothing asked for"));
}

TEST(pop3_login, a_password_never_goes_over_a_line_in_the_clear_unasked) {
    const std::string_view script = R"(
        S: +OK
        C: CAPA
        S: +OK
        S: SASL PLAIN
        S: USER
        S: .
    )";
    const error why = fails(in_the_clear(net::tls_mode::detect), script);
    EXPECT_EQ(why.cls, retry_class::config);
    EXPECT_THAT(why.what, HasSubstr("offers no encryption"));
    EXPECT_THAT(why.advice, HasSubstr("pop3s://"));
    const error require = fails(in_the_clear(net::tls_mode::require), script);
    EXPECT_THAT(require.what, HasSubstr("does not offer STLS"));
}

TEST(pop3_login, utf8_is_asked_for_where_it_is_offered) {
    works({}, R"(
        S: +OK
        C: CAPA
        S: +OK
        S: UTF8
        S: USER
        S: .
        C: UTF8
        S: +OK
        C: USER anna
        S: +OK
        C: PASS correct-horse
        S: +OK
        C: CAPA
        S: -ERR
        C: QUIT
        S: +OK
    )");
}

error refused(std::string_view answer, std::string_view capability = "RESP-CODES") {
    return fails({}, fmt::format(R"(
        S: +OK
        C: CAPA
        S: +OK
        S: {}
        S: .
        C: USER anna
        S: +OK
        C: PASS correct-horse
        S: {}
    )",
                                 capability, answer));
}

TEST(pop3_login, refusals_mean_what_they_say) {
    const error wrong = refused("-ERR [AUTH] Authentication failed.");
    EXPECT_EQ(wrong.cls, retry_class::auth);
    EXPECT_EQ(wrong.server_said, "\"-ERR [AUTH] Authentication failed.\"");
    EXPECT_EQ(wrong.advice, "Check user name and password");
    EXPECT_EQ(refused("-ERR go away").cls, retry_class::auth);
    EXPECT_EQ(refused("-ERR [IN-USE] Mailbox is locked by another session").cls, retry_class::transient);
    EXPECT_EQ(refused("-ERR [SYS/TEMP] try later").cls, retry_class::transient);
    EXPECT_EQ(refused("-ERR [SYS/PERM] account gone").cls, retry_class::permanent);
    const error delay = refused("-ERR [LOGIN-DELAY] too soon", "LOGIN-DELAY 300");
    EXPECT_EQ(delay.cls, retry_class::throttled);
    EXPECT_EQ(delay.backoff_ms, 300'000U);
    // docs/quirks.md#pop3-locked
    EXPECT_EQ(refused("-ERR unable to lock maildrop").cls, retry_class::transient);
    EXPECT_EQ(refused("-ERR Too many connections from your address").cls, retry_class::transient);
}

TEST(pop3_login, what_the_server_repeats_of_the_password_is_blotted_out) {
    const error why = refused("-ERR \"correct-horse\" is wrong");
    EXPECT_EQ(why.server_said, "\"-ERR \"***\" is wrong\"");
}

TEST(pop3_login, a_mechanism_that_is_refused_as_such_makes_way_for_the_next) {
    const outcome out = works({}, fmt::format(R"(
        S: +OK
        C: CAPA
        S: +OK
        S: SASL PLAIN
        S: .
        C: AUTH PLAIN {}
        S: -ERR Unrecognized authentication type
        C: USER anna
        S: +OK
        C: PASS correct-horse
        S: +OK
        C: CAPA
        S: -ERR
        C: QUIT
        S: +OK
    )",
                                              plain));
    EXPECT_EQ(out.method, "PASS");
}

TEST(pop3_login, a_server_that_is_none) {
    const error why = fails({}, "S: * OK IMAP4rev1 ready");
    EXPECT_EQ(why.cls, retry_class::protocol);
    EXPECT_THAT(why.advice, HasSubstr("POP3 server"));
    EXPECT_EQ(fails({}, "S: -ERR [SYS/TEMP] not now").cls, retry_class::transient);
    const error silent = fails(in_the_clear(net::tls_mode::detect), "S!");
    EXPECT_EQ(silent.where, phase::greeting);
    EXPECT_THAT(silent.advice, HasSubstr("pop3s://"));
}

TEST(pop3_login, capabilities_that_matter_later) {
    pop3::capability_list can;
    can.add("EXPIRE 0");
    can.add("LOGIN-DELAY 300");
    EXPECT_TRUE(removes_what_was_read(can));
    EXPECT_EQ(login_delay(can), 300U);
    pop3::capability_list other;
    other.add("EXPIRE NEVER");
    EXPECT_FALSE(removes_what_was_read(other));
    EXPECT_EQ(login_delay(other), 0U);
}

} // namespace
} // namespace postferry::client

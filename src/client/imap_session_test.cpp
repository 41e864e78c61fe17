// Logging in, as transcripts (tests/support/memory_line.hpp tells how to read them).
#include "client/imap_session.hpp"
#include "support/memory_line.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::client {
namespace {

using support::line_faults;
using support::line_record;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const std::string password = "correct-horse";
const std::string plain = sasl::base64_encode(std::string("\0anna\0correct-horse", 19));

struct attempt {
    imap_settings settings;
    bool encrypted = true;
    line_faults faults;
    bool then_noop = false; ///< one more command behind the login

    attempt() {
        settings.where = {.host = "imap.example.org", .port = 993};
        settings.tls.mode = net::tls_mode::implicit;
        settings.user = "anna";
        settings.password = secret(password);
    }
};

struct outcome {
    std::optional<error> failure;
    std::string method, greeting;
    std::vector<std::string> capabilities;
    std::shared_ptr<line_record> line = std::make_shared<line_record>();
    std::vector<std::string> trace;
};

task<int> log_in(attempt& how, std::string_view script, outcome& out) {
    auto line = std::make_unique<support::scripted_line>(script, out.line, how.faults);
    line->encrypted_ = how.encrypted;
    how.settings.trace = net::wire_trace([&out](std::string_view l) { out.trace.emplace_back(l); }, 1);
    auto session =
        co_await imap_session::open_on(std::move(line), how.settings, std::make_shared<block_pool>(65'536, 2));
    if (!session) {
        out.failure = session.error();
        co_return 0;
    }
    out.method = (*session)->login_method();
    out.greeting = (*session)->greeting();
    out.capabilities = (*session)->capabilities().all();
    if (how.then_noop)
        if (auto status = co_await (*session)->run({"NOOP"}); !status) out.failure = status.error();
    co_return 0;
}

outcome play(attempt how, std::string_view script) {
    outcome out;
    (void)support::run_to_end(log_in(how, script, out));
    EXPECT_THAT(out.line->complaints, IsEmpty());
    return out;
}

/// Plays a login that works; also octet by octet.
outcome works(const attempt& how, std::string_view script) {
    outcome out = play(how, script);
    EXPECT_FALSE(out.failure) << out.failure->message();
    EXPECT_TRUE(out.line->finished) << "the script was not played to its end";
    attempt slow = how;
    slow.faults.read_at_most = 1;
    const outcome again = play(slow, script);
    EXPECT_FALSE(again.failure) << again.failure->message();
    EXPECT_EQ(again.line->written.size(), out.line->written.size()); // a nonce differs
    return out;
}

error fails(const attempt& how, std::string_view script) {
    const outcome out = play(how, script);
    EXPECT_TRUE(out.failure) << "it worked";
    EXPECT_TRUE(out.line->finished) << "the script was not played to its end";
    EXPECT_TRUE(out.line->closed);
    return out.failure.value_or(error{});
}

// --- Mechanisms -----------------------------------------------------------------------------------------------------

TEST(imap_login, plain_with_an_initial_response) {
    const outcome out = works({}, fmt::format(R"(
        S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN] here is example
        C: P1 AUTHENTICATE PLAIN {}
        S: P1 OK [CAPABILITY IMAP4rev1 UIDPLUS] in)",
                                              plain));
    EXPECT_EQ(out.method, "PLAIN");
    EXPECT_EQ(out.greeting, "here is example");
    EXPECT_THAT(out.capabilities, testing::ElementsAre("IMAP4REV1", "UIDPLUS"));
}

TEST(imap_login, plain_without_an_initial_response) {
    for (const char* request : {"+", "+ ", "+ go on, please"}) {
        works({}, fmt::format(R"(
            S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready
            C: P1 AUTHENTICATE PLAIN
            S: {}
            C: {}
            S: P1 OK [CAPABILITY IMAP4rev1] in)",
                              request, plain));
    }
}

TEST(imap_login, the_login_mechanism) {
    EXPECT_EQ(works({}, fmt::format(R"(
        S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=LOGIN] ready
        C: P1 AUTHENTICATE LOGIN
        S: + VXNlcm5hbWU6
        C: {}
        S: + UGFzc3dvcmQ6
        C: {}
        S: P1 OK [CAPABILITY IMAP4rev1] in)",
                                    sasl::base64_encode("anna"), sasl::base64_encode(password)))
                  .method,
              "LOGIN");
}

TEST(imap_login, cram_md5_with_the_example_of_its_rfc) {
    attempt how;
    how.settings.user = "tim";
    how.settings.password = secret("tanstaaftanstaaf");
    works(how, R"(
        S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=CRAM-MD5 AUTH=PLAIN] ready
        C: P1 AUTHENTICATE CRAM-MD5
        S: + PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+
        C: dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw
        S: P1 OK [CAPABILITY IMAP4rev1] in)");
}

TEST(imap_login, oauth_with_a_token) {
    attempt how;
    how.settings.auth = sasl::choice::xoauth2;
    works(how, fmt::format(R"(
        S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2 AUTH=PLAIN] ready
        C: P1 AUTHENTICATE XOAUTH2 {}
        S: P1 OK [CAPABILITY IMAP4rev1] in)",
                           sasl::base64_encode("user=anna\x01"
                                               "auth=Bearer correct-horse\x01\x01")));
    const error e = fails(how, fmt::format(R"(
        S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] ready
        C: P1 AUTHENTICATE XOAUTH2 <any>
        S: + {}
        C: <any>
        S: P1 NO [AUTHENTICATIONFAILED] sorry)",
                                           sasl::base64_encode(R"({"status":"400"})")));
    EXPECT_EQ(e.cls, retry_class::auth);
    EXPECT_THAT(e.server_said, HasSubstr("400"));
}

TEST(imap_login, external_by_certificate) {
    attempt how;
    how.settings.auth = sasl::choice::external;
    how.settings.password = {};
    const outcome out = works(how, R"(
        S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=EXTERNAL] ready
        C: P1 AUTHENTICATE EXTERNAL <any>
        S: P1 OK [CAPABILITY IMAP4rev1] in)");
    EXPECT_EQ(out.method, "EXTERNAL");
}

TEST(imap_login, a_server_that_does_not_prove_itself_is_not_trusted) {
    const error e = fails({}, R"(
        S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256 AUTH=PLAIN] ready
        C: P1 AUTHENTICATE SCRAM-SHA-256 <any>
        S: P1 OK welcome, whoever you are)");
    EXPECT_EQ(e.cls, retry_class::auth);
    EXPECT_THAT(e.what, HasSubstr("did not prove"));
}

TEST(imap_login, a_challenge_of_nonsense_ends_the_exchange) {
    const error e = fails({}, R"(
        S: * OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] ready
        C: P1 AUTHENTICATE CRAM-MD5
        S: + !!!
        C: *
        S: P1 BAD given up)");
    EXPECT_EQ(e.cls, retry_class::protocol);
}

TEST(imap_login, a_challenge_too_many) {
    const error e = fails({}, fmt::format(R"(
        S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready
        C: P1 AUTHENTICATE PLAIN {}
        S: + bW9yZQ==
        C: *
        S: P1 BAD given up)",
                                          plain));
    EXPECT_FALSE(e.what.empty());
}

// --- Refusals -------------------------------------------------------------------------------------------------------

TEST(imap_login, a_mechanism_that_is_refused_gives_way_to_the_next) {
    for (const char* refusal :
         {"NO [CANNOT] not now", "BAD unknown command", "NO Unsupported authentication mechanism"}) {
        const outcome out = works({}, fmt::format(R"(
            S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256 AUTH=PLAIN] ready
            C: P1 AUTHENTICATE SCRAM-SHA-256 <any>
            S: P1 {}
            C: P2 AUTHENTICATE PLAIN {}
            S: P2 OK [CAPABILITY IMAP4rev1] in)",
                                                  refusal, plain));
        EXPECT_EQ(out.method, "PLAIN");
    }
}

TEST(imap_login, a_wrong_password_is_not_tried_twice) {
    for (const char* refusal : {"NO [AUTHENTICATIONFAILED] wrong", "NO LOGIN failed.", "NO [ALERT] use an app password",
                                "NO [AUTHORIZATIONFAILED] not yours", "NO [EXPIRED] change it"}) {
        const error e = fails({}, fmt::format(R"(
            S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN] ready
            C: P1 AUTHENTICATE PLAIN {}
            S: P1 {})",
                                              plain, refusal));
        EXPECT_EQ(e.cls, retry_class::auth) << refusal;
        EXPECT_EQ(e.where, phase::login);
        EXPECT_THAT(e.message(), AllOf(HasSubstr("imap.example.org refused the login of anna"), HasSubstr("password")));
    }
}

TEST(imap_login, other_refusals_keep_their_meaning) {
    const std::vector<std::pair<std::string, retry_class>> table{
        {"NO [UNAVAILABLE] later", retry_class::transient},
        {"NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded", retry_class::transient},
        {"NO [ALERT] Too many simultaneous connections. (Failure)", retry_class::transient},
        {"NO [INUSE] locked", retry_class::transient},
        {"NO [LIMIT] slow down", retry_class::throttled},
        {"NO [PRIVACYREQUIRED] TLS first", retry_class::config},
        {"NO [CONTACTADMIN] call", retry_class::config}};
    for (const auto& [answer, cls] : table) {
        const error e = fails({}, fmt::format(R"(
            S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready
            C: P1 AUTHENTICATE PLAIN {}
            S: P1 {})",
                                              plain, answer));
        EXPECT_EQ(e.cls, cls) << answer;
    }
    const error e = fails({}, fmt::format(R"(
        S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready
        C: P1 AUTHENTICATE PLAIN {}
        S: P1 NO Basic authentication is disabled.)",
                                          plain));
    EXPECT_THAT(e.advice, HasSubstr("xoauth2"));
}

TEST(imap_login, connected_but_not_authenticated) {
    const error e = fails({}, fmt::format(R"(
        S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready
        C: P1 AUTHENTICATE PLAIN {}
        S: P1 OK in
        C: P2 CAPABILITY
        S: P2 BAD User is authenticated but not connected.)",
                                          plain));
    EXPECT_EQ(e.cls, retry_class::auth);
}

// --- The LOGIN command ----------------------------------------------------------------------------------------------

TEST(imap_login, the_login_command_where_nothing_else_is_offered) {
    const outcome out = works({}, R"(
        S: * OK ready
        C: P1 CAPABILITY
        S: * CAPABILITY IMAP4rev1
        S: P1 OK done
        C: P2 LOGIN "anna" "correct-horse"
        S: * CAPABILITY IMAP4rev1 UIDPLUS
        S: P2 OK in)");
    EXPECT_EQ(out.method, "LOGIN");
    EXPECT_THAT(out.capabilities, testing::Contains("UIDPLUS"));
}

TEST(imap_login, capabilities_are_read_again_after_it) {
    const outcome out = works({}, R"(
        S: * OK [CAPABILITY IMAP4rev1 SASL-IR] ready
        C: P1 LOGIN "anna" "correct-horse"
        S: P1 OK in
        C: P2 CAPABILITY
        S: * CAPABILITY IMAP4rev1 MULTIAPPEND
        S: P2 OK done)");
    EXPECT_THAT(out.capabilities, testing::ElementsAre("IMAP4REV1", "MULTIAPPEND"));
}

TEST(imap_login, a_password_that_needs_a_literal) {
    attempt how;
    how.settings.password = secret("\xc3\xa4\"");
    works(how, R"(
        S: * OK [CAPABILITY IMAP4rev1] ready
        C: P1 LOGIN "anna" {3}
        S: + go
        C: \xc3\xa4"
        S: P1 OK [CAPABILITY IMAP4rev1] in)");
    works(how, R"(
        S: * OK [CAPABILITY IMAP4rev1 LITERAL+] ready
        C: P1 LOGIN "anna" {3+}
        C: \xc3\xa4"
        S: P1 OK [CAPABILITY IMAP4rev1] in)");
    const error e = fails(how, R"(
        S: * OK [CAPABILITY IMAP4rev1] ready
        C: P1 LOGIN "anna" {3}
        S: P1 NO not even asking)");
    EXPECT_EQ(e.cls, retry_class::auth);
}

TEST(imap_login, logindisabled_is_obeyed) {
    const error e = fails({}, "S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=GSSAPI] ready\n");
    EXPECT_EQ(e.cls, retry_class::config);
    EXPECT_THAT(e.message(), AllOf(HasSubstr("no way to log in"), HasSubstr("GSSAPI")));
}

TEST(imap_login, the_login_command_refused) {
    EXPECT_EQ(fails({}, R"(
        S: * OK [CAPABILITY IMAP4rev1] ready
        C: P1 LOGIN "anna" "correct-horse"
        S: P1 NO wrong)")
                  .cls,
              retry_class::auth);
    const error e = fails({}, R"(
        S: * OK [CAPABILITY IMAP4rev1] ready
        C: P1 LOGIN "anna" "correct-horse"
        S: P1 BAD what)");
    EXPECT_EQ(e.cls, retry_class::protocol);
    EXPECT_THAT(e.server_said, HasSubstr("BAD what"));
}

// --- On somebody's behalf -------------------------------------------------------------------------------------------

TEST(imap_login, an_administrator_by_authorisation_identity) {
    attempt how;
    how.settings.admin = "root";
    works(how, fmt::format(R"(
        S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=CRAM-MD5 AUTH=PLAIN] ready
        C: P1 AUTHENTICATE PLAIN {}
        S: P1 OK [CAPABILITY IMAP4rev1] in)",
                           sasl::base64_encode(std::string("anna\0root\0correct-horse", 23))));
    const error e = fails(how, "S: * OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5 AUTH=LOGIN] ready\n");
    EXPECT_EQ(e.cls, retry_class::config);
    EXPECT_THAT(e.advice, HasSubstr("admin-form=star"));
}

TEST(imap_login, an_administrator_by_the_name) {
    attempt how;
    how.settings.admin = "root";
    how.settings.form = admin_form::star;
    works(how, fmt::format(R"(
        S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready
        C: P1 AUTHENTICATE PLAIN {}
        S: P1 OK [CAPABILITY IMAP4rev1] in)",
                           sasl::base64_encode(std::string("\0anna*root\0correct-horse", 24))));
    how.settings.form = admin_form::slash;
    works(how, R"(
        S: * OK [CAPABILITY IMAP4rev1] ready
        C: P1 LOGIN "root/anna" "correct-horse"
        S: P1 OK [CAPABILITY IMAP4rev1] in)");
}

// --- TLS ------------------------------------------------------------------------------------------------------------

attempt in_the_clear(net::tls_mode mode) {
    attempt how;
    how.encrypted = false;
    how.settings.tls.mode = mode;
    return how;
}

TEST(imap_tls, starttls_first_and_capabilities_again) {
    for (const net::tls_mode mode : {net::tls_mode::detect, net::tls_mode::require}) {
        works(in_the_clear(mode), fmt::format(R"(
            S: * OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED AUTH=CRAM-MD5] ready
            C: P1 STARTTLS
            S: P1 OK begin
            T:
            C: P2 CAPABILITY
            S: * CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN
            S: P2 OK
            C: P3 AUTHENTICATE PLAIN {}
            S: P3 OK [CAPABILITY IMAP4rev1] in)",
                                              plain));
    }
}

TEST(imap_tls, required_but_not_offered) {
    const error e = fails(in_the_clear(net::tls_mode::require), "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\n");
    EXPECT_EQ(e.cls, retry_class::config);
    EXPECT_EQ(e.where, phase::tls);
    EXPECT_THAT(e.message(), HasSubstr("imaps://"));
}

TEST(imap_tls, required_but_refused) {
    const error e = fails(in_the_clear(net::tls_mode::require), R"(
        S: * OK [CAPABILITY IMAP4rev1 STARTTLS] ready
        C: P1 STARTTLS
        S: P1 NO no certificate)");
    EXPECT_THAT(e.message(), AllOf(HasSubstr("STARTTLS"), HasSubstr("no certificate")));
}

TEST(imap_tls, no_password_in_clear_unless_told_so) {
    const error e = fails(in_the_clear(net::tls_mode::detect), R"(
        S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN] ready)");
    EXPECT_EQ(e.cls, retry_class::config);
    EXPECT_THAT(e.message(), AllOf(HasSubstr("no encryption"), HasSubstr("tls=off")));
    attempt forced = in_the_clear(net::tls_mode::detect);
    forced.settings.auth = sasl::choice::plain;
    EXPECT_EQ(fails(forced, "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\n").cls, retry_class::config);
    works(in_the_clear(net::tls_mode::off), fmt::format(R"(
        S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready
        C: P1 AUTHENTICATE PLAIN {}
        S: P1 OK [CAPABILITY IMAP4rev1] in)",
                                                        plain));
}

TEST(imap_tls, a_hidden_password_may_go_in_clear) {
    attempt how = in_the_clear(net::tls_mode::detect);
    works(how, R"(
        S: * OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5 AUTH=PLAIN] ready
        C: P1 AUTHENTICATE CRAM-MD5
        S: + PDFAYT4=
        C: <any>
        S: P1 OK [CAPABILITY IMAP4rev1] in)");
}

TEST(imap_tls, what_came_in_clear_behind_starttls_is_an_attack) {
    for (const char* injected :
         {"* CAPABILITY IMAP4rev1 AUTH=PLAIN\\r\\n", "* PREAUTH hi\\r\\n", "P2 OK\\r\\n", "P2 O", "+ \\r\\n"}) {
        const error e = fails(in_the_clear(net::tls_mode::require), fmt::format(R"(
            S: * OK [CAPABILITY IMAP4rev1 STARTTLS] ready
            C: P1 STARTTLS
            S~ P1 OK begin\r\n{})",
                                                                                injected));
        EXPECT_EQ(e.cls, retry_class::protocol) << injected;
    }
}

// --- Greetings ------------------------------------------------------------------------------------------------------

TEST(imap_greeting, preauth_needs_no_login) {
    const outcome out = works({}, "S: * PREAUTH [CAPABILITY IMAP4rev1] hello\n");
    EXPECT_EQ(out.method, "");
    works({}, R"(
        S: * PREAUTH hello
        C: P1 CAPABILITY
        S: * CAPABILITY IMAP4rev1
        S: P1 OK)");
}

TEST(imap_greeting, turned_away) {
    const error e = fails({}, "S: * BYE Too many connections from your IP\n");
    EXPECT_EQ(e.cls, retry_class::transient);
    EXPECT_THAT(e.message(), AllOf(HasSubstr("turned us away"), HasSubstr("Too many connections")));
    EXPECT_EQ(fails({}, "S: * BYE [ALERT] Fatal error: max atoms\n").cls, retry_class::transient);
    EXPECT_EQ(fails({}, "S: * BAD what\n").where, phase::greeting);
    EXPECT_EQ(fails({}, "S: * NO closed\n").where, phase::greeting);
}

TEST(imap_greeting, no_imap_server) {
    for (const char* line : {"SSH-2.0-OpenSSH_9.2", "220 mail ESMTP", "+OK POP3", "HTTP/1.1 400 Bad Request"}) {
        const error e = fails({}, fmt::format("S: {}\n", line));
        EXPECT_EQ(e.cls, retry_class::protocol) << line;
        EXPECT_THAT(e.advice, HasSubstr("IMAP server"));
    }
}

// --- Death ----------------------------------------------------------------------------------------------------------

const std::string full_login = fmt::format(R"(
    S: * OK ready
    C: P1 CAPABILITY
    S: * CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED
    S: P1 OK done
    C: P2 STARTTLS
    S: P2 OK begin
    T:
    C: P3 CAPABILITY
    S: * CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-1 AUTH=PLAIN
    S: P3 OK
    C: P4 AUTHENTICATE SCRAM-SHA-1
    S: P4 NO [CANNOT] no
    C: P5 AUTHENTICATE PLAIN
    S: +
    C: {}
    S: P5 OK in
    C: P6 CAPABILITY
    S: * CAPABILITY IMAP4rev1
    S: P6 OK
    C: P7 NOOP
    S: * BYE [UNAVAILABLE] going down
    S: P7 OK)",
                                           plain);

TEST(imap_death, at_every_octet_of_the_server) {
    attempt how = in_the_clear(net::tls_mode::require);
    how.then_noop = true;
    const std::size_t all = works(how, full_login).line->delivered;
    ASSERT_GT(all, 200U);
    for (std::size_t octets = 0; octets < all; ++octets) {
        how.faults.dies_after = octets;
        const outcome out = play(how, full_login);
        ASSERT_TRUE(out.failure) << "dead after " << octets;
        EXPECT_EQ(out.failure->cls, retry_class::transient)
            << "dead after " << octets << ": " << out.failure->message();
        EXPECT_THAT(out.failure->message(), HasSubstr("imap.example.org closed the connection"));
        EXPECT_TRUE(out.line->closed);
    }
}

TEST(imap_death, at_every_read_and_write) {
    attempt how = in_the_clear(net::tls_mode::require);
    how.then_noop = true;
    const outcome whole = play(how, full_login);
    for (std::size_t k = 0; k < whole.line->reads; ++k) {
        how.faults = {};
        how.faults.failing_read = k;
        EXPECT_EQ(play(how, full_login).failure.value_or(error{}).what, "connection lost: reset by peer") << k;
    }
    for (std::size_t k = 0; k < whole.line->writes; ++k) {
        how.faults = {};
        how.faults.failing_write = k;
        EXPECT_EQ(play(how, full_login).failure.value_or(error{}).what, "connection lost: broken pipe") << k;
    }
}

TEST(imap_death, the_goodbye_is_told_and_understood) {
    attempt how;
    how.then_noop = true;
    const error e = fails(how, R"(
        S: * PREAUTH [CAPABILITY IMAP4rev1] hello
        C: P1 NOOP
        S: * BYE [THROTTLED] Suggested Backoff Time: 2500 milliseconds
        S!)");
    EXPECT_EQ(e.cls, retry_class::throttled);
    EXPECT_EQ(e.backoff_ms, 2500U);
    EXPECT_THAT(e.message(), AllOf(HasSubstr("closed the connection"), HasSubstr("BYE [THROTTLED]")));
}

// --- What a refusal means -------------------------------------------------------------------------------------------

struct meaning {
    imap::status_kind kind;
    std::string code, text;
    phase where;
    retry_class cls;
    std::uint32_t backoff_ms = 0;
};

TEST(imap_errors, by_code_and_text) {
    using enum imap::status_kind;
    using enum retry_class;
    const std::vector<meaning> table{
        {no, "", "no", phase::append, permanent},
        {bad, "", "what", phase::append, protocol},
        {bye, "", "bye", phase::connect, transient},
        {bye, "ALERT", "bye", phase::connect, transient},
        {no, "OVERQUOTA", "full", phase::append, permanent},
        {no, "TRYCREATE", "no such folder", phase::append, permanent},
        {no, "LIMIT", "Mail size is larger than the maximum", phase::append, permanent},
        {no, "LIMIT", "UID FETCH Rate limit hit", phase::fetch, throttled},
        {no, "TOOBIG", "too big", phase::append, permanent},
        {no, "THROTTLED", "slow", phase::fetch, throttled},
        {no, "UNAVAILABLE", "later", phase::fetch, transient},
        {no, "INUSE", "busy", phase::fetch, transient},
        {no, "SERVERBUG", "oops", phase::fetch, transient},
        {no, "X-UNKNOWN", "no", phase::fetch, permanent},
        {bad, "", "Request is throttled. Suggested Backoff Time: 299609 milliseconds", phase::fetch, throttled,
         299'609},
        {no, "", "Suggested backoff time: 99999999999999 ms", phase::fetch, throttled, 300'000},
        {no, "", "Suggested Backoff Time: soon", phase::fetch, permanent},
        {no, "ALERT", "Too many simultaneous connections", phase::login, transient},
    };
    for (const meaning& m : table) {
        imap::status_response s{.tag = "P1", .kind = m.kind, .code = {}, .text = m.text};
        if (!m.code.empty())
            s.code = imap::response_code{
                .name = m.code, .args = {}, .number = {}, .flags = {}, .capabilities = {}, .uids = {}};
        const error e = to_error(s, m.where, "It failed");
        EXPECT_EQ(e.cls, m.cls) << m.code << " " << m.text;
        EXPECT_EQ(e.backoff_ms, m.backoff_ms) << m.text;
        EXPECT_EQ(e.response_code, m.code);
        EXPECT_EQ(e.where, m.where);
        EXPECT_THAT(e.message(), AllOf(HasSubstr("It failed"), HasSubstr(m.text)));
    }
}

TEST(imap_errors, hostile_text_is_made_safe) {
    const imap::status_response s{
        .tag = "P1", .kind = imap::status_kind::no, .code = {}, .text = std::string(5000, '\x1b')};
    const error e = to_error(s, phase::login, "It failed");
    EXPECT_EQ(e.server_said.find('\x1b'), std::string::npos);
    EXPECT_LT(e.server_said.size(), 500U);
}

// --- Secrets --------------------------------------------------------------------------------------------------------

void expect_no_secret(const outcome& out, const std::vector<std::string>& secrets) {
    ASSERT_FALSE(out.trace.empty());
    for (const std::string& s : secrets) {
        for (const std::string& line : out.trace) EXPECT_THAT(line, Not(HasSubstr(s)));
        if (out.failure) EXPECT_THAT(out.failure->message(), Not(HasSubstr(s)));
    }
}

TEST(imap_secrets, are_in_no_trace_and_no_error) {
    const std::vector<std::string> secrets{password, sasl::base64_encode(password), plain, "horse"};
    const std::vector<std::string> scripts{
        full_login,
        "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\nC: P1 AUTHENTICATE PLAIN <any>\nS: P1 OK [CAPABILITY "
        "X] in\n",
        "S: * OK [CAPABILITY IMAP4rev1] ready\nC: P1 LOGIN <any>\nS: P1 OK [CAPABILITY X] in\n",
        "S: * OK [CAPABILITY IMAP4rev1 AUTH=LOGIN] ready\nC: P1 AUTHENTICATE LOGIN\nS: + VXNlcg==\nC: <any>\nS: + "
        "UGFzcw==\nC: <any>\nS: P1 NO no\n",
    };
    for (const std::string& script : scripts) {
        const bool clear = script == full_login;
        expect_no_secret(play(clear ? in_the_clear(net::tls_mode::require) : attempt{}, script), secrets);
    }
}

TEST(imap_secrets, are_not_repeated_when_the_server_does) {
    const std::vector<std::string> secrets{password, plain};
    for (const char* verdict : {"NO", "BAD", "NO [AUTHENTICATIONFAILED]"}) {
        expect_no_secret(play({}, fmt::format(R"(
            S: * OK [CAPABILITY IMAP4rev1] ready
            C: P1 LOGIN <any>
            S: P1 {} what is LOGIN "anna" "correct-horse"?)",
                                              verdict)),
                         secrets);
    }
    expect_no_secret(play({}, fmt::format(R"(
        S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED SASL-IR AUTH=PLAIN] ready
        C: P1 AUTHENTICATE PLAIN {}
        S: P1 NO what is {}, or {}?)",
                                          plain, plain, password)),
                     secrets);
}

TEST(imap_secrets, a_line_end_in_a_password_does_not_let_it_out) {
    attempt how;
    how.settings.password = secret("correct\nhorse");
    for (const char* literal : {"", " LITERAL+"}) {
        const outcome out = play(how, fmt::format(R"(
            S: * OK [CAPABILITY IMAP4rev1{}] ready
            C: P1 LOGIN "anna" <any>
            {}
            C: correct\nhorse
            S: P1 OK [CAPABILITY IMAP4rev1] in)",
                                                  literal, *literal == 0 ? "S: + go" : ""));
        EXPECT_FALSE(out.failure);
        expect_no_secret(out, {"correct", "horse"});
    }
}

// --- The wire trace of what comes in --------------------------------------------------------------------------------

std::vector<std::string> shown(std::string_view octets, std::size_t piece) {
    std::vector<std::string> out;
    net::wire_trace trace([&out](std::string_view l) { out.emplace_back(l.substr(l.find('#'))); }, 1);
    wire_lines lines;
    for (; !octets.empty(); octets.remove_prefix(std::min(piece, octets.size())))
        lines.show(octets.substr(0, piece), trace);
    return out;
}

TEST(wire_lines, literals_are_counted_and_never_shown) {
    const std::string wire = "* 1 FETCH (BODY[] {12}\r\nDear Anna,\r\n UID 3)\r\n* OK\n";
    for (std::size_t piece = 1; piece <= wire.size(); ++piece)
        EXPECT_THAT(shown(wire, piece),
                    testing::ElementsAre("#1 S: * 1 FETCH (BODY[] {12}", "#1 S: <literal of 12 octets>",
                                         "#1 S:  UID 3)", "#1 S: * OK"))
            << piece;
}

TEST(wire_lines, nor_behind_a_line_too_long_to_keep) {
    const std::string wire =
        fmt::format("* 1 FETCH (FLAGS ({}) BODY[] {{12}}\r\nDear Anna,\r\n)\r\n", std::string(9000, 'f'));
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, wire.size()})
        for (const std::string& line : shown(wire, piece)) EXPECT_THAT(line, Not(HasSubstr("Dear")));
}

} // namespace
} // namespace postferry::client

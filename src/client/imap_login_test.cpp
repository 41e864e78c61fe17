// Mechanisms, refusals, the LOGIN command, administrators, STARTTLS.
#include "support/login_script.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::client {
namespace {

using namespace support;
using namespace support::by_imap;
using ::testing::AllOf;
using ::testing::HasSubstr;

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
        C: P1 AUTHENTICATE EXTERNAL YW5uYQ==
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
        EXPECT_THAT(e.message(), AllOf(HasSubstr("mail.example.org refused the login of anna"), HasSubstr("password")));
    }
}

TEST(imap_login, other_refusals_keep_their_meaning) {
    const std::vector<std::pair<std::string, retry_class>> table{
        {"NO [UNAVAILABLE] later", retry_class::transient},
        {"NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded", retry_class::throttled},
        {"NO [ALERT] Too many simultaneous connections. (Failure)", retry_class::throttled},
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
    EXPECT_THAT(e.advice,
                AllOf(HasSubstr("OAuth 2 needed"), HasSubstr("auth=xoauth2"), HasSubstr("--oauth-token-endpoint")));
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

TEST(imap_login, where_nothing_is_offered_that_is_said) {
    const error e = fails({}, "S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED] ready\n");
    EXPECT_THAT(e.message(), HasSubstr("no way to log in that fits (it offers nothing)"));
}

// docs/quirks.md#exchange: a shared mailbox is named behind domain and user.
TEST(imap_login, exchanges_names_with_backslashes) {
    attempt how;
    how.settings.user = "dom\\anna\\sales";
    works(how, R"(
        S: * OK The Microsoft Exchange IMAP4 service is ready.
        C: P1 CAPABILITY
        S: * CAPABILITY IMAP4 IMAP4rev1 AUTH=NTLM UIDPLUS
        S: P1 OK CAPABILITY completed.
        C: P2 LOGIN "dom\\\\anna\\\\sales" "correct-horse"
        S: P2 OK [CAPABILITY IMAP4rev1] LOGIN completed.)");
}

// docs/quirks.md#exchange-online
TEST(imap_login, basic_authentication_is_disabled) {
    const error e = fails({}, fmt::format(R"(
        S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR] The Microsoft Exchange IMAP4 service is ready.
        C: P1 AUTHENTICATE PLAIN {}
        S: P1 NO Basic authentication is disabled.)",
                                          plain));
    EXPECT_EQ(e.cls, retry_class::auth);
    EXPECT_THAT(e.advice, HasSubstr("OAuth 2"));
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

} // namespace
} // namespace postferry::client

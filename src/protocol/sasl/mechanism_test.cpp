#include "protocol/sasl/mechanism.hpp"

#include <gmock/gmock.h>
#include <gsasl.h>
#include <gtest/gtest.h>

namespace postferry::sasl {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

credentials who(std::string user, std::string password, std::string on_behalf_of = {}) {
    credentials out;
    out.authentication_id = std::move(user);
    out.authorization_id = std::move(on_behalf_of);
    out.password = secret(std::move(password));
    return out;
}

std::unique_ptr<mechanism> made(std::string_view name, const credentials& c) {
    auto m = make(name, c);
    if (!m) throw std::runtime_error(m.error().message());
    return std::move(*m);
}

std::string said(mechanism& m, std::string_view challenge = {}) {
    const auto answer = m.step(challenge);
    return answer ? std::string(answer->reveal()) : "failed: " + answer.error().message();
}

// RFC 4616 section 4.
TEST(plain, rfc_4616) {
    auto tim = made("PLAIN", who("tim", "tanstaaftanstaaf"));
    EXPECT_TRUE(tim->client_first());
    EXPECT_EQ(tim->name(), "PLAIN");
    EXPECT_FALSE(tim->complete());
    EXPECT_EQ(said(*tim), std::string("\0tim\0tanstaaftanstaaf", 21));
    EXPECT_TRUE(tim->complete());
    auto kurt = made("plain", who("Kurt", "xipj3plmq", "Ursel"));
    EXPECT_EQ(said(*kurt), std::string("Ursel\0Kurt\0xipj3plmq", 20));
    EXPECT_THAT(said(*kurt, "more?"), HasSubstr("goes on after the end of PLAIN"));
}

TEST(login, two_prompts) {
    auto m = made("LOGIN", who("tim", "tanstaaftanstaaf"));
    EXPECT_FALSE(m->client_first());
    EXPECT_EQ(said(*m, "Username:"), "tim");
    EXPECT_FALSE(m->complete());
    EXPECT_EQ(said(*m, "Password:"), "tanstaaftanstaaf");
    EXPECT_TRUE(m->complete());
}

// RFC 2195 section 2.
TEST(cram_md5, rfc_2195) {
    auto m = made("CRAM-MD5", who("tim", "tanstaaftanstaaf"));
    EXPECT_FALSE(m->client_first());
    EXPECT_EQ(said(*m, "<1896.697170952@postoffice.reston.mci.net>"), "tim b913a602c7eda7a495b4e6e7334d3890");
    EXPECT_TRUE(m->complete());
}

TEST(cram_md5, cannot_act_for_another) {
    for (const char* name : {"CRAM-MD5", "LOGIN"}) {
        const auto m = make(name, who("admin", "x", "joe"));
        ASSERT_FALSE(m);
        EXPECT_EQ(m.error().cls, retry_class::config);
        EXPECT_THAT(m.error().what, HasSubstr("on behalf of another user"));
        EXPECT_TRUE(make(name, who("joe", "x", "joe"))) << "naming oneself is no other identity";
    }
}

/// GNU SASL's server side: what a real server would say.
class scram_server {
  public:
    scram_server(const char* name, const char* password, const char* iterations = "4096") {
        gsasl_init(&library_);
        gsasl_server_start(library_, name, &session_);
        gsasl_property_set(session_, GSASL_PASSWORD, password);
        gsasl_property_set(session_, GSASL_SCRAM_ITER, iterations);
    }
    scram_server(const scram_server&) = delete;
    scram_server& operator=(const scram_server&) = delete;
    ~scram_server() {
        gsasl_finish(session_);
        gsasl_done(library_);
    }

    std::string answer(std::string_view to) {
        char* out = nullptr;
        std::size_t size = 0;
        rc = gsasl_step(session_, to.data(), to.size(), &out, &size);
        std::string text = out == nullptr ? std::string() : std::string(out, size);
        gsasl_free(out);
        return text;
    }
    [[nodiscard]] std::string property(Gsasl_property p) const {
        const char* value = gsasl_property_fast(session_, p);
        return value == nullptr ? "" : value;
    }

    int rc = GSASL_OK;

  private:
    Gsasl* library_ = nullptr;
    Gsasl_session* session_ = nullptr;
};

class scram : public ::testing::TestWithParam<const char*> {};

TEST_P(scram, the_server_accepts_the_proof_and_proves_itself) {
    scram_server server(GetParam(), "pencil");
    auto client = made(GetParam(), who("user", "pencil", "somebody else"));
    EXPECT_TRUE(client->client_first());
    const std::string first = said(*client);
    EXPECT_THAT(first, MatchesRegex("n,a=somebody else,n=user,r=.{18,}"));
    const std::string last = said(*client, server.answer(first));
    EXPECT_THAT(last, HasSubstr(",p="));
    EXPECT_FALSE(client->complete()) << "the server has proved nothing yet";
    const std::string proof = server.answer(last);
    EXPECT_EQ(server.rc, GSASL_OK);
    EXPECT_EQ(said(*client, proof), "");
    EXPECT_TRUE(client->complete());
    EXPECT_EQ(server.property(GSASL_AUTHZID), "somebody else");
}

TEST_P(scram, a_wrong_password_is_refused_by_the_server) {
    scram_server server(GetParam(), "pencil");
    auto client = made(GetParam(), who("user", "crayon"));
    (void)server.answer(said(*client, server.answer(said(*client))));
    EXPECT_EQ(server.rc, GSASL_AUTHENTICATION_ERROR);
}

TEST_P(scram, a_server_that_does_not_know_the_password_is_refused) {
    scram_server server(GetParam(), "pencil");
    auto client = made(GetParam(), who("user", "pencil"));
    std::string proof = server.answer(said(*client, server.answer(said(*client))));
    ASSERT_TRUE(proof.starts_with("v="));
    proof[2] = proof[2] == 'A' ? 'B' : 'A';
    const auto end = client->step(proof);
    ASSERT_FALSE(end);
    EXPECT_EQ(end.error().cls, retry_class::auth);
    EXPECT_THAT(end.error().what, HasSubstr("did not prove"));
    EXPECT_FALSE(client->complete());
    EXPECT_FALSE(client->step(proof)) << "there is no second chance";
}

TEST_P(scram, the_servers_nonce_must_begin_with_ours) {
    auto client = made(GetParam(), who("user", "pencil"));
    (void)said(*client);
    const auto answer = client->step("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096");
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().cls, retry_class::protocol);
}

TEST_P(scram, rounds_are_bounded) {
    for (const char* count : {"0", "1000001", "1000000000", "99999999999999999999", "-1", "", "x", "4096x"}) {
        auto client = made(GetParam(), who("user", "pencil"));
        const std::string first = said(*client);
        const std::string nonce = first.substr(first.find("r=") + 2);
        const auto answer = client->step(fmt::format("r={}server,s=QSXCR+Q6sek8bf92,i={}", nonce, count));
        ASSERT_FALSE(answer) << count;
        EXPECT_EQ(answer.error().cls, retry_class::protocol);
        EXPECT_THAT(answer.error().what, HasSubstr(fmt::format("asks for {} rounds", count)));
        EXPECT_FALSE(client->step("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")) << "the exchange is over";
    }
}

TEST_P(scram, nonsense_is_a_protocol_failure) {
    for (const char* nonsense : {"", "hello", "r=,s=,i=4096", "i=4096", "r=x", ",,,", "e=invalid-encoding"}) {
        auto client = made(GetParam(), who("user", "pencil"));
        (void)said(*client);
        const auto answer = client->step(nonsense);
        ASSERT_FALSE(answer) << nonsense;
        EXPECT_EQ(answer.error().cls, retry_class::protocol) << nonsense;
    }
}

INSTANTIATE_TEST_SUITE_P(hashes, scram, ::testing::Values("SCRAM-SHA-1", "SCRAM-SHA-256"));

// https://developers.google.com/gmail/imap/xoauth2-protocol
TEST(xoauth2, googles_format) {
    auto m = made("XOAUTH2", who("someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"));
    EXPECT_EQ(base64_encode(said(*m)),
              "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJo"
              "ZG1semRHRXVZMjl0Q2cBAQ==");
    EXPECT_TRUE(m->complete());
    EXPECT_EQ(m->server_error(), "");
}

TEST(xoauth2, an_error_document_gets_an_empty_answer) {
    auto m = made("XOAUTH2", who("joe", "token"));
    (void)said(*m);
    EXPECT_EQ(said(*m, "{\"status\":\"401\",\"schemes\":\"bearer\"}\n"), "");
    EXPECT_EQ(m->server_error(), "{\"status\":\"401\",\"schemes\":\"bearer\"}\\x0a");
    EXPECT_THAT(said(*m, "and?"), HasSubstr("goes on after the end of XOAUTH2"));
}

// RFC 7628 section 4.1.
TEST(oauthbearer, rfc_7628) {
    credentials c = who("user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
    c.host = "server.example.com";
    c.port = 143;
    auto m = made("OAUTHBEARER", c);
    EXPECT_EQ(said(*m), "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
                        "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01");
    EXPECT_TRUE(m->complete());
}

// RFC 7628 section 4.3: the dummy answer is one ^A, "AQ==".
TEST(oauthbearer, an_error_document_gets_the_dummy_answer) {
    auto m = made("OAUTHBEARER", who("us,er=x", "token"));
    EXPECT_THAT(said(*m), HasSubstr("a=us=2Cer=3Dx,"));
    EXPECT_EQ(base64_encode(said(*m, R"({"status":"invalid_token"})")), "AQ==");
    EXPECT_EQ(m->server_error(), R"({"status":"invalid_token"})");
}

TEST(oauth, a_token_cannot_carry_fields_of_its_own) {
    for (const char* name : {"XOAUTH2", "OAUTHBEARER"}) {
        EXPECT_FALSE(make(name, who("joe", "")));
        EXPECT_FALSE(make(name, who("joe", "tok\x01user=root")));
        EXPECT_FALSE(make(name, who("joe", "token\n")));
        EXPECT_FALSE(make(name, who("joe\x01"
                                    "auth=Bearer other",
                                    "token")));
    }
}

TEST(external, names_the_authorisation_identity_or_nothing) {
    auto joe = made("EXTERNAL", who("ignored", "", "joe@example.org"));
    EXPECT_TRUE(joe->client_first());
    EXPECT_EQ(said(*joe), "joe@example.org");
    EXPECT_TRUE(joe->complete());
    EXPECT_EQ(said(*made("EXTERNAL", who("", ""))), "");
}

TEST(make, refuses_what_it_does_not_know_and_what_would_forge_a_field) {
    EXPECT_EQ(make("GSSAPI", who("a", "b")).error().cls, retry_class::config);
    EXPECT_EQ(make("", who("a", "b")).error().cls, retry_class::config);
    EXPECT_FALSE(make("PLAIN", who(std::string("tim\0root", 8), "x")));
    EXPECT_FALSE(make("PLAIN", who("tim", "x", std::string("\0", 1))));
    const auto m = make("PLAIN", who("tim", std::string("secret\0word", 11)));
    ASSERT_FALSE(m);
    EXPECT_THAT(m.error().message(), ::testing::Not(HasSubstr("secret")));
}

} // namespace
} // namespace postferry::sasl

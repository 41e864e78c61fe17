#include "net/connection.hpp"
#include "net/test_peer.hpp"

#include <fmt/chrono.h>
#include <gmock/gmock.h>
#include <openssl/ssl.h>

#include <sys/socket.h>

namespace postferry::net::test {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

tls_settings trusting_the_authority() {
    tls_settings out;
    out.mode = tls_mode::implicit;
    out.ca_file = shared_authority().ca_file();
    return out;
}

tls_settings pinning(std::vector<std::string> pins) {
    tls_settings out;
    out.mode = tls_mode::implicit;
    out.verify = tls_verify::pin;
    out.pins = std::move(pins);
    return out;
}

/// Dials a server that holds this certificate; the error of the attempt, or nothing when it was accepted.
std::optional<error> refusal(SSL_CTX* ctx, const tls_settings& settings, const std::string& host = "localhost") {
    peer server([ctx](peer_line& line) {
        if (line.secure(ctx)) line.read();
    });
    const auto failure = run(attempt(server.port(), settings, host));
    if (failure) EXPECT_EQ(failure->where, phase::tls);
    return failure;
}

std::optional<error> refusal(const certificate_options& options, const tls_settings& settings,
                             const std::string& host = "localhost") {
    return refusal(shared_authority().server(shared_authority().issue("server", options)), settings, host);
}

/// The pin that an error message names: "...sha256/BASE64..."
std::string pin_in(const std::string& text) {
    const std::size_t at = text.find("sha256/");
    return at == std::string::npos ? "" : text.substr(at + 7, 44);
}

TEST(tls, a_good_certificate_is_accepted_and_summed_up) {
    SSL_CTX* ctx = shared_authority().server(shared_authority().issue("good"));
    peer server([ctx](peer_line& line) {
        ASSERT_TRUE(line.secure(ctx));
        EXPECT_STREQ(SSL_get_servername(line.ssl(), TLSEXT_NAMETYPE_host_name), "localhost");
        line.write("* OK\r\n");
    });
    run([](std::uint16_t port) -> task<bool> {
        auto line = (co_await dial(port, trusting_the_authority(), "localhost")).value();
        EXPECT_TRUE(line->encrypted());
        EXPECT_THAT(line->tls_summary(), HasSubstr("TLSv1.3 TLS_"));
        EXPECT_EQ((co_await receive_text(*line, 100)).value(), "* OK\r\n");
        co_return true;
    }(server.port()));
}

TEST(tls, an_address_is_checked_against_the_certificates_addresses) {
    EXPECT_FALSE(refusal(certificate_options{}, trusting_the_authority(), "127.0.0.1"));
    const auto e = refusal({.names = {"DNS:127.0.0.1", "IP:192.0.2.7"}}, trusting_the_authority(), "127.0.0.1");
    ASSERT_TRUE(e);
    EXPECT_THAT(e->what, HasSubstr("is for other names: 127.0.0.1, 192.0.2.7"));
}

TEST(tls, expired) {
    const auto e = refusal({.starts_in_days = -10, .ends_in_days = -1}, trusting_the_authority());
    ASSERT_TRUE(e);
    EXPECT_EQ(e->cls, retry_class::config);
    const std::time_t yesterday = std::time(nullptr) - 86400;
    EXPECT_THAT(e->what, HasSubstr(fmt::format("expired on {:%Y-%m-%d}", fmt::gmtime(yesterday))));
    EXPECT_EQ(pin_in(e->advice).size(), 44u);
}

TEST(tls, not_yet_valid) {
    const auto e = refusal({.starts_in_days = 3}, trusting_the_authority());
    ASSERT_TRUE(e);
    EXPECT_THAT(e->what, HasSubstr("is not valid before 20"));
    EXPECT_THAT(e->advice, HasSubstr("clock"));
}

TEST(tls, other_names_are_listed) {
    const auto e = refusal({.names = {"DNS:mail.example.org", "DNS:*.example.net"}}, trusting_the_authority());
    ASSERT_TRUE(e);
    EXPECT_EQ(e->cls, retry_class::config);
    EXPECT_THAT(e->what, HasSubstr("is for other names: mail.example.org, *.example.net"));
    EXPECT_THAT(e->advice, HasSubstr("Connect by one of these names"));
}

TEST(tls, names_from_the_peer_are_bounded_and_escaped) {
    certificate_options many;
    many.names.clear();
    for (int i = 0; i < 50; ++i) many.names.push_back(fmt::format("DNS:n{}.example.org", i));
    EXPECT_THAT(refusal(many, trusting_the_authority())->what,
                AllOf(HasSubstr("n7.example.org, ..."), Not(HasSubstr("n8."))));
    const auto odd = refusal({.common_name = "evil\x1b[2J", .names = {}}, trusting_the_authority());
    EXPECT_THAT(odd->what, Not(HasSubstr("\x1b")));
}

TEST(tls, self_signed) {
    const auto e = refusal({.common_name = "my own", .self_signed = true}, trusting_the_authority());
    ASSERT_TRUE(e);
    EXPECT_THAT(e->what, HasSubstr("is self-signed (CN=my own)"));
    EXPECT_THAT(e->advice, AllOf(HasSubstr("ca=FILE"), HasSubstr("verify=pin:sha256/")));
}

TEST(tls, an_unknown_issuer_is_named) {
    tls_settings system_ca;
    system_ca.mode = tls_mode::implicit;
    const auto e = refusal(certificate_options{}, system_ca);
    ASSERT_TRUE(e);
    EXPECT_EQ(e->cls, retry_class::config);
    EXPECT_THAT(e->what, HasSubstr("issued by an authority that is not trusted here: CN=Postferry Test Authority"));
    EXPECT_THAT(e->advice, HasSubstr("ca=FILE"));
}

TEST(tls, the_pin_that_a_message_names_is_accepted_by_a_pin_whatever_else_is_wrong) {
    SSL_CTX* ctx = shared_authority().server(
        shared_authority().issue("bad", {.names = {"DNS:elsewhere"}, .ends_in_days = -1, .self_signed = true}));
    const auto e = refusal(ctx, trusting_the_authority());
    ASSERT_TRUE(e);
    const std::string pin = pin_in(e->advice);
    EXPECT_FALSE(refusal(ctx, pinning({"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", pin})));
    EXPECT_FALSE(refusal(ctx, pinning({"sha256/" + pin})));
}

TEST(tls, a_missed_pin_tells_the_pin_that_was_seen) {
    SSL_CTX* ctx = shared_authority().server(shared_authority().issue("pinned"));
    const auto e = refusal(ctx, pinning({"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}));
    ASSERT_TRUE(e);
    EXPECT_EQ(e->cls, retry_class::config);
    EXPECT_THAT(e->what, HasSubstr("matches none of the given pins"));
    EXPECT_FALSE(refusal(ctx, pinning({pin_in(e->what)})));
    EXPECT_EQ(refusal(ctx, pinning({}))->what, "verify=pin without a pin");
}

TEST(tls, verify_off_accepts_anything) {
    tls_settings off;
    off.mode = tls_mode::implicit;
    off.verify = tls_verify::off;
    EXPECT_FALSE(refusal({.names = {"DNS:elsewhere"}, .ends_in_days = -1, .self_signed = true}, off));
}

TEST(tls, old_protocols_only) {
    SSL_CTX* ctx = shared_authority().server(shared_authority().issue("old"));
    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
    const auto e = refusal(ctx, trusting_the_authority());
    ASSERT_TRUE(e);
    EXPECT_EQ(e->cls, retry_class::config);
    EXPECT_THAT(e->what, HasSubstr("offers no TLS version that is still safe"));
}

TEST(tls, tls_1_2_is_good_enough) {
    SSL_CTX* ctx = shared_authority().server(shared_authority().issue("1.2"));
    SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    EXPECT_FALSE(refusal(ctx, trusting_the_authority()));
}

TEST(tls, a_server_that_speaks_in_the_clear_is_recognised) {
    peer server([](peer_line& line) {
        line.write("* OK [CAPABILITY IMAP4rev1 STARTTLS] Dovecot ready.\r\n");
        line.read();
    });
    const auto failure = run(attempt(server.port(), trusting_the_authority(), "localhost"));
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->cls, retry_class::config);
    EXPECT_THAT(failure->what, HasSubstr("answered in the clear"));
    EXPECT_THAT(failure->server_said, HasSubstr("* OK [CAPABILITY"));
    EXPECT_THAT(failure->advice, HasSubstr("tls=require"));
}

TEST(tls, a_peer_that_hangs_up_in_the_handshake) {
    peer server([](peer_line& line) {
        line.read();
        line.cut();
    });
    const auto failure = run(attempt(server.port(), trusting_the_authority(), "localhost"));
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->cls, retry_class::transient);
    EXPECT_THAT(failure->what, HasSubstr("closed the connection in the TLS handshake"));
}

TEST(tls, a_peer_that_says_nothing_in_the_handshake) {
    peer server([](peer_line& line) {
        line.read();
        line.read();
    });
    const auto failure = run(attempt(server.port(), trusting_the_authority(), "localhost", deadline::in(60ms)));
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->cls, retry_class::transient);
    EXPECT_EQ(failure->where, phase::tls);
    EXPECT_THAT(failure->what, HasSubstr("gave no answer for 0.0"));
}

TEST(tls, a_line_cut_without_farewell_is_no_orderly_end) {
    SSL_CTX* ctx = shared_authority().server(shared_authority().issue("cut"));
    peer server([ctx](peer_line& line) {
        ASSERT_TRUE(line.secure(ctx));
        line.write("half a mess");
        line.cut();
    });
    run([](std::uint16_t port) -> task<bool> {
        auto line = (co_await dial(port, trusting_the_authority(), "localhost")).value();
        EXPECT_EQ((co_await receive_text(*line, 11)).value(), "half a mess");
        std::array<char, 10> more{};
        const auto n = co_await line->read_some(more, soon());
        EXPECT_FALSE(n.has_value());
        EXPECT_EQ(n.error().cls, retry_class::transient);
        EXPECT_THAT(n.error().what, HasSubstr("cut without a TLS farewell"));
        co_return true;
    }(server.port()));
}

TEST(tls, starttls) {
    SSL_CTX* ctx = shared_authority().server(shared_authority().issue("starttls"));
    peer server([ctx](peer_line& line) {
        EXPECT_EQ(line.read_exactly(13), "a1 STARTTLS\r\n");
        line.write("a1 OK begin\r\n");
        ASSERT_TRUE(line.secure(ctx));
        line.write("over TLS");
        EXPECT_EQ(line.read(), "") << "a close is told to the peer";
        EXPECT_EQ(SSL_get_shutdown(line.ssl()), SSL_RECEIVED_SHUTDOWN);
    });
    run([](std::uint16_t port) -> task<bool> {
        tls_settings later = trusting_the_authority();
        later.mode = tls_mode::require;
        auto line = (co_await dial(port, later, "localhost")).value();
        EXPECT_FALSE(line->encrypted());
        EXPECT_TRUE((co_await send_text(*line, "a1 STARTTLS\r\n")).has_value());
        EXPECT_EQ((co_await receive_text(*line, 13)).value(), "a1 OK begin\r\n");
        const auto secured = co_await line->start_tls(later, soon());
        EXPECT_TRUE(secured.has_value()) << secured.error().message();
        EXPECT_TRUE(line->encrypted());
        EXPECT_EQ((co_await receive_text(*line, 8)).value(), "over TLS");
        co_return true;
    }(server.port()));
}

TEST(tls, new_keys_asked_for_by_the_peer_are_used_from_the_next_write_on) {
    SSL_CTX* ctx = shared_authority().server(shared_authority().issue("update"));
    peer server([&](peer_line& line) {
        ASSERT_TRUE(line.secure(ctx));
        for (int i = 0; i < 3; ++i) {
            ASSERT_EQ(SSL_key_update(line.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
            line.write("x");
            EXPECT_EQ(line.read_exactly(18), "under the new keys");
        }
    });
    run([](std::uint16_t port) -> task<bool> {
        auto line = (co_await dial(port, trusting_the_authority(), "localhost")).value();
        for (int i = 0; i < 3; ++i) {
            EXPECT_EQ((co_await receive_text(*line, 1)).value_or("?"), "x");
            EXPECT_TRUE((co_await send_text(*line, "under the new keys")).has_value());
        }
        co_return true;
    }(server.port()));
}

TEST(tls, what_a_read_makes_openssl_say_leaves_without_a_write) {
    SSL_CTX* ctx = shared_authority().server(shared_authority().issue("renegotiate"));
    SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    peer server([&](peer_line& line) {
        ASSERT_TRUE(line.secure(ctx));
        // HelloRequest (RFC 5246 section 7.4.1.1); the client refuses with a warning.
        ASSERT_EQ(SSL_renegotiate(line.ssl()), 1);
        ASSERT_EQ(SSL_do_handshake(line.ssl()), 1);
        std::array<char, 1> record_type{};
        EXPECT_EQ(::recv(line.fd(), record_type.data(), 1, MSG_PEEK), 1);
        EXPECT_EQ(record_type[0], SSL3_RT_ALERT);
    });
    run([](std::uint16_t port) -> task<bool> {
        auto line = (co_await dial(port, trusting_the_authority(), "localhost")).value();
        std::array<char, 1> octet{};
        const auto n = co_await line->read_some(octet, soon());
        EXPECT_NE(n.value_or(0), 1u);
        co_return true;
    }(server.port()));
}

TEST(tls, a_client_certificate_is_shown) {
    const std::string own = shared_authority().issue("client", {.common_name = "joe", .names = {}});
    SSL_CTX* ctx = shared_authority().server(shared_authority().issue("wants client"));
    SSL_CTX_load_verify_file(ctx, shared_authority().ca_file().c_str());
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    tls_settings settings = trusting_the_authority();
    settings.certificate_file = own + ".crt";
    settings.key_file = own + ".key";
    EXPECT_FALSE(refusal(ctx, settings));

    // In TLS 1.3 the client is done before the server has looked at its certificate: the refusal comes with the first
    // read.
    peer server([ctx](peer_line& line) { EXPECT_FALSE(line.secure(ctx)); });
    run([](std::uint16_t port) -> task<bool> {
        auto line = (co_await dial(port, trusting_the_authority(), "localhost")).value();
        const auto text = co_await receive_text(*line, 1);
        EXPECT_FALSE(text.has_value());
        EXPECT_THAT(text.error().what, HasSubstr("wants a client certificate"));
        co_return true;
    }(server.port()));
}

TEST(tls, files_that_cannot_be_loaded_are_named) {
    tls_settings no_ca = trusting_the_authority();
    no_ca.ca_file = "/nonexistent/ca.pem";
    const auto missing = refusal(certificate_options{}, no_ca);
    ASSERT_TRUE(missing);
    EXPECT_EQ(missing->cls, retry_class::config);
    EXPECT_THAT(missing->what, AllOf(HasSubstr("/nonexistent/ca.pem"), HasSubstr("No such file")));
    tls_settings no_key = trusting_the_authority();
    no_key.certificate_file = shared_authority().ca_file();
    EXPECT_THAT(refusal(certificate_options{}, no_key)->what, HasSubstr("cannot load the client's key"));
}

} // namespace
} // namespace postferry::net::test

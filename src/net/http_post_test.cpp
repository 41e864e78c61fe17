#include "net/http_post.hpp"
#include "net/test_peer.hpp"

#include <boost/asio/this_coro.hpp>
#include <gmock/gmock.h>

namespace postferry::net::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

std::string parsed(std::string_view url) {
    const auto u = parse_http_url(url);
    if (!u) return u.error().what;
    return fmt::format("{} {} {} {}", u->tls ? "tls" : "clear", u->where.host, u->where.port, u->target);
}

TEST(http_url, what_is_allowed) {
    EXPECT_EQ(parsed("https://login.example.org/t/token"), "tls login.example.org 443 /t/token");
    EXPECT_EQ(parsed("HTTPS://Login.Example.org:8443"), "tls login.example.org 8443 /");
    EXPECT_EQ(parsed("https://h?a=b#frag"), "tls h 443 /?a=b");
    EXPECT_EQ(parsed("https://[2001:db8::1]:1/x"), "tls 2001:db8::1 1 /x");
    EXPECT_EQ(parsed("http://127.0.0.1:8080/token"), "clear 127.0.0.1 8080 /token");
    EXPECT_EQ(parsed("http://localhost/"), "clear localhost 80 /");
    EXPECT_EQ(parsed("http://[::1]/"), "clear ::1 80 /");
}

TEST(http_url, what_is_not) {
    EXPECT_THAT(parsed("http://login.example.org/"), HasSubstr("needs https"));
    EXPECT_THAT(parsed("http://127.0.0.1.example.org/"), HasSubstr("needs https"));
    EXPECT_THAT(parsed("https://u:topsecret@h/"), AllOf(HasSubstr("password"), testing::Not(HasSubstr("topsecret"))));
    EXPECT_THAT(parsed("https:///x"), HasSubstr("no host"));
    EXPECT_THAT(parsed("https://h:0/"), HasSubstr("port"));
    EXPECT_THAT(parsed("https://h:70000/"), HasSubstr("port"));
    EXPECT_THAT(parsed("https://h/a\r\nX: y"), HasSubstr("percent-encoded"));
    EXPECT_THAT(parsed("https://[::1/"), HasSubstr("no end"));
    EXPECT_THAT(parsed("ftp://h/"), HasSubstr("neither"));
    EXPECT_THAT(parsed("https://" + std::string(3'000, 'h')), HasSubstr("too long"));
}

TEST(http_form, values_are_encoded) {
    form_body f;
    f.add("grant_type", "client_credentials");
    f.add("scope", "https://x/.default offline");
    f.add("s", "a&b=\xc3\xa9");
    EXPECT_EQ(std::move(f).take().reveal(),
              "grant_type=client_credentials&scope=https%3A%2F%2Fx%2F.default+offline&s=a%26b%3D%C3%A9");
}

/// Posts to a server that plays `answer` in pieces of `piece` octets.
result<http_answer> post(std::string answer, std::size_t piece = 100'000, std::string* request = nullptr) {
    peer server([&](peer_line& line) {
        std::string heard;
        while (!heard.contains("a=b")) {
            const std::string more = line.read();
            if (more.empty()) return;
            heard += more;
        }
        if (request != nullptr) *request = heard;
        for (std::size_t at = 0; at < answer.size(); at += piece)
            if (!line.write(std::string_view(answer).substr(at, piece))) return;
    });
    return run([](std::uint16_t port) -> task<result<http_answer>> {
        co_return co_await http_post(co_await boost::asio::this_coro::executor,
                                     parse_http_url(fmt::format("http://127.0.0.1:{}/token?x=1", port)).value(), {},
                                     secret("a=b"), soon());
    }(server.port()));
}

TEST(http_post, asks_and_reads_the_answer) {
    std::string request;
    const auto a = post("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", 1, &request);
    ASSERT_TRUE(a) << a.error().message();
    EXPECT_EQ(a->status, 200U);
    EXPECT_EQ(a->body, "body");
    EXPECT_FALSE(a->retry_after);
    EXPECT_THAT(request, AllOf(StartsWith("POST /token?x=1 HTTP/1.1\r\nHost: 127.0.0.1:"),
                               HasSubstr("Content-Length: 3\r\n"), HasSubstr("Connection: close")));
}

TEST(http_post, every_shape_of_answer) {
    EXPECT_EQ(post("HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 2)->body,
              "abcde");
    EXPECT_EQ(post("HTTP/1.0 200 OK\r\n\r\nuntil the end")->body, "until the end");
    const auto busy = post("HTTP/1.1 429 Slow\r\nRetry-After: 17\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(busy->status, 429U);
    EXPECT_EQ(busy->retry_after, std::chrono::seconds(17));
}

TEST(http_post, a_hostile_server_is_bounded) {
    EXPECT_EQ(post("SSH-2.0-OpenSSH\r\n\r\n").error().cls, retry_class::protocol);
    EXPECT_EQ(post("HTTP/1.1 200 OK\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n").error().cls,
              retry_class::protocol);
    EXPECT_EQ(post("HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + std::string(70'000, 'x')).error().cls,
              retry_class::protocol);
    EXPECT_EQ(post("HTTP/1.0 200 OK\r\n\r\n" + std::string(70'000, 'x')).error().cls, retry_class::protocol);
    EXPECT_EQ(post("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort").error().cls, retry_class::transient);
    EXPECT_EQ(post("").error().cls, retry_class::transient);
}

TEST(http_post, over_tls_the_certificate_is_checked) {
    authority& ca = shared_authority();
    SSL_CTX* good = ca.server(ca.issue("http"));
    for (const bool trusted : {true, false}) {
        peer server([&](peer_line& line) {
            if (!line.secure(good)) return;
            (void)line.read();
            line.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        });
        const auto a = run([](std::uint16_t port, std::string ca_file) -> task<result<http_answer>> {
            tls_settings tls;
            tls.ca_file = ca_file;
            co_return co_await http_post(co_await boost::asio::this_coro::executor,
                                         parse_http_url(fmt::format("https://localhost:{}/", port)).value(), tls,
                                         secret("a=b"), soon());
        }(server.port(), trusted ? ca.ca_file() : std::string()));
        EXPECT_EQ(a.has_value(), trusted);
        if (!a) {
            EXPECT_EQ(a.error().where, phase::tls);
        }
    }
}

} // namespace
} // namespace postferry::net::test

#include "client/oauth.hpp"
#include "client/oauth_answer.hpp"
#include "net/event.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>

#include <array>

namespace postferry::client {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// --- What the endpoint answers --------------------------------------------------------------------------------------

result<oauth_token> read(unsigned status, std::string_view body) {
    constexpr std::array<std::string_view, 2> hidden{"client-secret", "refresh-1"};
    return read_token_answer("login.example.org", status, body, hidden);
}

TEST(oauth_answer, a_token) {
    const auto t =
        read(200, R"({"access_token":"a.b-c","token_type":"Bearer","expires_in":3599,"refresh_token":"r2"})");
    ASSERT_TRUE(t) << t.error().message();
    EXPECT_EQ(t->access_token.reveal(), "a.b-c");
    EXPECT_EQ(t->lives, 3599s);
    EXPECT_EQ(t->refresh_token->reveal(), "r2");
    EXPECT_EQ(read(200, R"({"access_token":"x","token_type":"bearer","expires_in":"60"})")->lives, 60s);
    EXPECT_FALSE(read(200, R"({"access_token":"x"})")->lives);
    EXPECT_FALSE(read(200, R"({"access_token":"x","expires_in":-5})")->lives);
    EXPECT_EQ(read(200, R"({"access_token":"x","expires_in":18446744073709551615})")->lives, 365 * 24h);
}

TEST(oauth_answer, no_token_in_it) {
    for (const char* body : {"", "<html>", "[]", "{}", R"({"access_token":5})", R"({"access_token":""})",
                             R"({"access_token":"two\nlines"})", R"({"access_token":"\u0001"})"})
        EXPECT_EQ(read(200, body).error().cls, retry_class::protocol) << body;
    EXPECT_EQ(read(200, fmt::format(R"({{"access_token":"{}"}})", std::string(20'000, 'x'))).error().cls,
              retry_class::protocol);
    EXPECT_EQ(read(200, std::string(60'000, '[')).error().cls, retry_class::protocol);
    EXPECT_EQ(read(200, R"({"access_token":"x","token_type":"mac"})").error().cls, retry_class::config);
}

TEST(oauth_answer, a_refusal_is_told_and_holds_no_secret) {
    const error e =
        read(400, R"({"error":"invalid_grant","error_description":"refresh-1 has expired\u001b[2J"})").error();
    EXPECT_EQ(e.cls, retry_class::auth);
    EXPECT_EQ(e.where, phase::login);
    EXPECT_THAT(e.message(), AllOf(HasSubstr("login.example.org gave no token"), HasSubstr("invalid_grant: *** has"),
                                   HasSubstr("sign in again"), Not(HasSubstr("refresh-1")), Not(HasSubstr("\x1b"))));
    EXPECT_THAT(read(401, R"({"error":"invalid_client"})").error().advice, HasSubstr("--oauth-client-id"));
    EXPECT_THAT(read(400, R"({"error":"invalid_scope"})").error().advice, HasSubstr("--oauth-scope"));
    EXPECT_EQ(read(404, "not found").error().cls, retry_class::auth);
    EXPECT_EQ(read(503, "").error().cls, retry_class::transient);
    EXPECT_EQ(read(429, "").error().cls, retry_class::throttled);
}

// --- Tokens ---------------------------------------------------------------------------------------------------------

class oauth_test : public testing::Test {
  protected:
    boost::asio::io_context io{1};
    std::chrono::steady_clock::time_point now{1h};
    net::event answers{io.get_executor()};
    bool hold = false; ///< the endpoint does not answer yet
    std::vector<std::string> asked;
    unsigned status = 200;
    std::string rotated; ///< given with the next answers
    std::vector<std::string> kept;
    std::vector<std::string> tokens; ///< what takers got
    oauth_settings settings;

    oauth_test() {
        settings.token_endpoint = net::parse_http_url("https://login.example.org/token").value();
        settings.client_id = "app";
        settings.client_secret = secret("client-secret");
        settings.scope = "mail";
        settings.keep_refresh_token = [this](const secret& s) { kept.emplace_back(s.reveal()); };
    }
    std::shared_ptr<token_source> make() {
        oauth_hooks hooks;
        hooks.now = [this] { return now; };
        hooks.ask = [this](secret body) { return answer(std::move(body)); };
        return oauth_tokens(io.get_executor(), settings, std::move(hooks));
    }
    task<result<net::http_answer>> answer(secret body) {
        asked.emplace_back(body.reveal());
        const auto number = asked.size();
        while (hold) co_await answers.wait();
        net::http_answer a{.status = status, .body = {}, .retry_after = {}};
        if (status == 200)
            a.body = fmt::format(R"({{"access_token":"token-{}","expires_in":100{}}})", number,
                                 rotated.empty() ? "" : fmt::format(R"(,"refresh_token":"{}")", rotated));
        else
            a.body = R"({"error":"invalid_grant"})";
        co_return a;
    }
    void take(token_source& from, boost::asio::cancellation_slot slot = {}) {
        boost::asio::co_spawn(
            io,
            [](oauth_test& t, token_source& source) -> task<> {
                const auto got = co_await source.take();
                t.tokens.emplace_back(got ? std::string(got->reveal()) : got.error().what);
            }(*this, from),
            boost::asio::bind_cancellation_slot(slot, [](std::exception_ptr) {}));
        settle();
    }
    void settle() {
        io.restart();
        io.poll();
    }
};

TEST_F(oauth_test, is_used_until_shortly_before_its_end) {
    const auto source = make();
    take(*source);
    now += 74s;
    take(*source);
    now += 1s;
    take(*source);
    EXPECT_THAT(tokens, ElementsAre("token-1", "token-1", "token-2"));
    EXPECT_THAT(
        asked, Each(std::string("grant_type=client_credentials&client_id=app&client_secret=client-secret&scope=mail")));
}

TEST_F(oauth_test, one_request_serves_all_who_wait) {
    const auto source = make();
    hold = true;
    for (int i = 0; i < 5; ++i) take(*source);
    EXPECT_EQ(asked.size(), 1U);
    EXPECT_TRUE(tokens.empty());
    hold = false;
    answers.notify();
    settle();
    EXPECT_EQ(tokens.size(), 5U);
    EXPECT_THAT(tokens, Each(std::string("token-1")));
    EXPECT_EQ(asked.size(), 1U);
}

TEST_F(oauth_test, a_token_that_a_server_refused_is_renewed_once) {
    const auto source = make();
    take(*source);
    source->refused(secret("token-1"));
    take(*source);
    source->refused(secret("token-1")); // by another mailbox that had it too
    take(*source);
    EXPECT_THAT(tokens, ElementsAre("token-1", "token-2", "token-2"));
}

TEST_F(oauth_test, a_refusal_holds_for_a_while) {
    const auto source = make();
    status = 400;
    take(*source);
    take(*source);
    now += 9s;
    take(*source);
    EXPECT_EQ(asked.size(), 1U);
    EXPECT_THAT(tokens, Each(HasSubstr("login.example.org gave no token")));
    now += 2s;
    status = 200;
    take(*source);
    EXPECT_EQ(tokens.back(), "token-2");
}

TEST_F(oauth_test, the_refresh_token_may_change) {
    settings.grant = oauth_grant::refresh_token;
    settings.refresh_token = secret("r1");
    settings.client_secret = {};
    settings.scope.clear();
    rotated = "r2";
    const auto source = make();
    take(*source);
    now += 1h;
    take(*source);
    EXPECT_THAT(asked, ElementsAre("grant_type=refresh_token&refresh_token=r1&client_id=app",
                                   "grant_type=refresh_token&refresh_token=r2&client_id=app"));
    EXPECT_THAT(kept, ElementsAre("r2"));
}

TEST_F(oauth_test, whoever_asks_and_is_stopped_leaves_it_to_the_next) {
    const auto source = make();
    boost::asio::cancellation_signal stop;
    hold = true;
    take(*source, stop.slot());
    take(*source);
    EXPECT_EQ(asked.size(), 1U);
    stop.emit(boost::asio::cancellation_type::terminal);
    settle();
    EXPECT_EQ(asked.size(), 2U);
    hold = false;
    answers.notify();
    settle();
    EXPECT_THAT(tokens, ElementsAre("token-2"));
}

} // namespace
} // namespace postferry::client

// The client with a server of ours (http::server) and with peers that break off.
#include "app/noun_context.hpp"
#include "app/remote.hpp"
#include "http/server.hpp"
#include "net/test_peer.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace postferry::app {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string echo_of(http::exchange& x) {
    json::object o{{"method", http::name_of(x.verb())}, {"path", x.raw_path()}};
    for (const char* name : {"authorization", "if-match", "content-type", "host"}) o[name] = x.header(name);
    o["keyed"] = x.header("idempotency-key").size();
    return json::serialize(o);
}

task<http::reply> example(http::exchange& x) {
    const std::string what = x.path().size() > 2 ? x.path()[2] : "";
    if (what == "echo") co_return http::reply{.body = echo_of(x)};
    if (what == "empty") co_return http::reply::empty();
    if (what == "upload") {
        if (x.header("authorization").empty())
            co_return http::reply{.status = 403, .type = "application/problem+json", .body = R"({"detail":"not you"})"};
        auto body = co_await x.body(10U << 20U);
        co_return http::reply{
            .body = body ? fmt::format(R"({{"octets":{},"last":"{}"}})", body->size(), body->substr(body->size() - 3))
                         : "{}"};
    }
    if (what == "large")
        co_return http::reply{.type = "text/plain", .body = http::body_maker([](http::body_sink& out) -> task<> {
                                                        for (int i = 0; i < 2'000; ++i)
                                                            if (!co_await out.write(std::string(1'000, 'x'))) co_return;
                                                    })};
    if (what == "half")
        co_return http::reply{.type = "text/plain", .body = http::body_maker([](http::body_sink& out) -> task<> {
                                                        co_await out.write("half");
                                                        throw std::runtime_error("no more");
                                                    })};
    if (what == "pages") {
        std::string cursor;
        for (const auto& [name, value] : x.query())
            if (name == "cursor") cursor = value;
        if (cursor.empty()) co_return http::reply{.body = R"({"items":[{"id":1},{"id":2}],"next":"a&b"})"};
        co_return http::reply{.body = cursor == "a&b" ? R"({"items":[{"id":3}],"next":null})" : "{}"};
    }
    if (what == "versioned") {
        static std::atomic<int> version;
        const std::string etag = fmt::format("\"v{}\"", version.load());
        if (x.verb() == http::method::get) {
            const int now = version;
            if (now < 2) ++version; // somebody else is always faster, twice
            co_return http::reply{.body = R"({"n":1})", .fields = {{"ETag", fmt::format("\"v{}\"", now)}}};
        }
        if (x.header("if-match") != etag)
            co_return http::reply{.status = 412, .type = "application/problem+json", .body = R"({"detail":"changed"})"};
        co_return http::reply{.body = R"({"n":2})"};
    }
    if (what == "nonsense") co_return http::reply{.body = "{"};
    co_return http::reply{.status = 404,
                          .type = "application/problem+json",
                          .body = R"({"title":"Not found","status":404,"detail":"There is no such thing"})"};
}

class remote_client : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "pf-remote-XXXXXX";
        folder_ = mkdtemp(pattern.data());
    }
    void begin(http::server_options options) {
        options.limits.farewell = std::chrono::seconds(1);
        auto made = http::server::listen(io_.get_executor(), std::move(options), example);
        ASSERT_TRUE(made) << made.error().message();
        server_ = std::move(*made);
        server_->start();
        thread_ = std::jthread([this] { io_.run(); });
    }
    remote by_socket() {
        begin({.socket = folder_ / "s"});
        return remote({.socket = folder_ / "s"});
    }
    void TearDown() override {
        if (server_) asio::co_spawn(io_, server_->stop(), asio::use_future).get();
        work_.reset();
        if (thread_.joinable()) thread_.join();
        std::filesystem::remove_all(folder_);
    }

    std::filesystem::path folder_;
    asio::io_context io_;
    asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
    std::unique_ptr<http::server> server_;
    std::jthread thread_;
};

TEST_F(remote_client, asks_by_the_local_socket_and_keeps_the_line) {
    remote api = by_socket();
    for (int i = 0; i < 3; ++i) {
        auto r = api.get("/echo?x=1");
        ASSERT_TRUE(r) << r.error().message();
        EXPECT_EQ(r->json.at("method").as_string(), "GET");
        EXPECT_EQ(r->json.at("path").as_string(), "/api/v1/echo");
    }
    EXPECT_EQ(server_->connections(), 1U);
    EXPECT_EQ(api.ask({.verb = "POST", .target = "/empty"})->status, 204U);
    EXPECT_TRUE(api.get("/echo")); // behind an answer without a body
}

TEST_F(remote_client, a_post_bears_a_key_unless_its_answer_is_secret) {
    remote api = by_socket();
    const auto with =
        api.ask({.verb = "POST", .target = "/echo", .body = json::object{{"a", 1}}, .if_match = "\"v3\""});
    ASSERT_TRUE(with);
    EXPECT_EQ(with->json.at("keyed").as_int64(), 32);
    EXPECT_EQ(with->json.at("content-type").as_string(), "application/json");
    EXPECT_EQ(with->json.at("if-match").as_string(), "\"v3\"");
    const auto without = api.ask({.verb = "POST", .target = "/echo", .may_repeat = false});
    EXPECT_EQ(without->json.at("keyed").as_int64(), 0);
}

TEST_F(remote_client, a_problem_is_an_error_of_the_service) {
    remote api = by_socket();
    const auto r = api.get("/nothing");
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().response_code, "404");
    EXPECT_EQ(r.error().what, "There is no such thing");
    EXPECT_EQ(exit_code_of_remote(r.error()), 2);
    EXPECT_EQ(api.get("/nonsense").error().cls, retry_class::protocol);
}

TEST_F(remote_client, goes_through_all_pages) {
    remote api = by_socket();
    std::vector<std::int64_t> ids;
    ASSERT_TRUE(api.walk("/pages", [&](const json::object& o) {
        ids.push_back(o.at("id").as_int64());
        return true;
    }));
    EXPECT_THAT(ids, ElementsAre(1, 2, 3));
    int seen = 0;
    ASSERT_TRUE(api.walk("/pages", [&](const json::object&) { return ++seen < 2; }));
    EXPECT_EQ(seen, 2);
    EXPECT_FALSE(api.walk("/echo", [](const json::object&) { return true; })); // no list
}

TEST_F(remote_client, an_edit_that_somebody_overtakes_is_made_again) {
    remote api = by_socket();
    int changes = 0;
    auto r = api.edit("/versioned", [&](const json::object& now) {
        ++changes;
        EXPECT_EQ(now.at("n").as_int64(), 1);
        return std::optional(json::object{{"n", 2}});
    });
    ASSERT_TRUE(r) << r.error().message();
    EXPECT_EQ(changes, 3);
}

TEST_F(remote_client, a_download_is_passed_on_and_a_full_sink_ends_it) {
    remote api = by_socket();
    std::size_t octets = 0;
    auto r = api.fetch({.target = "/large"}, [&](std::string_view some) -> result<void> {
        octets += some.size();
        return {};
    });
    ASSERT_TRUE(r) << r.error().message();
    EXPECT_EQ(octets, 2'000'000U);
    EXPECT_EQ(r->text, "");
    r = api.fetch({.target = "/large"}, [&](std::string_view) -> result<void> {
        return fail(retry_class::local, phase::usage, "disk full");
    });
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().what, "disk full");
    EXPECT_TRUE(api.get("/echo")); // on another line
}

TEST_F(remote_client, a_download_that_breaks_off_is_not_begun_again) {
    remote api = by_socket();
    std::string got;
    auto r = api.fetch({.target = "/half"}, [&](std::string_view some) -> result<void> {
        got += some;
        return {};
    });
    ASSERT_FALSE(r);
    EXPECT_EQ(got, "half");
    EXPECT_EQ(exit_code_of_remote(r.error()), 3);
}

TEST_F(remote_client, a_file_goes_up_as_it_is_and_a_refusal_comes_before_it) {
    remote api = by_socket();
    const std::filesystem::path file = folder_ / "a.csv";
    std::ofstream(file) << std::string(3'000'000, 'a') << "end";
    auto refused = api.ask({.verb = "POST", .target = "/upload", .upload = file, .type = "text/csv"});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().response_code, "403") << refused.error().message();
    remote known({.socket = folder_ / "s", .token = secret("pf_x")});
    auto r = known.ask({.verb = "POST", .target = "/upload", .upload = file, .type = "text/csv"});
    ASSERT_TRUE(r) << r.error().message();
    EXPECT_EQ(r->json.at("octets").as_int64(), 3'000'003);
    EXPECT_EQ(r->json.at("last").as_string(), "end");
    EXPECT_EQ(exit_code_of_remote(known.ask({.verb = "POST", .target = "/upload", .upload = folder_ / "none"}).error()),
              2);
}

TEST_F(remote_client, tls_is_verified_and_the_token_is_sent) {
    auto& ca = net::test::shared_authority();
    const std::string good = ca.issue("remote");
    begin({.listen = {"127.0.0.1:0"}, .tls = http::tls_identity{.certificate = good + ".crt", .key = good + ".key"}});
    const std::string url = "https://" + server_->addresses().at(0);
    remote api({.url = url, .token = secret("pf_secret"), .ca_file = ca.ca_file()});
    auto r = api.get("/echo");
    ASSERT_TRUE(r) << r.error().message();
    EXPECT_EQ(r->json.at("authorization").as_string(), "Bearer pf_secret");
    EXPECT_EQ(r->json.at("host").as_string(), server_->addresses().at(0));
    EXPECT_TRUE(api.get("/large"));
    remote wary({.url = url, .token = secret("pf_secret")}); // the system does not know that authority
    auto refused = wary.get("/echo");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().where, phase::tls);
    EXPECT_EQ(exit_code_of_remote(refused.error()), 3);
    EXPECT_THAT(refused.error().message(), Not(HasSubstr("pf_secret")));
}

TEST_F(remote_client, nobody_there_is_said_with_what_to_do) {
    remote api({.socket = folder_ / "none", .note = "--socket"});
    auto r = api.get("/echo");
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().response_code, no_service);
    EXPECT_THAT(r.error().message(), AllOf(HasSubstr("postferry serve"), HasSubstr("--socket said this one")));
    EXPECT_EQ(exit_code_of_remote(r.error()), 3);
    const auto closed = fmt::format("http://127.0.0.1:{}", net::test::refused_port());
    EXPECT_EQ(exit_code_of_remote(remote({.url = closed}).get("/x").error()), 3);
    EXPECT_EQ(exit_code_of_remote(remote({.socket = std::string(200, 'x')}).get("/x").error()), 2);
}

// --- peers that break off ---

/// Accepts one line after the other; each reads a request and answers what its script says, then closes.
class scripted {
  public:
    explicit scripted(std::filesystem::path at, std::vector<std::string> answers) : answers_(std::move(answers)) {
        listener_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        std::ranges::copy(at.string(), name.sun_path);
        EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
        EXPECT_EQ(::listen(listener_, 5), 0);
        thread_ = std::thread([this] { run(); });
    }
    ~scripted() {
        ::shutdown(listener_, SHUT_RDWR);
        thread_.join();
        ::close(listener_);
    }
    std::atomic<int> lines = 0;

  private:
    void run() {
        for (const std::string& answer : answers_) {
            const int line = ::accept(listener_, nullptr, nullptr);
            if (line < 0) return;
            ++lines;
            std::string request;
            char c = 0;
            while (!request.ends_with("\r\n\r\n") && ::read(line, &c, 1) == 1) request += c;
            (void)!::write(line, answer.data(), answer.size());
            ::close(line);
        }
    }
    std::vector<std::string> answers_;
    int listener_ = -1;
    std::thread thread_;
};

constexpr std::string_view whole_answer =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}";

TEST_F(remote_client, a_get_is_asked_once_more_wherever_the_line_breaks) {
    for (std::size_t cut = 0; cut < whole_answer.size(); ++cut) {
        const auto at = folder_ / std::to_string(cut);
        scripted peer(at, {std::string(whole_answer.substr(0, cut)), std::string(whole_answer)});
        auto r = remote({.socket = at}).get("/x");
        ASSERT_TRUE(r) << cut << ": " << r.error().message();
        EXPECT_EQ(r->json.at("a").as_int64(), 1);
        EXPECT_EQ(peer.lines, 2);
    }
}

TEST_F(remote_client, what_may_not_be_repeated_is_not) {
    struct row {
        const char* name;
        remote_request r;
        int lines;
    };
    const std::string half(whole_answer.substr(0, 30));
    for (const row& one : {row{"keyed", {.verb = "POST", .target = "/x"}, 2},
                           row{"secret", {.verb = "POST", .target = "/x", .may_repeat = false}, 1},
                           row{"patch", {.verb = "PATCH", .target = "/x", .body = json::object()}, 1},
                           row{"get", {.target = "/x"}, 2}}) {
        scripted peer(folder_ / one.name, {half, half});
        auto r = remote({.socket = folder_ / one.name}).ask(one.r);
        ASSERT_FALSE(r) << one.name;
        EXPECT_EQ(r.error().cls, retry_class::transient);
        EXPECT_EQ(exit_code_of_remote(r.error()), 3);
        EXPECT_EQ(peer.lines, one.lines) << one.name;
    }
}

TEST_F(remote_client, what_is_no_http_is_said) {
    int n = 0;
    for (const char* answer : {"220 mail.example.org ESMTP\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
                               "\r\n\r\n\r\n\r\nnonsense\r\n\r\n"}) {
        const auto at = folder_ / std::to_string(n++);
        scripted peer(at, {answer});
        auto r = remote({.socket = at}).get("/x");
        ASSERT_FALSE(r) << answer;
        EXPECT_EQ(r.error().cls, retry_class::protocol) << r.error().message();
    }
    const auto at = folder_ / "head";
    scripted peer(at, {"HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n"});
    EXPECT_FALSE(remote({.socket = at}).get("/x"));
}

TEST_F(remote_client, an_answer_that_does_not_come_has_a_deadline) {
    const auto at = folder_ / "mute";
    const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::ranges::copy(at.string(), name.sun_path);
    ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
    ASSERT_EQ(::listen(listener, 5), 0);
    auto r = remote({.socket = at}).ask({.verb = "PATCH", .target = "/x", .patience = std::chrono::seconds(0)});
    ASSERT_FALSE(r);
    EXPECT_THAT(r.error().message(), HasSubstr("did not answer in time"));
    ::close(listener);
}

// --- where the service is ---

class remote_place_test : public remote_client {
  protected:
    result<remote_place> find(const place_words& words, std::map<std::string, std::string> environment = {},
                              std::string socket = {}) {
        return find_place(
            words,
            [&](const char* name) -> const char* {
                const auto it = environment.find(name);
                return it == environment.end() ? nullptr : it->second.c_str();
            },
            [&](const std::filesystem::path&) -> std::expected<config_file, config_faults> {
                config_file file{};
                file.values = config::standard();
                if (!socket.empty()) {
                    file.file = "/etc/x.toml";
                    file.values.service.socket = socket == "none" ? "" : socket;
                }
                return file;
            });
    }
};

TEST_F(remote_place_test, the_command_line_goes_before_the_environment_and_that_before_the_configuration) {
    const std::map<std::string, std::string> both{{"POSTFERRY_URL", "https://a.example/"}, {"POSTFERRY_SOCKET", "/e"}};
    EXPECT_EQ(find({})->name(), "/run/postferry/postferry.sock");
    EXPECT_TRUE(find({})->usual);
    EXPECT_EQ(find({}, {}, "/c")->name(), "/c");
    EXPECT_EQ(find({}, {{"POSTFERRY_SOCKET", "/e"}}, "/c")->name(), "/e");
    EXPECT_EQ(find({}, both)->name(), "https://a.example");
    EXPECT_EQ(find({.socket = "/s"}, both)->name(), "/s");
    EXPECT_FALSE(find({.socket = "/s"}, both)->usual);
    EXPECT_EQ(find({.url = "https://b.example:8443/ferry/api/v1/"}, both)->name(), "https://b.example:8443/ferry");
}

TEST_F(remote_place_test, faults_are_of_usage) {
    for (const place_words& words :
         {place_words{.url = "https://a", .socket = "/s"}, place_words{.url = "http://a.example"},
          place_words{.url = "ftp://a"}, place_words{.url = "https://a?x=1"},
          place_words{.url = "https://a", .token_file = "/none"}}) {
        auto place = find(words);
        ASSERT_FALSE(place) << words.url;
        EXPECT_EQ(exit_code_of_remote(place.error()), 2);
    }
    EXPECT_THAT(find({}, {}, "none").error().message(), HasSubstr("no local socket"));
}

TEST_F(remote_place_test, a_token_of_the_environment_is_for_urls) {
    std::ofstream(folder_ / "token") << "pf_1\n";
    const std::map<std::string, std::string> environment{{"POSTFERRY_TOKEN_FILE", (folder_ / "token").string()}};
    EXPECT_EQ(find({.url = "https://a.example"}, environment)->token.reveal(), "pf_1");
    EXPECT_TRUE(find({}, environment)->token.empty());
    EXPECT_EQ(find({.token_file = (folder_ / "token").string()})->token.reveal(), "pf_1");
}

} // namespace
} // namespace postferry::app

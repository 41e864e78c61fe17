// Transcripts with a running server: what a client sends, what it gets.
#include "http/server.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace postferry::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

task<reply> example(exchange& x) {
    const auto& path = x.path();
    const std::string first = path.empty() ? "" : path[0];
    if (first == "throw") throw std::runtime_error("the secret is hunter2");
    if (first == "split") co_return reply{.body = "{}", .fields = {{"Location", "/a\r\nSet-Cookie: x=y"}}};
    if (first == "large") co_return reply{.body = std::string(8'000'000, 'x')};
    if (first == "echo") {
        auto body = co_await x.body(10);
        if (!body) co_return reply{.status = body.error().response_code == "413" ? 413U : 400U, .body = "no"};
        co_return reply{.body = *body};
    }
    if (first == "file") {
        auto size = co_await x.body_to_file(std::string(x.header("x-file")), 100'000);
        co_return reply{.status = size ? 201U : 400U, .body = size ? std::to_string(*size) : size.error().what};
    }
    if (first == "count")
        co_return reply{.type = "text/plain", .body = body_maker([](body_sink& out) -> task<> {
                                                  for (int i = 1; i <= 3; ++i)
                                                      if (!co_await out.write(std::to_string(i))) co_return;
                                              })};
    if (first == "endless")
        co_return reply{.type = "text/event-stream", .body = body_maker([](body_sink& out) -> task<> {
                                                         while (!out.stopping() && co_await out.write(":\n\n")) {
                                                             asio::steady_timer t(co_await asio::this_coro::executor,
                                                                                  std::chrono::milliseconds(5));
                                                             co_await t.async_wait(asio::use_awaitable);
                                                         }
                                                     })};
    if (first == "pause")
        co_return reply{.body = body_maker([](body_sink& out) -> task<> {
                            co_await out.write("before ");
                            asio::steady_timer t(co_await asio::this_coro::executor, std::chrono::milliseconds(600));
                            co_await t.async_wait(asio::use_awaitable);
                            co_await out.write("and after");
                        })};
    if (first == "half")
        co_return reply{.body = body_maker([](body_sink& out) -> task<> {
                            co_await out.write("half");
                            throw std::runtime_error("no more");
                        })};
    co_return reply{.body = std::string(name_of(x.verb())) + " " + first + " " + x.from().address};
}

class http_server : public testing::Test {
  protected:
    void begin(server_options options = {}) {
        if (options.listen.empty() && options.socket.empty()) options.listen = {"127.0.0.1:0"};
        auto made = server::listen(io_.get_executor(), std::move(options), example,
                                   [this](const served& s) { log_.push_back(s); });
        ASSERT_TRUE(made) << made.error().message();
        server_ = std::move(*made);
        server_->start();
        thread_ = std::jthread([this] { io_.run(); });
    }
    void TearDown() override {
        if (server_) asio::co_spawn(io_, server_->stop(), asio::use_future).get();
        work_.reset();
        if (thread_.joinable()) thread_.join();
        if (!folder_.empty()) std::filesystem::remove_all(folder_);
    }
    tcp::socket connect() {
        tcp::socket s(client_io_);
        const std::string where = server_->addresses().at(0);
        s.connect({asio::ip::make_address("127.0.0.1"),
                   static_cast<std::uint16_t>(std::stoi(where.substr(where.rfind(':') + 1)))});
        return s;
    }
    /// Sends, and reads until the server closes.
    template <class Socket> static std::string all(Socket& s, std::string_view text) {
        asio::write(s, asio::buffer(text));
        std::string got;
        boost::system::error_code ec;
        asio::read(s, asio::dynamic_buffer(got), ec);
        return got;
    }
    std::string ask(std::string_view text) {
        auto s = connect();
        return all(s, text);
    }
    static std::string get(std::string_view target, std::string_view more = "Connection: close\r\n") {
        return "GET " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n" + std::string(more) + "\r\n";
    }
    std::filesystem::path folder() {
        if (folder_.empty()) {
            std::string pattern = testing::TempDir() + "postferry-http-XXXXXX";
            folder_ = mkdtemp(pattern.data());
        }
        return folder_;
    }

    asio::io_context io_, client_io_;
    asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
    std::unique_ptr<server> server_;
    std::jthread thread_;
    std::vector<served> log_;
    std::filesystem::path folder_;
};

TEST_F(http_server, answers) {
    begin();
    const std::string got = ask(get("/hello?x=1"));
    EXPECT_THAT(got, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(got, HasSubstr("Content-Length: 19\r\n"));
    EXPECT_THAT(got, EndsWith("\r\n\r\nGET hello 127.0.0.1"));
}

TEST_F(http_server, serves_several_requests_on_one_connection) {
    begin();
    const std::string got = ask(get("/a", "") + get("/b", "") + get("/c"));
    EXPECT_THAT(got, HasSubstr("GET a "));
    EXPECT_THAT(got, HasSubstr("GET b "));
    EXPECT_THAT(got, EndsWith("GET c 127.0.0.1"));
}

// What is there of a head when its line is read decides nothing. The answer to the one before it tells that it has
// been.
TEST_F(http_server, takes_a_head_that_is_cut_anywhere) {
    begin();
    const std::string whole = get("/cut", "X-Field: value\r\n");
    auto s = connect();
    for (std::size_t cut = 1; cut < whole.size(); ++cut) {
        for (const std::string& part : {get("/before", "") + whole.substr(0, cut), whole.substr(cut)}) {
            asio::write(s, asio::buffer(part));
            std::string got;
            boost::system::error_code ec;
            asio::read_until(s, asio::dynamic_buffer(got), "127.0.0.1", ec);
            ASSERT_FALSE(ec) << "cut at " << cut << " of " << whole;
            EXPECT_THAT(got, EndsWith(part.starts_with("GET /before") ? "GET before 127.0.0.1" : "GET cut 127.0.0.1"));
        }
    }
}

TEST_F(http_server, sends_a_body_that_is_larger_than_what_a_socket_takes) {
    begin();
    const std::string got = ask(get("/large"));
    const std::size_t body = got.find("\r\n\r\n") + 4;
    EXPECT_EQ(got.size() - body, 8'000'000U);
    EXPECT_EQ(got.find_first_not_of('x', body), std::string::npos);
}

TEST_F(http_server, head_has_no_body) {
    begin();
    const std::string got = ask("HEAD /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(got, HasSubstr("Content-Length: 16\r\n"));
    EXPECT_THAT(got, EndsWith("\r\n\r\n"));
}

TEST_F(http_server, refuses_what_is_no_request) {
    begin();
    EXPECT_THAT(ask("nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
    EXPECT_THAT(ask("GET /a HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 400 ")); // no Host
    EXPECT_THAT(ask("GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
    EXPECT_THAT(ask("BREW /a HTTP/1.1\r\nHost: h\r\n\r\n"), StartsWith("HTTP/1.1 501 "));
    EXPECT_THAT(ask(get("/../etc/passwd")), StartsWith("HTTP/1.1 400 "));
    for (const char* coding : {"xchunked", "chunked, gzip"})
        EXPECT_THAT(ask(get("/a", "Transfer-Encoding: " + std::string(coding) + "\r\n") + get("/smuggled")),
                    AllOf(StartsWith("HTTP/1.1 400 "), Not(HasSubstr("smuggled"))));
    EXPECT_THAT(ask(get("/a", "X-Long: " + std::string(20'000, 'x') + "\r\n")), StartsWith("HTTP/1.1 431 "));
}

TEST_F(http_server, reads_bodies_up_to_their_bound) {
    begin();
    const std::string head = "POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n";
    EXPECT_THAT(ask(head + "Content-Length: 5\r\n\r\nhello"), EndsWith("\r\n\r\nhello"));
    EXPECT_THAT(ask(head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
                EndsWith("\r\n\r\nabcde"));
    EXPECT_THAT(ask(head + "Content-Length: 11\r\n\r\nhello world"), StartsWith("HTTP/1.1 413 "));
    EXPECT_THAT(ask(head + "Transfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n"),
                StartsWith("HTTP/1.1 413 "));
}

TEST_F(http_server, asks_for_an_expected_body) {
    begin();
    auto s = connect();
    asio::write(
        s, asio::buffer(std::string("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n"
                                    "Connection: close\r\n\r\n")));
    std::string got;
    asio::read_until(s, asio::dynamic_buffer(got), "\r\n\r\n");
    EXPECT_EQ(got, "HTTP/1.1 100 Continue\r\n\r\n");
    EXPECT_THAT(all(s, "ok"), EndsWith("\r\n\r\nok"));
}

TEST_F(http_server, a_body_nobody_reads_is_not_the_next_request) {
    begin();
    const std::string smuggled = get("/smuggled");
    const std::string got = ask("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(smuggled.size()) +
                                "\r\n\r\n" + smuggled + get("/b"));
    EXPECT_THAT(got, Not(HasSubstr("smuggled")));
    EXPECT_THAT(got, EndsWith("GET b 127.0.0.1"));
    EXPECT_THAT(ask("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\n" + std::string(70'000, 'x')),
                Not(HasSubstr("400")));
}

TEST_F(http_server, writes_bodies_to_files_and_leaves_no_halves) {
    begin();
    const auto whole = folder() / "whole", half = folder() / "half";
    const auto post = [](const std::filesystem::path& file, std::size_t says) {
        return "POST /file HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-File: " + file.string() +
               "\r\nContent-Length: " + std::to_string(says) + "\r\n\r\n";
    };
    EXPECT_THAT(ask(post(whole, 40'000) + std::string(40'000, 'x')), EndsWith("\r\n\r\n40000"));
    EXPECT_EQ(std::filesystem::file_size(whole), 40'000U);
    struct stat st{};
    ASSERT_EQ(::stat(whole.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777U, 0600U);
    auto s = connect();
    asio::write(s, asio::buffer(post(half, 40'000) + std::string(20'000, 'x')));
    s.shutdown(tcp::socket::shutdown_send);
    std::string got;
    boost::system::error_code ec;
    asio::read(s, asio::dynamic_buffer(got), ec);
    EXPECT_FALSE(std::filesystem::exists(half));
    EXPECT_THAT(ask(post(half, 200'000)), HasSubstr("longer than 100000"));
}

TEST_F(http_server, makes_bodies_in_pieces) {
    begin();
    EXPECT_THAT(ask(get("/count")), EndsWith("\r\n\r\n1\r\n1\r\n1\r\n2\r\n1\r\n3\r\n0\r\n\r\n"));
    const std::string old = ask("GET /count HTTP/1.0\r\n\r\n");
    EXPECT_THAT(old, EndsWith("\r\n\r\n123"));
    EXPECT_THAT(old, Not(HasSubstr("chunked")));
    EXPECT_THAT(ask(get("/half")), EndsWith("4\r\nhalf\r\n")); // no last chunk: it is not whole
}

TEST_F(http_server, lets_a_stream_have_nothing_to_say) {
    server_options options;
    options.limits.stall = std::chrono::milliseconds(300);
    begin(options);
    EXPECT_THAT(ask(get("/pause")), HasSubstr("and after"));
}

TEST_F(http_server, tells_nothing_of_what_went_wrong_inside) {
    begin();
    const std::string got = ask(get("/throw"));
    EXPECT_THAT(got, StartsWith("HTTP/1.1 500 "));
    EXPECT_THAT(got, Not(HasSubstr("hunter2")));
    EXPECT_THAT(ask(get("/split")), StartsWith("HTTP/1.1 500 "));
}

TEST_F(http_server, ends_a_slow_head_and_an_idle_line) {
    server_options options;
    options.limits.head = options.limits.idle = std::chrono::milliseconds(30);
    begin(options);
    EXPECT_EQ(ask("GET /a HT"), "");
    EXPECT_EQ(ask(""), "");
}

TEST_F(http_server, ends_a_body_that_drips) {
    server_options options;
    options.limits.body = std::chrono::milliseconds(30);
    options.limits.slowest_body = 1'000'000;
    begin(options);
    auto s = connect();
    const std::string got =
        all(s, "POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 10\r\n\r\nabc");
    EXPECT_THAT(got, testing::AnyOf("", StartsWith("HTTP/1.1 400 ")));
}

TEST_F(http_server, takes_the_word_of_trusted_proxies_for_their_clients) {
    server_options options;
    options.trusted_proxies = {"127.0.0.0/8", "10.0.0.1"};
    begin(options);
    const auto client = [&](std::string_view forwarded) {
        const std::string got =
            ask(get("/a", "Connection: close\r\nX-Forwarded-For: " + std::string(forwarded) + "\r\n"));
        return got.substr(got.rfind(' ') + 1);
    };
    EXPECT_EQ(client("192.0.2.7"), "192.0.2.7");
    EXPECT_EQ(client("1.2.3.4, 192.0.2.7, 10.0.0.1"), "192.0.2.7") << "anybody can write what stands left of it";
    EXPECT_EQ(client("nonsense"), "127.0.0.1");
    EXPECT_EQ(client("192.0.2.7\r\nX-Forwarded-For: 2001:db8::1"), "2001:db8::1");
}

TEST_F(http_server, takes_nobody_elses_word) {
    begin();
    EXPECT_THAT(ask(get("/a", "Connection: close\r\nX-Forwarded-For: 192.0.2.7\r\n")), EndsWith(" 127.0.0.1"));
}

TEST_F(http_server, bounds_its_connections) {
    server_options options;
    options.limits.connections_per_address = 2;
    begin(options);
    auto first = connect(), second = connect();
    asio::write(first, asio::buffer(get("/a", "")));
    asio::write(second, asio::buffer(get("/a", "")));
    std::string got;
    asio::read_until(first, asio::dynamic_buffer(got), "127.0.0.1");
    asio::read_until(second, asio::dynamic_buffer(got), "127.0.0.1");
    EXPECT_EQ(ask(""), "");
    EXPECT_EQ(server_->connections(), 2U);
}

TEST_F(http_server, knows_who_is_at_the_local_socket) {
    server_options options;
    options.socket = folder() / "s";
    begin(options);
    asio::local::stream_protocol::socket s(client_io_);
    s.connect(asio::local::stream_protocol::endpoint(options.socket.string()));
    EXPECT_THAT(all(s, get("/a")), EndsWith("GET a unix"));
    ASSERT_EQ(log_.size(), 1U);
    EXPECT_EQ(log_[0].from.uid, ::getuid());
    // A second service does not take it away; one that died leaves nothing in the way.
    auto second = server::listen(io_.get_executor(), options, example);
    ASSERT_FALSE(second);
    EXPECT_THAT(second.error().message(), HasSubstr("another service answers there"));
}

TEST_F(http_server, stops_streams_and_idle_lines) {
    begin();
    auto idle = connect(), streaming = connect();
    asio::write(idle, asio::buffer(get("/a", "")));
    asio::write(streaming, asio::buffer(get("/endless", "")));
    std::string got;
    asio::read_until(idle, asio::dynamic_buffer(got), "127.0.0.1");
    got.clear();
    asio::read_until(streaming, asio::dynamic_buffer(got), ":\n\n");
    asio::co_spawn(io_, server_->stop(), asio::use_future).get();
    boost::system::error_code ec;
    asio::read(streaming, asio::dynamic_buffer(got), ec);
    EXPECT_THAT(got, EndsWith("0\r\n\r\n"));
    EXPECT_EQ(server_->connections(), 0U);
}

TEST_F(http_server, listens_everywhere_by_ipv4_too) {
    begin({.listen = {"*:0"}});
    EXPECT_THAT(ask(get("/a")), HasSubstr("GET a"));
}

TEST_F(http_server, says_why_it_cannot_listen) {
    const auto why = [&](server_options o) {
        auto made = server::listen(io_.get_executor(), std::move(o), example);
        return made ? std::string("it can") : made.error().message();
    };
    EXPECT_THAT(why({.listen = {"8080"}}), HasSubstr("names no port"));
    EXPECT_THAT(why({.listen = {"127.0.0.1:99999"}}), HasSubstr("0 to 65535"));
    EXPECT_THAT(why({.listen = {"example.org:80"}}), HasSubstr("no IP address"));
    EXPECT_THAT(why({.listen = {"127.0.0.1:0"}, .tls = tls_identity{.certificate = "/nowhere", .key = "/nowhere"}}),
                HasSubstr("/nowhere"));
    EXPECT_THAT(why({.listen = {"127.0.0.1:0"}, .trusted_proxies = {"10.0.0.0/33"}}), HasSubstr("10.0.0.0/33"));
    EXPECT_THAT(why({.socket = "/nowhere/s"}), HasSubstr("/nowhere/s"));
}

} // namespace
} // namespace postferry::http

#include "net/detail/happy_eyeballs.hpp"
#include "net/detail/resolver.hpp"
#include "net/test_peer.hpp"
#include "net/with_deadline.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/detached.hpp>
#include <gmock/gmock.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace postferry::net::test {
namespace {

using namespace std::chrono_literals;
using detail::address_list;
using ::testing::HasSubstr;

/// A name server on loopback. `answer` makes the reply of a question, nothing for silence.
class name_server {
  public:
    using answer = std::function<std::string(std::string question)>;

    explicit name_server(answer how) : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in a{};
        a.sin_family = AF_INET;
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof a;
        if (::bind(fd_, reinterpret_cast<sockaddr*>(&a), size) != 0) throw std::runtime_error("no UDP port");
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&a), &size);
        port_ = ntohs(a.sin_port);
        thread_ = std::thread([this, reply_to = std::move(how)] {
            std::array<char, 2048> buffer{};
            for (;;) {
                sockaddr_in from{};
                socklen_t length = sizeof from;
                const ssize_t n =
                    ::recvfrom(fd_, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
                if (n <= 1) return;
                const std::string reply = reply_to(std::string(buffer.data(), static_cast<std::size_t>(n)));
                if (!reply.empty())
                    ::sendto(fd_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), length);
            }
        });
    }
    name_server(const name_server&) = delete;
    name_server& operator=(const name_server&) = delete;
    ~name_server() {
        sockaddr_in a{};
        a.sin_family = AF_INET;
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        a.sin_port = htons(port_);
        ::sendto(fd_, "x", 1, 0, reinterpret_cast<sockaddr*>(&a), sizeof a); // one octet: the end
        thread_.join();
        ::close(fd_);
    }

    [[nodiscard]] detail::resolver_options options(std::chrono::milliseconds timeout = 5000ms, int tries = 1) const {
        return {.servers = fmt::format("127.0.0.1:{}", port_), .timeout = timeout, .tries = tries};
    }

  private:
    int fd_;
    std::uint16_t port_ = 0;
    std::thread thread_;
};

constexpr char code_ok = 0, code_server_failed = 2, code_no_name = 3;

/// RFC 1035 section 4.1: the question again with QR and RD/RA set, then at most one answer of the question's type.
std::string reply(std::string question, char rcode, std::string data) {
    question[2] = static_cast<char>(0x81);
    question[3] = static_cast<char>(0x80 | rcode);
    question[7] = data.empty() ? 0 : 1;
    question[9] = question[11] = 0;
    std::size_t end = 12;
    while (question[end] != 0) end += static_cast<std::size_t>(question[end]) + 1;
    question.resize(end + 5);
    if (data.empty()) return question;
    const std::string type = question.substr(end + 1, 4);
    return question + std::string("\xc0\x0c", 2) + type + std::string("\0\0\0\x3c\0", 5) +
           static_cast<char>(data.size()) + data;
}

bool asks_for_v6(const std::string& question) {
    std::size_t end = 12;
    while (question[end] != 0) end += static_cast<std::size_t>(question[end]) + 1;
    return question[end + 2] == 28;
}

result<address_list> look_up(std::string host, detail::resolver_options options, deadline until = soon()) {
    return run([](std::string name, detail::resolver_options o, deadline limit) -> task<result<address_list>> {
        const executor ex = co_await boost::asio::this_coro::executor;
        endpoint where;
        where.host = std::move(name);
        where.port = 993;
        co_return co_await detail::resolve(ex, where, limit, o);
    }(std::move(host), std::move(options), until));
}

std::vector<std::string> texts(const address_list& list) {
    std::vector<std::string> out;
    for (const auto& e : list) out.push_back(e.address().to_string());
    return out;
}

TEST(resolver, addresses_need_no_name_server) {
    const detail::resolver_options nobody{.servers = "127.0.0.1:1"};
    EXPECT_THAT(texts(look_up("192.0.2.1", nobody).value()), ::testing::ElementsAre("192.0.2.1"));
    EXPECT_THAT(texts(look_up("2001:db8::1", nobody).value()), ::testing::ElementsAre("2001:db8::1"));
    EXPECT_EQ(look_up("::1", nobody).value().front().port(), 993);
    EXPECT_THAT(texts(look_up("localhost", nobody).value()), ::testing::Contains("127.0.0.1"));
}

TEST(resolver, both_families_are_asked) {
    name_server dns([](std::string q) {
        return asks_for_v6(q) ? reply(q, code_ok, std::string("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x05", 16))
                              : reply(q, code_ok, std::string("\xc0\0\x02\x05", 4));
    });
    EXPECT_THAT(texts(look_up("mail.example.org", dns.options()).value()),
                ::testing::UnorderedElementsAre("2001:db8::5", "192.0.2.5"));
}

TEST(resolver, one_family_is_enough) {
    name_server dns(
        [](std::string q) { return reply(q, code_ok, asks_for_v6(q) ? "" : std::string("\xc0\0\x02\x05", 4)); });
    EXPECT_THAT(texts(look_up("mail.example.org", dns.options()).value()), ::testing::ElementsAre("192.0.2.5"));
}

TEST(resolver, a_name_that_does_not_exist_is_a_setting_to_change) {
    name_server dns([](std::string q) { return reply(q, code_no_name, ""); });
    const auto r = look_up("nowhere.example.org", dns.options());
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().cls, retry_class::config);
    EXPECT_EQ(r.error().where, phase::resolve);
    EXPECT_EQ(r.error().what, "there is no host nowhere.example.org");
}

TEST(resolver, a_name_without_addresses_is_told_apart) {
    name_server dns([](std::string q) { return reply(q, code_ok, ""); });
    const auto r = look_up("example.org", dns.options());
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().cls, retry_class::config);
    EXPECT_THAT(r.error().what, HasSubstr("has no address"));
}

TEST(resolver, a_server_in_trouble_may_know_later) {
    name_server dns([](std::string q) { return reply(q, code_server_failed, ""); });
    const auto r = look_up("mail.example.org", dns.options());
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().cls, retry_class::transient);
}

TEST(resolver, silence_is_transient_and_says_so) {
    name_server dns([](const std::string&) { return std::string(); });
    const auto by_its_own_timeout = look_up("mail.example.org", dns.options(50ms));
    ASSERT_FALSE(by_its_own_timeout);
    EXPECT_EQ(by_its_own_timeout.error().cls, retry_class::transient);
    EXPECT_THAT(by_its_own_timeout.error().what, HasSubstr("no name server answered"));
    const auto by_the_deadline = look_up("mail.example.org", dns.options(), deadline::in(50ms));
    ASSERT_FALSE(by_the_deadline);
    EXPECT_EQ(by_the_deadline.error().cls, retry_class::transient);
    EXPECT_THAT(by_the_deadline.error().what,
                HasSubstr("no name server answered the question for mail.example.org within 0.0"));
}

TEST(resolver, a_search_can_be_cancelled) {
    name_server dns([](const std::string&) { return std::string(); });
    boost::asio::io_context io(1);
    boost::asio::cancellation_signal stop;
    std::optional<retry_class> seen;
    boost::asio::co_spawn(
        io,
        [](executor ex, detail::resolver_options o, std::optional<retry_class>& out) -> task<> {
            endpoint where;
            where.host = "mail.example.org";
            const auto r = co_await detail::resolve(ex, where, deadline::never(), o);
            if (!r) out = r.error().cls;
        }(io.get_executor(), dns.options(), seen),
        boost::asio::bind_cancellation_slot(stop.slot(), boost::asio::detached));
    io.run_for(20ms);
    stop.emit(boost::asio::cancellation_type::terminal);
    io.run();
    EXPECT_EQ(seen, retry_class::cancelled);
}

boost::asio::ip::tcp::endpoint at(const char* address, std::uint16_t port = 993) {
    return {boost::asio::ip::make_address(address), port};
}

TEST(happy_eyeballs, families_alternate) {
    const address_list in{at("2001:db8::1"), at("2001:db8::2"), at("2001:db8::3"), at("192.0.2.1"), at("192.0.2.2")};
    EXPECT_THAT(texts(detail::interleave(in)),
                ::testing::ElementsAre("2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "2001:db8::3"));
    EXPECT_TRUE(detail::interleave({}).empty());
}

result<std::string> connect_to(address_list addresses, deadline until) {
    return run([](address_list list, deadline limit) -> task<result<std::string>> {
        const executor ex = co_await boost::asio::this_coro::executor;
        endpoint where;
        where.host = "mail.example.org";
        where.port = 993;
        auto socket = co_await detail::connect_first(ex, where, std::move(list), limit);
        if (!socket) co_return std::unexpected(socket.error());
        co_return socket->remote_endpoint().address().to_string();
    }(std::move(addresses), until));
}

TEST(happy_eyeballs, the_next_address_is_tried_when_one_refuses) {
    peer server([](peer_line&) {});
    EXPECT_EQ(connect_to({at("127.0.0.2", refused_port()), at("127.0.0.1", server.port())}, soon()).value(),
              "127.0.0.1");
}

TEST(happy_eyeballs, every_address_is_told_with_its_reason) {
    const std::uint16_t port = refused_port();
    const auto r = connect_to({at("127.0.0.2", port), at("127.0.0.1", port)}, soon());
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().cls, retry_class::config);
    EXPECT_EQ(r.error().what,
              fmt::format("cannot connect to mail.example.org port 993 (127.0.0.2:{0}: Connection refused; "
                          "127.0.0.1:{0}: Connection refused)",
                          port));
}

/// A port that takes no more connections: its queue is full, so a dialler waits.
class full_port {
  public:
    full_port() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in a{};
        a.sin_family = AF_INET;
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof a;
        if (::bind(fd_, reinterpret_cast<sockaddr*>(&a), size) != 0 || ::listen(fd_, 0) != 0)
            throw std::runtime_error("no port");
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&a), &size);
        port_ = ntohs(a.sin_port);
        for (int& c : callers_) {
            c = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            (void)::connect(c, reinterpret_cast<sockaddr*>(&a), size);
        }
    }
    full_port(const full_port&) = delete;
    full_port& operator=(const full_port&) = delete;
    ~full_port() {
        for (const int c : callers_) ::close(c);
        ::close(fd_);
    }
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

  private:
    int fd_;
    std::uint16_t port_ = 0;
    std::array<int, 8> callers_{};
};

TEST(happy_eyeballs, an_address_that_does_not_answer_does_not_hold_up_the_next) {
    const full_port silent;
    peer server([](peer_line&) {});
    EXPECT_EQ(connect_to({at("127.0.0.1", silent.port()), at("127.0.0.1", server.port())}, soon()).value(),
              "127.0.0.1");
}

TEST(happy_eyeballs, silence_to_the_deadline_is_transient) {
    const full_port silent;
    const auto r = connect_to({at("127.0.0.1", silent.port())}, deadline::in(50ms));
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().cls, retry_class::transient);
    EXPECT_THAT(r.error().what, HasSubstr("no answer for 0.0"));
}

task<result<int>> at_once() { co_return 7; }

task<result<int>> much_later() {
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, 1h);
    co_await timer.async_wait(boost::asio::use_awaitable);
    co_return 7;
}

task<result<int>> broken() {
    co_await boost::asio::post(boost::asio::use_awaitable);
    throw std::logic_error("a bug");
}

TEST(with_deadline, gives_what_came_in_time) {
    EXPECT_EQ(run(with_deadline(at_once(), soon(), phase::login, "late")).value(), 7);
    EXPECT_EQ(run(with_deadline(at_once(), deadline::never(), phase::login, "late")).value(), 7);
}

TEST(with_deadline, ends_what_comes_too_late) {
    const auto r = run(with_deadline(much_later(), deadline::in(30ms), phase::login, "no answer to LOGIN"));
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().cls, retry_class::transient);
    EXPECT_EQ(r.error().where, phase::login);
    EXPECT_EQ(r.error().what, "no answer to LOGIN");
}

TEST(with_deadline, a_bug_comes_out_at_once) {
    EXPECT_THROW((void)run(with_deadline(broken(), deadline::in(1h), phase::login, "late")), std::logic_error);
}

} // namespace
} // namespace postferry::net::test

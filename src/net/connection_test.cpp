#include "net/connection.hpp"
#include "net/test_peer.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <gmock/gmock.h>

#include <cerrno>
#include <future>
#include <sys/socket.h>

namespace postferry::net::test {
namespace {

using namespace std::chrono_literals;
using namespace boost::asio::experimental::awaitable_operators;
using ::testing::HasSubstr;

std::string pattern(std::size_t octets) {
    std::string out(octets, '\0');
    std::uint32_t x = 12345;
    for (char& c : out) {
        x = x * 1664525u + 1013904223u;
        c = static_cast<char>(x >> 24);
    }
    return out;
}

void echo(peer_line& line) {
    for (std::string part = line.read(); !part.empty(); part = line.read())
        if (!line.write(part)) return;
}

TEST(connection, lines_go_both_ways) {
    peer server([](peer_line& line) {
        line.write("* OK ready\r\n");
        EXPECT_EQ(line.read_exactly(9), "a1 NOOP\r\n");
        line.write("a1 OK\r\n");
    });
    run([](std::uint16_t port) -> task<bool> {
        auto line = (co_await dial(port)).value();
        EXPECT_EQ(line->peer(), fmt::format("127.0.0.1:{}", port));
        EXPECT_FALSE(line->encrypted());
        EXPECT_EQ(line->tls_summary(), "");
        EXPECT_EQ((co_await receive_text(*line, 12)).value(), "* OK ready\r\n");
        EXPECT_TRUE((co_await send_text(*line, "a1 NOOP\r\n")).has_value());
        EXPECT_EQ((co_await receive_text(*line, 100)).value(), "a1 OK\r\n") << "the rest, up to the peer's orderly end";
        std::array<char, 8> more{};
        EXPECT_EQ((co_await line->read_some(more, soon())).value(), 0u) << "the end stays the end";
        co_return true;
    }(server.port()));
}

TEST(connection, nothing_leaves_a_line_that_may_not_send_any_more) {
    std::string arrived;
    {
        peer server([&](peer_line& line) {
            arrived = line.read_exactly(9);
            line.write("a1 OK\r\n");
            for (std::string part = line.read(); !part.empty(); part = line.read()) arrived += part;
        });
        run([](std::uint16_t port) -> task<bool> {
            auto line = (co_await dial(port)).value();
            const auto may = std::make_shared<bool>(true);
            line->ask_before_sending([may] { return *may; });
            EXPECT_TRUE((co_await send_text(*line, "a1 NOOP\r\n")).has_value());
            EXPECT_EQ((co_await receive_text(*line, 7)).value(), "a1 OK\r\n");
            *may = false;
            for (int i = 0; i < 2; ++i) {
                const auto refused = co_await send_text(*line, "a2 APPEND INBOX {5}\r\n");
                EXPECT_FALSE(refused.has_value());
                if (!refused) EXPECT_EQ(refused.error().cls, retry_class::cancelled);
            }
            co_return true;
        }(server.port()));
    }
    EXPECT_EQ(arrived, "a1 NOOP\r\n");
}

TEST(connection, a_line_that_may_not_send_any_more_throws_away_what_has_not_left) {
    std::promise<void> closed;
    ssize_t last = 0;
    int why = 0;
    {
        peer server([&](peer_line& line) {
            closed.get_future().wait();
            std::array<char, 65536> buffer{};
            do last = ::recv(line.fd(), buffer.data(), buffer.size(), 0);
            while (last > 0);
            why = errno;
        });
        run([&closed](std::uint16_t port) -> task<bool> {
            auto line = (co_await dial(port)).value();
            const auto until = std::chrono::steady_clock::now() + 500ms;
            line->ask_before_sending([until] { return std::chrono::steady_clock::now() < until; });
            // More than the buffers of both sides hold: it is still waiting when the time is over.
            const auto refused = co_await send_text(*line, std::string(64U << 20U, 'x'));
            EXPECT_FALSE(refused.has_value());
            if (!refused) EXPECT_EQ(refused.error().cls, retry_class::cancelled);
            closed.set_value();
            co_return true;
        }(server.port()));
    }
    EXPECT_EQ(last, -1) << "it was sent all the same";
    EXPECT_EQ(why, ECONNRESET);
}

task<bool> exchange(connection& line, const std::string& data, std::size_t piece_size) {
    std::vector<iovec> pieces;
    for (std::size_t at = 0; at < data.size(); at += piece_size) {
        iovec piece{};
        piece.iov_base = const_cast<char*>(data.data() + at);
        piece.iov_len = std::min(piece_size, data.size() - at);
        pieces.push_back(piece);
    }
    // Writing and reading at once: neither end could hold 8 MB back.
    auto [sent, received] = co_await (line.write(pieces, 20s, soon()) && receive_text(line, data.size()));
    EXPECT_TRUE(sent.has_value()) << sent.error().message();
    EXPECT_TRUE(received.has_value() && *received == data) << "what came back is what was sent";
    co_return true;
}

class both_ways : public ::testing::TestWithParam<std::tuple<bool, std::size_t>> {};

TEST_P(both_ways, eight_megabytes_at_once) {
    const auto [tls, piece_size] = GetParam();
    SSL_CTX* ctx = tls ? shared_authority().server(shared_authority().issue("both")) : nullptr;
    peer server([&](peer_line& line) {
        if (ctx != nullptr && !line.secure(ctx)) return;
        echo(line);
    });
    run([](std::uint16_t port, bool secure, std::size_t size) -> task<bool> {
        tls_settings settings;
        settings.mode = secure ? tls_mode::implicit : tls_mode::off;
        settings.ca_file = shared_authority().ca_file();
        auto opened = co_await dial(port, settings, "localhost");
        EXPECT_TRUE(opened.has_value()) << opened.error().message();
        EXPECT_EQ((*opened)->encrypted(), secure);
        co_return co_await exchange(**opened, pattern(8'000'000), size);
    }(server.port(), tls, piece_size));
}

INSTANTIATE_TEST_SUITE_P(pieces, both_ways,
                         ::testing::Combine(::testing::Bool(), ::testing::Values(80u, 5'000u, 100'000u, 8'000'000u)));

TEST(connection, one_octet_at_a_time) {
    SSL_CTX* ctx = shared_authority().server(shared_authority().issue("octets"));
    for (const bool tls : {false, true}) {
        peer server([&](peer_line& line) {
            if (tls && !line.secure(ctx)) return;
            line.write(pattern(200'000));
        });
        run([](std::uint16_t port, bool secure) -> task<bool> {
            tls_settings settings;
            settings.mode = secure ? tls_mode::implicit : tls_mode::off;
            settings.verify = tls_verify::off;
            auto line = (co_await dial(port, settings)).value();
            std::string got;
            std::array<char, 1> octet{};
            for (;;) {
                const auto n = (co_await line->read_some(octet, soon())).value();
                if (n == 0) break;
                got += octet[0];
            }
            EXPECT_TRUE(got == pattern(200'000));
            co_return true;
        }(server.port(), tls));
    }
}

TEST(connection, a_large_buffer_is_filled_by_one_read_when_the_octets_are_there) {
    std::atomic<bool> sent = false;
    peer server([&](peer_line& line) {
        line.write(pattern(60'000));
        sent = true;
        line.read();
    });
    run([](std::uint16_t port, std::atomic<bool>& there) -> task<bool> {
        auto line = (co_await dial(port)).value();
        while (!there) std::this_thread::yield();
        std::string buffer(256 * 1024, '\0');
        EXPECT_EQ((co_await line->read_some(buffer, soon())).value(), 60'000u);
        co_return true;
    }(server.port(), sent));
}

TEST(connection, a_silent_peer_is_given_up_at_the_deadline) {
    peer server([](peer_line& line) { line.read(); });
    run([](std::uint16_t port) -> task<bool> {
        auto line = (co_await dial(port)).value();
        std::array<char, 16> buffer{};
        const auto began = deadline::clock::now();
        const auto n = co_await line->read_some(buffer, deadline::in(50ms));
        EXPECT_GE(deadline::clock::now() - began, 50ms);
        EXPECT_FALSE(n.has_value());
        EXPECT_EQ(n.error().cls, retry_class::transient);
        EXPECT_THAT(n.error().what, HasSubstr("gave no answer for 0.0"));
        const auto again = co_await send_text(*line, "a1 NOOP\r\n");
        EXPECT_FALSE(again.has_value()) << "after an error the connection is closed";
        EXPECT_EQ(again.error().what, n.error().what) << "and says why";
        co_return true;
    }(server.port()));
}

TEST(connection, a_later_deadline_is_not_cut_short_by_an_earlier_one) {
    peer server([](peer_line& line) {
        line.write("1");
        line.read();
        std::this_thread::sleep_for(120ms); // outlives the first deadline: that is the case under test
        line.write("2");
        line.read();
    });
    run([](std::uint16_t port) -> task<bool> {
        auto line = (co_await dial(port)).value();
        std::array<char, 16> buffer{};
        EXPECT_EQ((co_await line->read_some(buffer, deadline::in(60ms))).value_or(99), 1u);
        EXPECT_TRUE((co_await send_text(*line, "go")).has_value());
        EXPECT_EQ((co_await line->read_some(buffer, soon())).value_or(99), 1u);
        co_return true;
    }(server.port()));
}

TEST(connection, a_peer_that_takes_nothing_is_given_up_after_the_patience) {
    std::atomic<bool> over = false;
    peer server([&](peer_line&) {
        while (!over) std::this_thread::yield();
    });
    run([](std::uint16_t port, std::atomic<bool>& done) -> task<bool> {
        auto line = (co_await dial(port)).value();
        const std::string data(64 << 20, 'x');
        iovec piece{};
        piece.iov_base = const_cast<char*>(data.data());
        piece.iov_len = data.size();
        const auto sent = co_await line->write(std::span<const iovec>(&piece, 1), 50ms, soon());
        done = true;
        EXPECT_FALSE(sent.has_value());
        EXPECT_EQ(sent.error().cls, retry_class::transient);
        EXPECT_THAT(sent.error().what, HasSubstr("took nothing for"));
        co_return true;
    }(server.port(), over));
}

task<bool> close_from_elsewhere(connection& line) {
    co_await boost::asio::post(boost::asio::use_awaitable);
    line.close();
    line.close();
    co_return true;
}

TEST(connection, close_wakes_a_waiting_read) {
    peer server([](peer_line& line) { line.read(); });
    run([](std::uint16_t port) -> task<bool> {
        auto line = (co_await dial(port)).value();
        auto [text, closed] = co_await (receive_text(*line, 1) && close_from_elsewhere(*line));
        EXPECT_TRUE(closed);
        EXPECT_FALSE(text.has_value());
        EXPECT_EQ(text.error().cls, retry_class::cancelled);
        co_return true;
    }(server.port()));
}

TEST(connection, a_cancelled_read_ends_as_cancelled) {
    peer server([](peer_line& line) { line.read(); });
    boost::asio::io_context io(1);
    boost::asio::cancellation_signal stop;
    std::optional<retry_class> seen;
    boost::asio::co_spawn(
        io,
        [](std::uint16_t port, std::optional<retry_class>& out) -> task<> {
            auto line = (co_await dial(port)).value();
            std::array<char, 1> octet{};
            const auto n = co_await line->read_some(octet, soon());
            if (!n) out = n.error().cls;
        }(server.port(), seen),
        boost::asio::bind_cancellation_slot(stop.slot(), boost::asio::detached));
    io.run_for(50ms);
    stop.emit(boost::asio::cancellation_type::terminal);
    io.run();
    EXPECT_EQ(seen, retry_class::cancelled);
}

TEST(connection, a_reset_is_a_lost_connection) {
    peer server([](peer_line& line) {
        const linger now{1, 0};
        ::setsockopt(line.fd(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
        line.read();
        line.cut();
    });
    run([](std::uint16_t port) -> task<bool> {
        auto line = (co_await dial(port)).value();
        EXPECT_TRUE((co_await send_text(*line, "x")).has_value());
        std::array<char, 1> octet{};
        const auto n = co_await line->read_some(octet, soon());
        EXPECT_FALSE(n.has_value());
        EXPECT_EQ(n.error().cls, retry_class::transient);
        EXPECT_THAT(n.error().what, HasSubstr("Connection reset by peer"));
        co_return true;
    }(server.port()));
}

TEST(connection, a_refused_port_is_a_setting_to_change) {
    const std::uint16_t port = refused_port();
    const auto failure = run(attempt(port));
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->cls, retry_class::config);
    EXPECT_EQ(failure->where, phase::connect);
    EXPECT_THAT(failure->what, HasSubstr(fmt::format("127.0.0.1:{}: Connection refused", port)));
}

TEST(connection, both_families_are_tried_and_told) {
    const std::uint16_t port = refused_port();
    const auto failure = run(attempt(port, in_the_clear(), "localhost"));
    ASSERT_TRUE(failure);
    EXPECT_THAT(failure->what, HasSubstr(fmt::format("127.0.0.1:{}: Connection refused", port)));
    EXPECT_THAT(failure->what, HasSubstr(fmt::format("cannot connect to localhost port {}", port)));
}

TEST(connection, an_unknown_host_needs_no_network_to_be_refused) {
    for (const char* name : {"mail.example.invalid", "INVALID.invalid."}) {
        const auto failure = run(attempt(993, {}, name));
        ASSERT_TRUE(failure);
        EXPECT_EQ(failure->cls, retry_class::config);
        EXPECT_EQ(failure->where, phase::resolve);
        EXPECT_THAT(failure->what, HasSubstr(name));
    }
}

TEST(connection, ipv6) {
    std::unique_ptr<peer> server;
    try {
        server = std::make_unique<peer>([](peer_line& line) { line.write("hello"); }, true);
    } catch (const std::runtime_error&) {
        GTEST_SKIP() << "no IPv6 here";
    }
    run([](std::uint16_t port) -> task<bool> {
        auto line = (co_await dial(port, in_the_clear(), "::1")).value();
        EXPECT_EQ(line->peer(), fmt::format("[::1]:{}", port));
        EXPECT_EQ((co_await receive_text(*line, 5)).value(), "hello");
        co_return true;
    }(server->port()));
}

} // namespace
} // namespace postferry::net::test

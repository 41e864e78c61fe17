#include "net/metered_connection.hpp"
#include "net/test_peer.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gmock/gmock.h>

namespace postferry::net::test {
namespace {

using namespace std::chrono_literals;
using namespace boost::asio::experimental::awaitable_operators;
using testing::ElementsAre;

/// Says for how long to wait after each transfer, and keeps what it was told.
class scripted_allowance final : public allowance {
  public:
    time::duration after_read{}, after_write{};
    std::size_t most = SIZE_MAX;
    std::vector<std::size_t> read, written;

    time moved(direction way, std::size_t octets, time now) override {
        (way == direction::received ? read : written).push_back(octets);
        return now + (way == direction::received ? after_read : after_write);
    }
    [[nodiscard]] std::size_t turn() const noexcept override { return most; }
    result<time> begin_messages(std::size_t, time now) override { return now; }
    [[nodiscard]] std::size_t messages_at_once() const noexcept override { return SIZE_MAX; }
};

task<std::unique_ptr<connection>> dial_metered(std::uint16_t port, std::shared_ptr<allowance> meter) {
    auto line = (co_await dial(port)).value();
    co_return metered(std::move(line), std::move(meter), co_await boost::asio::this_coro::executor);
}

TEST(metered_connection, octets_are_told_both_ways_and_move_in_turns) {
    const auto meter = std::make_shared<scripted_allowance>();
    meter->most = 1'000;
    peer server([](peer_line& line) {
        EXPECT_EQ(line.read_exactly(2'506), std::string(1'500, 'a') + std::string(1'000, 'b') + "ccc\r\nx");
        line.write(std::string(2'300, 'z'));
    });
    run([](std::uint16_t port, std::shared_ptr<scripted_allowance> m) -> task<bool> {
        auto line = co_await dial_metered(port, m);
        std::string a(1'500, 'a'), b(1'000, 'b'), c("ccc\r\nx");
        const std::array<iovec, 3> pieces{{{a.data(), a.size()}, {b.data(), b.size()}, {c.data(), c.size()}}};
        EXPECT_TRUE(co_await line->write(pieces, 5s, soon()));
        EXPECT_EQ((co_await receive_text(*line, 2'300)).value().size(), 2'300U);
        co_return true;
    }(server.port(), meter));
    EXPECT_THAT(meter->written, ElementsAre(1'000, 1'000, 506));
    std::size_t all = 0;
    for (const std::size_t n : meter->read) {
        EXPECT_LE(n, 1'000U);
        all += n;
    }
    EXPECT_EQ(all, 2'300U);
}

TEST(metered_connection, the_next_transfer_waits_as_told_and_its_deadline_with_it) {
    const auto meter = std::make_shared<scripted_allowance>();
    meter->after_read = 150ms;
    peer server([](peer_line& line) {
        line.write("one");
        EXPECT_EQ(line.read_exactly(2), "go");
        line.write("two");
    });
    run([](std::uint16_t port, std::shared_ptr<scripted_allowance> m) -> task<bool> {
        auto line = co_await dial_metered(port, m);
        std::array<char, 16> room{};
        EXPECT_EQ((co_await line->read_some(room, soon())).value(), 3U);
        EXPECT_TRUE(co_await send_text(*line, "go"));
        const auto from = std::chrono::steady_clock::now();
        // A deadline that is over before the wait is: the wait was ours, the peer has its time all the same.
        EXPECT_EQ((co_await line->read_some(room, deadline::in(100ms))).value(), 3U);
        EXPECT_GE(std::chrono::steady_clock::now() - from, 100ms);
        co_return true;
    }(server.port(), meter));
}

TEST(metered_connection, closing_ends_a_wait) {
    const auto meter = std::make_shared<scripted_allowance>();
    meter->after_read = meter->after_write = 1h;
    peer server([](peer_line& line) {
        line.write("one");
        (void)line.read();
    });
    run([](std::uint16_t port, std::shared_ptr<scripted_allowance> m) -> task<bool> {
        auto line = co_await dial_metered(port, m);
        std::array<char, 16> room{};
        EXPECT_EQ((co_await line->read_some(room, soon())).value(), 3U);
        EXPECT_TRUE(co_await send_text(*line, "x"));
        const auto close_soon = [](connection& l) -> task<bool> {
            co_await boost::asio::post(boost::asio::use_awaitable);
            l.close();
            co_return true;
        };
        const auto [got, sent, closed] =
            co_await (line->read_some(room, soon()) && send_text(*line, "y") && close_soon(*line));
        EXPECT_EQ(got.error().cls, retry_class::cancelled);
        EXPECT_EQ(sent.error().cls, retry_class::cancelled);
        EXPECT_FALSE(co_await line->read_some(room, soon())) << "it stays closed";
        co_return true;
    }(server.port(), meter));
}

} // namespace
} // namespace postferry::net::test

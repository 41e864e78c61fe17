#include "net/gate.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gmock/gmock.h>

#include <atomic>

namespace postferry::net {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using keys = std::vector<std::string>;

class gate_test : public testing::Test {
  protected:
    gate::time now{1h};
    std::shared_ptr<gate> doors = gate::make([this] { return now; });
    boost::asio::io_context io{1};
    std::map<std::string, gate::permit> inside;
    std::vector<std::string> entered;

    void come(std::string who, keys wanted) {
        boost::asio::co_spawn(
            io,
            [](gate_test& t, std::string name, keys k) -> task<> {
                gate::permit p = co_await t.doors->enter(std::move(k));
                t.entered.push_back(name);
                t.inside.emplace(std::move(name), std::move(p));
            }(*this, std::move(who), std::move(wanted)),
            boost::asio::detached);
        settle();
    }
    void go(const std::string& who) {
        inside.erase(who);
        settle();
    }
    void settle() {
        io.restart();
        io.poll();
    }
};

TEST_F(gate_test, without_a_limit_everybody_enters) {
    for (int i = 0; i < 100; ++i) come(std::to_string(i), {"s"});
    EXPECT_EQ(doors->inside("s"), 100U);
    inside.clear();
    EXPECT_EQ(doors->inside("s"), 0U);
}

TEST_F(gate_test, the_next_enters_when_one_leaves_in_the_order_of_coming) {
    doors->limit("s", 2);
    for (const char* who : {"a", "b", "c", "d"}) come(who, {"s"});
    EXPECT_THAT(entered, ElementsAre("a", "b"));
    go("b");
    EXPECT_THAT(entered, ElementsAre("a", "b", "c"));
    go("a");
    go("c");
    EXPECT_THAT(entered, ElementsAre("a", "b", "c", "d"));
    EXPECT_EQ(doors->inside("s"), 1U);
}

TEST_F(gate_test, the_smallest_limit_holds) {
    doors->limit("s", 5);
    doors->limit("s", 1);
    doors->limit("s", 3);
    come("a", {"s"});
    come("b", {"s"});
    EXPECT_THAT(entered, ElementsAre("a"));
}

TEST_F(gate_test, a_full_server_holds_up_nobody_who_does_not_need_it) {
    doors->limit("slow", 1);
    come("a", {"slow", "new"});
    come("b", {"slow", "new"});
    come("c", {"fast", "new"});
    EXPECT_THAT(entered, ElementsAre("a", "c"));
    EXPECT_EQ(doors->inside("new"), 2U) << "b, who waits, holds nothing";
}

TEST_F(gate_test, two_who_need_the_same_two_do_not_wait_for_each_other) {
    doors->limit("s", 1);
    doors->limit("t", 1);
    come("a", {"s", "t"});
    come("b", {"t", "s"});
    go("a");
    EXPECT_THAT(entered, ElementsAre("a", "b"));
}

TEST_F(gate_test, who_needs_both_is_not_overtaken_for_ever) {
    doors->limit("s", 1);
    doors->limit("t", 1);
    come("s0", {"s"});
    come("both", {"s", "t"});
    come("t0", {"t"});
    for (int i = 1; i < 100; ++i) { // somebody is always in one of the two
        come("s" + std::to_string(i), {"s"});
        come("t" + std::to_string(i), {"t"});
        go("s" + std::to_string(i - 1));
        go("t" + std::to_string(i - 1));
        if (inside.contains("both")) break;
    }
    EXPECT_TRUE(inside.contains("both"));
}

TEST_F(gate_test, a_refusal_makes_it_smaller_for_a_while) {
    doors->limit("s", 4);
    come("a", {"s"});
    come("b", {"s"});
    doors->shrink("s", 1, now + 5min);
    come("c", {"s"});
    go("a");
    EXPECT_THAT(entered, ElementsAre("a", "b")) << "b alone fills it";
    now += 5min;
    come("d", {"s"});
    EXPECT_THAT(entered, testing::UnorderedElementsAre("a", "b", "c", "d"));
}

TEST_F(gate_test, both_ends_on_a_server_that_allows_one_connection) {
    doors->limit("s", 1);
    come("a", {"s", "s"});
    come("b", {"s", "s"});
    EXPECT_THAT(entered, ElementsAre("a"));
    go("a");
    EXPECT_THAT(entered, ElementsAre("a", "b"));
}

TEST_F(gate_test, one_more_only_where_nobody_waits) {
    doors->limit("s", 2);
    come("a", {"s"});
    auto more = doors->try_enter({"s", "u"});
    ASSERT_TRUE(more);
    EXPECT_FALSE(doors->try_enter({"s"}));
    come("b", {"s"});
    more.reset();
    settle();
    EXPECT_THAT(entered, ElementsAre("a", "b"));
    doors->limit("t", 1);
    come("c", {"s", "t"});
    EXPECT_FALSE(doors->try_enter({"t"})) << "c waits for it";
    EXPECT_TRUE(doors->try_enter({"elsewhere"}));
}

TEST_F(gate_test, a_permit_is_given_back_in_parts) {
    doors->limit("s", 1);
    auto whole = doors->try_enter({"s", "t", "jobs"});
    ASSERT_TRUE(whole);
    {
        const keys part{"t", "other"};
        const gate::permit source = whole->split(part);
        EXPECT_TRUE(source);
        EXPECT_EQ(doors->inside("t"), 1U);
    }
    EXPECT_EQ(doors->inside("t"), 0U);
    EXPECT_EQ(doors->inside("s"), 1U);
    gate::permit moved = std::move(*whole);
    whole.reset();
    EXPECT_EQ(doors->inside("s"), 1U);
    moved = {};
    EXPECT_EQ(doors->inside("s"), 0U);
}

TEST_F(gate_test, who_is_cancelled_leaves_the_queue) {
    doors->limit("s", 1);
    come("a", {"s"});
    boost::asio::cancellation_signal stop;
    bool ended = false;
    boost::asio::co_spawn(
        io,
        [](gate& g, std::vector<std::string>& log) -> task<> {
            const gate::permit p = co_await g.enter({"s"});
            log.emplace_back("never");
        }(*doors, entered),
        boost::asio::bind_cancellation_slot(stop.slot(), [&](std::exception_ptr) { ended = true; }));
    settle();
    come("c", {"s"});
    stop.emit(boost::asio::cancellation_type::terminal);
    settle();
    EXPECT_TRUE(ended);
    go("a");
    EXPECT_THAT(entered, ElementsAre("a", "c"));
    go("c");
    EXPECT_EQ(doors->inside("s"), 0U);
}

TEST(gate, many_threads) {
    const auto doors = gate::make();
    doors->limit("s", 3);
    std::atomic<int> inside = 0, most = 0, done = 0;
    boost::asio::thread_pool pool(4);
    for (int i = 0; i < 400; ++i)
        boost::asio::co_spawn(
            boost::asio::make_strand(pool),
            [](gate& g, std::atomic<int>& now, std::atomic<int>& peak, std::atomic<int>& ended) -> task<> {
                const gate::permit p = co_await g.enter({"s", "u"});
                const int n = ++now;
                int before = peak;
                while (n > before && !peak.compare_exchange_weak(before, n)) {
                }
                co_await boost::asio::post(boost::asio::use_awaitable);
                --now;
                ++ended;
            }(*doors, inside, most, done),
            boost::asio::detached);
    pool.join();
    EXPECT_EQ(done, 400);
    EXPECT_LE(most, 3);
    EXPECT_EQ(doors->inside("s"), 0U);
}

} // namespace
} // namespace postferry::net

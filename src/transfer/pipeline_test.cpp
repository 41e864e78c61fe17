#include "transfer/pipeline.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <functional>

namespace postferry::transfer {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr mailbox::message_date some_day{.unix_seconds = 1'000'000'000, .zone_minutes = 0};

error trouble(std::string what) {
    return {.cls = retry_class::transient,
            .where = phase::fetch,
            .what = std::move(what),
            .server_said = {},
            .advice = {},
            .response_code = {}};
}

class noting_owner final : public pipeline_owner {
  public:
    std::vector<std::string> log;
    std::vector<sent_message> kept;
    std::uint32_t unwanted = 0; ///< this UID is not taken

    verdict judge(const mailbox::message_head& head) override {
        return {
            .take = head.uid != unwanted, .source_flags = head.uid + 100, .target_flags = "\\Seen", .batch_limit = 7};
    }
    std::string_view target_handle(std::size_t request) override { return request == 0 ? "zero" : "one"; }
    void stored(sent_message m, std::uint32_t validity, std::uint32_t uid) override {
        log.push_back(fmt::format("stored {}/{} as {}/{}", m.request, m.uid, validity, uid));
        kept.push_back(std::move(m));
    }
    void refused(std::vector<sent_message> batch, const error& why) override {
        std::string uids;
        for (const sent_message& m : batch) uids += fmt::format(" {}", m.uid);
        log.push_back(fmt::format("refused{}: {}", uids, why.what));
    }
    void missing(std::size_t request, const uid_set& uids, const std::optional<error>& why) override {
        log.push_back(fmt::format("missing {}/{} {}", request, uids.to_string(), why ? why->what : "-"));
    }
    void unavailable(std::size_t request, const error& why) override {
        log.push_back(fmt::format("unavailable {} {}", request, why.what));
    }
};

/// A coroutine that was started; `value` is there when it has ended.
template <class T> struct running {
    std::shared_ptr<std::optional<T>> value = std::make_shared<std::optional<T>>();
    [[nodiscard]] bool ended() const { return value->has_value(); }
    [[nodiscard]] T& operator*() const { return **value; }
    [[nodiscard]] T* operator->() const { return &**value; }
};

class pipeline_test : public testing::Test {
  protected:
    static constexpr std::uint64_t limit = 100, whole = 40;

    pipeline_test() : pipeline_test({.buffered_octets = limit, .whole_octets = whole}) {}
    explicit pipeline_test(pipeline_limits limits) : belt_(io_.get_executor(), limits, owner_) {}

    boost::asio::io_context io_{1};
    noting_owner owner_;
    pipeline belt_;
    std::uint64_t fed_ = 0, taken_ = 0, most_ = 0; ///< octets

    /// Everybody works until all wait for each other.
    void settle() {
        io_.restart();
        io_.poll();
    }
    template <class T> running<T> start(task<T> work) {
        running<T> r;
        boost::asio::co_spawn(io_, std::move(work), [value = r.value](std::exception_ptr thrown, T out) {
            if (thrown) std::rethrow_exception(thrown);
            value->emplace(std::move(out));
        });
        settle();
        return r;
    }

    task<result<void>> feed(std::uint32_t uid, std::string body, std::size_t chunk_octets, std::size_t announced = 0,
                            std::optional<mailbox::message_date> date = some_day) {
        if (auto ok = co_await belt_.begin({.request = uid / 1000,
                                            .uid = uid,
                                            .flags = {},
                                            .date = date,
                                            .octets = announced == 0 ? body.size() : announced});
            !ok)
            co_return ok;
        for (std::size_t at = 0; at < body.size(); at += chunk_octets) {
            const std::string_view piece = std::string_view(body).substr(at, chunk_octets);
            const auto block = std::make_shared<client::block>(piece.size());
            std::ranges::copy(piece, block->room().begin());
            fed_ += piece.size();
            most_ = std::max(most_, fed_ - taken_);
            if (auto ok = co_await belt_.chunk(block, block->filled(piece.size())); !ok) co_return ok;
        }
        if (announced > body.size()) co_return std::unexpected(trouble("cut"));
        co_return co_await belt_.end();
    }
    /// Feeds messages 1, 2, 3 ... and ends.
    task<result<void>> feed_all(std::vector<std::string> bodies, std::size_t chunk_octets) {
        std::uint32_t uid = 0;
        for (std::string& b : bodies)
            if (auto ok = co_await feed(++uid, std::move(b), chunk_octets); !ok) co_return ok;
        belt_.end_of_source({});
        co_return result<void>{};
    }
    task<std::optional<mailbox::append_item>> announce_next() {
        auto item = co_await belt_.next();
        if (item) belt_.announced();
        co_return item;
    }
    task<result<mailbox::chunk>> read() {
        auto c = co_await belt_.read();
        if (c) taken_ += c->octets.size();
        co_return c;
    }
    task<std::string> take_one() {
        const auto item = co_await announce_next();
        if (!item) co_return "end";
        std::string out = fmt::format("{} #{}: ", item->handle, item->token), body;
        while (body.size() < item->octets) {
            const auto c = co_await read();
            if (!c) co_return out + "broken: " + c.error().what;
            body += c->octets;
        }
        co_return out + body;
    }
    task<std::vector<std::string>> take_all() {
        std::vector<std::string> out;
        do out.push_back(co_await take_one());
        while (out.back() != "end" && out.back().find("broken") == std::string::npos);
        co_return out;
    }
    std::vector<std::uint32_t> unsettled_uids() const {
        std::vector<std::uint32_t> out;
        for (const sent_message& m : belt_.unsettled()) out.push_back(m.uid);
        std::ranges::sort(out);
        return out;
    }
};

TEST_F(pipeline_test, brings_messages_in_order) {
    const auto target = start(take_all());
    const auto source = start(feed_all({"one", "two", std::string(60, '3'), "four"}, 2));
    ASSERT_TRUE(source.ended());
    ASSERT_TRUE(target.ended());
    EXPECT_THAT(*target, ElementsAre("zero #1: one", "zero #2: two", "zero #3: " + std::string(60, '3'),
                                     "zero #4: four", "end"));
}

TEST_F(pipeline_test, tells_the_target_what_the_owner_decided) {
    const auto date = mailbox::message_date{.unix_seconds = 5, .zone_minutes = 60};
    (void)start(feed(1002, "x", 1, 0, date));
    const auto item = start(announce_next());
    ASSERT_TRUE(item.ended() && *item);
    EXPECT_EQ((*item)->handle, "one");
    EXPECT_EQ((*item)->folder, 1U);
    EXPECT_EQ((*item)->flags, "\\Seen");
    EXPECT_EQ((*item)->batch_limit, 7U);
    EXPECT_EQ((*item)->date, date);
    ASSERT_EQ(belt_.unsettled().size(), 1U);
    EXPECT_EQ(belt_.unsettled()[0].source_flags, 1102U);
    EXPECT_FALSE(belt_.unsettled()[0].date_from_header);
}

TEST_F(pipeline_test, leaves_out_what_the_owner_does_not_want) {
    owner_.unwanted = 2;
    const auto source = start(feed_all({"one", std::string(5000, '2'), "three"}, 10));
    ASSERT_TRUE(source.ended()) << "an unwanted message takes no room";
    EXPECT_THAT(*start(take_all()), ElementsAre("zero #1: one", "zero #2: three", "end"));
}

TEST_F(pipeline_test, a_small_message_is_offered_only_when_whole) {
    (void)start(belt_.begin({.request = 0, .uid = 1, .flags = {}, .date = some_day, .octets = whole}));
    const auto block = std::make_shared<client::block>(whole);
    std::ranges::fill(block->room(), 'x');
    (void)start(belt_.chunk(block, block->filled(whole)));
    EXPECT_FALSE(belt_.ready()) << "all octets are there, but not its end";
    (void)start(belt_.end());
    EXPECT_TRUE(belt_.ready());
    EXPECT_FALSE(belt_.chunk_ready()) << "next() comes first";
    (void)start(announce_next());
    EXPECT_TRUE(belt_.chunk_ready());
}

TEST_F(pipeline_test, a_big_message_is_offered_before_it_is_whole) {
    const auto source = start(feed(1, std::string(whole + 1, 'x'), whole, 1000));
    EXPECT_TRUE(belt_.ready());
    const auto target = start(take_one());
    EXPECT_EQ(taken_, whole + 1);
    EXPECT_FALSE(target.ended()) << "it waits for the rest";
}

TEST_F(pipeline_test, holds_the_source_back) {
    std::vector<std::string> bodies;
    for (std::size_t i = 0; i < 50; ++i) bodies.emplace_back(1 + i * 37 % whole, 'x');
    const auto source = start(feed_all(bodies, 9));
    EXPECT_FALSE(source.ended());
    EXPECT_GE(fed_, limit);
    EXPECT_LE(most_, limit + whole) << "a small message that has begun is gathered to its end";
    const auto target = start(take_all());
    ASSERT_TRUE(source.ended() && target.ended());
    EXPECT_EQ(target->size(), bodies.size() + 1);
    EXPECT_LE(most_, limit + whole);
}

TEST_F(pipeline_test, holds_the_source_back_within_a_big_message) {
    const auto source = start(feed(1, std::string(100'000, 'x'), 30));
    EXPECT_FALSE(source.ended());
    EXPECT_LE(most_, limit + 30);
    const auto item = start(announce_next());
    for (int reads = 0; reads < 1000; ++reads) {
        const auto c = start(read());
        ASSERT_TRUE(c.ended() && *c);
        ASSERT_LE(most_, limit + 30);
    }
    EXPECT_GE(fed_, 30'000U);
}

TEST_F(pipeline_test, a_source_that_breaks_in_a_small_message_costs_only_that_one) {
    (void)start(feed(1, "one", 3));
    (void)start(feed(2, "tw", 1, 3));
    belt_.end_of_source(trouble("reset by peer"));
    EXPECT_EQ(belt_.interrupted(), (std::pair<std::size_t, std::uint32_t>{0, 2}));
    EXPECT_THAT(*start(take_all()), ElementsAre("zero #1: one", "end"));
    EXPECT_FALSE(belt_.target_failure());
}

TEST_F(pipeline_test, a_source_that_breaks_in_a_big_message_tells_the_reader) {
    (void)start(feed(1, "one", 3));
    (void)start(feed(2, std::string(50, '2'), 25, 90));
    const auto target = start(take_all());
    EXPECT_FALSE(target.ended());
    belt_.end_of_source(trouble("reset by peer"));
    settle();
    ASSERT_TRUE(target.ended());
    EXPECT_THAT(*target, ElementsAre("zero #1: one", "zero #2: broken: reset by peer"));
    EXPECT_EQ(belt_.interrupted().second, 2U);
    EXPECT_THAT(unsettled_uids(), ElementsAre(1, 2));
}

TEST_F(pipeline_test, nobody_is_interrupted_between_messages) {
    (void)start(feed(1, "one", 3));
    belt_.end_of_source(trouble("reset by peer"));
    EXPECT_EQ(belt_.interrupted().second, 0U);
}

TEST_F(pipeline_test, a_message_counts_as_handed_over_when_it_is_announced) {
    (void)start(feed(1, "one", 3));
    (void)start(belt_.next());
    EXPECT_THAT(unsettled_uids(), IsEmpty());
    belt_.announced();
    EXPECT_THAT(unsettled_uids(), ElementsAre(1));
}

// A source may still say that what it sent is no message (the literal was whole, the rest of the answer never came).
TEST_F(pipeline_test, the_last_octets_wait_until_the_source_confirms_the_message) {
    (void)start(belt_.begin({.request = 0, .uid = 1, .flags = {}, .date = some_day, .octets = 60}));
    const auto target = start(take_one());
    for (int i = 0; i < 2; ++i) {
        const auto block = std::make_shared<client::block>(30);
        std::ranges::fill(block->room(), 'x');
        (void)start(belt_.chunk(block, block->filled(30)));
    }
    EXPECT_EQ(taken_, 30U);
    EXPECT_FALSE(belt_.chunk_ready());
    (void)start(belt_.end());
    EXPECT_EQ(taken_, 60U);
    EXPECT_TRUE(target.ended());
}

TEST_F(pipeline_test, the_first_end_counts) {
    (void)start(feed(1, std::string(50, '1'), 25, 90));
    belt_.end_of_source(trouble("first"));
    belt_.end_of_source(trouble("second"));
    EXPECT_THAT(*start(take_all()), ElementsAre("zero #1: broken: first"));
}

TEST_F(pipeline_test, a_dead_target_wakes_a_source_that_waits_for_room) {
    const auto big = start(feed(1, std::string(1000, 'x'), 50));
    EXPECT_FALSE(big.ended());
    belt_.abandon(trouble("target gone"));
    settle();
    ASSERT_TRUE(big.ended());
    ASSERT_FALSE(*big);
    EXPECT_EQ(big->error().what, "target gone");
    const auto next = start(feed(2, "x", 1));
    ASSERT_TRUE(next.ended());
    EXPECT_FALSE(*next) << "no message is begun any more";
}

TEST_F(pipeline_test, a_dead_target_wakes_a_source_that_waits_to_begin) {
    for (std::uint32_t uid = 1; uid <= 5; ++uid) (void)start(feed(uid, std::string(20, 'x'), 20));
    const auto sixth = start(feed(6, "x", 1));
    EXPECT_FALSE(sixth.ended());
    belt_.abandon(trouble("target gone"));
    settle();
    ASSERT_TRUE(sixth.ended());
    EXPECT_FALSE(*sixth);
}

TEST_F(pipeline_test, a_dead_target_is_told_the_end) {
    const auto waits = start(belt_.next());
    EXPECT_FALSE(waits.ended());
    belt_.abandon(trouble("target gone"));
    settle();
    ASSERT_TRUE(waits.ended());
    EXPECT_FALSE(*waits);
    EXPECT_EQ(belt_.target_failure()->what, "target gone");
}

TEST_F(pipeline_test, what_waits_is_not_handed_to_a_dead_target) {
    (void)start(feed(1, "one", 3));
    belt_.abandon(trouble("target gone"));
    const auto next = start(belt_.next());
    ASSERT_TRUE(next.ended());
    EXPECT_FALSE(*next);
    EXPECT_THAT(unsettled_uids(), IsEmpty()) << "it was never handed over";
}

TEST_F(pipeline_test, waiting_ends_with_a_message_or_with_patience) {
    const auto impatient = start(belt_.wait(0ms));
    settle();
    ASSERT_TRUE(impatient.ended());
    EXPECT_FALSE(*impatient);
    const auto patient = start(belt_.wait(1h));
    EXPECT_FALSE(patient.ended());
    (void)start(feed(1, "one", 3));
    ASSERT_TRUE(patient.ended());
    EXPECT_TRUE(*patient);
    (void)start(take_one());
    const auto at_the_end = start(belt_.wait(1h));
    belt_.end_of_source({});
    settle();
    ASSERT_TRUE(at_the_end.ended());
    EXPECT_TRUE(*at_the_end);
}

TEST_F(pipeline_test, the_digest_does_not_depend_on_the_chunking) {
    std::string body;
    for (int i = 0; i < 90; ++i) body += fmt::format("{}", i);
    std::uint64_t token = 0;
    for (const std::size_t octets : {std::size_t{20}, body.size()}) {
        for (std::size_t chunk = 1; chunk <= octets; ++chunk) {
            const auto source = start(feed(1, body.substr(0, octets), chunk));
            (void)start(take_one());
            ASSERT_TRUE(source.ended());
            ASSERT_EQ(belt_.unsettled().size(), 1U);
            ASSERT_EQ(belt_.unsettled()[0].digest, sha256::of(body.substr(0, octets))) << "in chunks of " << chunk;
            belt_.stored({++token}, 0, {});
        }
    }
}

TEST_F(pipeline_test, one_chunk_beyond_the_limit_does_not_stop_everything) {
    const auto target = start(take_all());
    const auto source = start(feed_all({std::string(limit + 1, 'x'), "two"}, 1000));
    ASSERT_TRUE(source.ended() && target.ended());
    EXPECT_EQ(target->size(), 3U);
}

class roomy_pipeline_test : public pipeline_test {
  protected:
    roomy_pipeline_test() : pipeline_test({.buffered_octets = 1'000, .whole_octets = whole}) {}
};

TEST_F(roomy_pipeline_test, a_date_comes_from_the_header_whatever_the_chunking) {
    const std::string head = "Subject: s\r\nReceived: from a by b; Mon, 01 Jan 2001 10:00:00 +0100\r\nDate: Tue, 2 Jan "
                             "2001 10:00:00 +0000\r\n\r\n";
    for (const std::string& body : {head, head + std::string(60, 'x'), std::string(30, 'x') + head}) {
        for (std::size_t chunk = 1; chunk <= body.size(); ++chunk) {
            const auto source = start(feed(1, body, chunk, 0, {}));
            const auto item = start(announce_next());
            ASSERT_TRUE(item.ended() && *item);
            if (body.starts_with("Subject")) {
                ASSERT_TRUE((*item)->date) << "in chunks of " << chunk;
                EXPECT_EQ((*item)->date->unix_seconds, 978'339'600);
                EXPECT_EQ((*item)->date->zone_minutes, 60);
                EXPECT_TRUE(belt_.unsettled()[0].date_from_header);
            }
            while (taken_ < fed_) {
                const auto c = start(read());
                ASSERT_TRUE(c.ended() && *c);
            }
            belt_.stored({(*item)->token}, 0, {});
            ASSERT_TRUE(source.ended());
        }
    }
}

TEST_F(pipeline_test, a_message_without_any_date_has_none) {
    (void)start(feed(1, "\r\nno header", 100, 0, {}));
    const auto item = start(announce_next());
    ASSERT_TRUE(item.ended() && *item);
    EXPECT_FALSE((*item)->date);
    EXPECT_FALSE(belt_.unsettled()[0].date_from_header);
}

TEST_F(pipeline_test, answers_settle_messages) {
    (void)start(feed_all({"one", "two", "three", "four", "five"}, 9));
    (void)start(take_all());
    EXPECT_THAT(unsettled_uids(), ElementsAre(1, 2, 3, 4, 5));
    belt_.stored({2, 1}, 77, {502, 501});
    belt_.refused({3}, trouble("too long"));
    belt_.stored({4}, 0, {});
    EXPECT_THAT(owner_.log, ElementsAre("stored 0/2 as 77/502", "stored 0/1 as 77/501", "refused 3: too long",
                                        "stored 0/4 as 0/0"));
    EXPECT_EQ(owner_.kept[0].digest, sha256::of("two"));
    EXPECT_THAT(unsettled_uids(), ElementsAre(5));
    belt_.stored({1}, 77, {9});
    belt_.refused({1, 2}, trouble("again"));
    EXPECT_EQ(owner_.log.size(), 4U) << "what is settled stays settled";
}

TEST_F(pipeline_test, passes_on_what_the_source_could_not_bring) {
    belt_.missing(1, uid_set::of(3, 4), std::nullopt);
    belt_.unavailable(0, trouble("gone"));
    EXPECT_THAT(owner_.log, ElementsAre("missing 1/3:4 -", "unavailable 0 gone"));
}

TEST_F(pipeline_test, an_empty_message_is_a_message) {
    (void)start(feed_all({"", "two"}, 1));
    EXPECT_THAT(*start(take_all()), ElementsAre("zero #1: ", "zero #2: two", "end"));
}

} // namespace
} // namespace postferry::transfer

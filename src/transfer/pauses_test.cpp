#include "transfer/pauses.hpp"

#include <gtest/gtest.h>

namespace postferry::transfer {
namespace {

using namespace std::chrono_literals;

error throttled(std::uint32_t backoff_ms = 0) {
    error e = fail(retry_class::throttled, phase::fetch, "slow down").error();
    e.backoff_ms = backoff_ms;
    return e;
}

TEST(patience, doubles_from_50_ms_to_16_s) {
    patience p;
    std::chrono::milliseconds expected = 50ms;
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(p.next(throttled(), false), expected);
        expected = std::min<std::chrono::milliseconds>(expected * 2, 16s);
    }
}

TEST(patience, begins_anew_when_something_was_brought) {
    patience p;
    for (int i = 0; i < 5; ++i) (void)p.next(throttled(), false);
    EXPECT_EQ(p.waited(), 50ms + 100ms + 200ms + 400ms + 800ms);
    EXPECT_EQ(p.next(throttled(), true), 50ms);
    EXPECT_EQ(p.waited(), 50ms);
}

TEST(patience, the_time_that_a_server_names_is_taken_as_it_is) {
    patience p;
    EXPECT_EQ(p.next(throttled(299'609), false), 299'609ms);
    EXPECT_EQ(p.next(throttled(299'609), false), 299'609ms);
    EXPECT_EQ(p.next(throttled(10), false), 10ms);
    EXPECT_FALSE(p.exhausted());
    EXPECT_EQ(p.next(throttled(86'400'000), true), 24h);
    EXPECT_FALSE(p.exhausted()) << "a budget returns after a day";
    (void)p.next(throttled(86'400'000), false);
    EXPECT_TRUE(p.exhausted());
}

TEST(pauses, names_and_moments) {
    EXPECT_EQ(host_of("imaps://alice@old.example.org"), "old.example.org");
    EXPECT_EQ(host_of("imap://alice%40x@old.example.org:1143"), "old.example.org");
    EXPECT_EQ(host_of("pop3s://a@b@[::1]:995"), "[::1]");
    EXPECT_EQ(host_of("lmtp://host:24"), "host");
    EXPECT_EQ(host_of("maildir:/srv/mail"), "maildir:/srv/mail");
    constexpr std::int64_t noon = 1'709'208'000; // 2024-02-29T12:00:00Z
    EXPECT_EQ(moment_text(noon + 3'785, noon), "13:03:05 UTC");
    EXPECT_EQ(moment_text(noon + 43'200, noon), "2024-03-01 00:00:00 UTC");
    EXPECT_EQ(throttled_text({.times = 1, .seconds = 0, .by = "old", .reason = "NO slow", .until_unix = noon}, noon),
              "throttled by old until 12:00:00 UTC: NO slow");
}

} // namespace
} // namespace postferry::transfer

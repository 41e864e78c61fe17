#include "app/outage_teller.hpp"

#include <gtest/gtest.h>

namespace postferry::app {
namespace {

TEST(outage_teller, tells_of_the_beginning_and_of_the_end_once_each) {
    outage_teller teller;
    const auto look = [&](const std::optional<store::outage>& current, store::unix_ms now) {
        const auto line = teller.look(current, "store x", now);
        return line ? (line->over ? "over: " : "") + line->text : "";
    };
    EXPECT_EQ(look({}, 1'000), "");
    EXPECT_EQ(look(store::outage{.since = 1'500, .what = ""}, 2'000), "") << "the reason is not known yet";
    const store::outage known{.since = 1'500, .what = "the server is gone"};
    EXPECT_EQ(look(known, 3'000), "store x does not answer: the server is gone. What is under way waits for it");
    EXPECT_EQ(look(known, 4'000), "");
    EXPECT_EQ(look({}, 43'600), "over: store x answers again, after 42 s");
    EXPECT_EQ(look({}, 44'000), "");
    EXPECT_EQ(look(store::outage{.since = 50'000, .what = ""}, 50'100), "");
    EXPECT_EQ(look({}, 51'000), "") << "too short to be told of";
    EXPECT_NE(look(store::outage{.since = 60'000, .what = "again"}, 61'000), "");
}

} // namespace
} // namespace postferry::app

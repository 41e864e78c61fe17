#include "http/message.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::http {
namespace {

using testing::ElementsAre;
using testing::Optional;
using testing::Pair;

TEST(http_path, is_split_and_decoded) {
    EXPECT_THAT(parse_path("/api/v1/domains/b%C3%BCro.example"),
                Optional(ElementsAre("api", "v1", "domains", "b\xC3\xBCro.example")));
    EXPECT_THAT(parse_path("/"), Optional(ElementsAre()));
    EXPECT_THAT(parse_path("/batches/"), Optional(ElementsAre("batches")));
}

TEST(http_path, that_leaves_its_place_is_refused) {
    for (const char* bad :
         {"", "api", "//", "/a//b", "/../etc", "/a/%2e%2e/b", "/a%2Fb", "/a%00b", "/a%0Ab", "/%", "/%4", "/%zz", "*"})
        EXPECT_EQ(parse_path(bad), std::nullopt) << bad;
    std::string deep;
    for (int i = 0; i < 33; ++i) deep += "/x";
    EXPECT_EQ(parse_path(deep), std::nullopt);
}

TEST(http_query, is_split_and_decoded) {
    EXPECT_THAT(parse_query("state=failed&q=a+b%26c&flag&=x"),
                Optional(ElementsAre(Pair("state", "failed"), Pair("q", "a b&c"), Pair("flag", ""), Pair("", "x"))));
    EXPECT_THAT(parse_query(""), Optional(ElementsAre()));
    EXPECT_EQ(parse_query("a=%"), std::nullopt);
    std::string many = "a";
    for (int i = 0; i < 64; ++i) many += "&a";
    EXPECT_EQ(parse_query(many), std::nullopt);
}

TEST(http_message, an_ipv6_address_counts_with_its_network) {
    EXPECT_EQ(network_of("192.0.2.1"), "192.0.2.1");
    EXPECT_EQ(network_of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
    EXPECT_EQ(network_of("unix"), "unix");
}

} // namespace
} // namespace postferry::http

#include "api/router.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::api {
namespace {

using http::method;
using testing::ElementsAre;

class api_router : public testing::Test {
  protected:
    api_router() {
        router_.add({.verb = method::get, .pattern = "/batches"});
        router_.add({.verb = method::post, .pattern = "/batches"});
        router_.add({.verb = method::get, .pattern = "/batches/{batch}"});
        router_.add({.verb = method::get, .pattern = "/batches/summary"});
        router_.add({.verb = method::post, .pattern = "/batches/{batch}/start"});
    }
    router::match find(method verb, std::vector<std::string> path) const { return router_.find(verb, path); }
    router router_;
};

TEST_F(api_router, finds_routes_and_their_parameters) {
    const auto one = find(method::get, {"batches", "12"});
    ASSERT_NE(one.to, nullptr);
    EXPECT_EQ(one.to->pattern, "/batches/{batch}");
    EXPECT_THAT(one.parameters, ElementsAre("12"));
    EXPECT_EQ(find(method::head, {"batches"}).to->pattern, "/batches");
    EXPECT_EQ(find(method::post, {"batches", "3", "start"}).to->pattern, "/batches/{batch}/start");
}

TEST_F(api_router, a_word_goes_before_a_parameter) {
    EXPECT_EQ(find(method::get, {"batches", "summary"}).to->pattern, "/batches/summary");
}

TEST_F(api_router, says_what_else_could_be_asked) {
    const auto wrong = find(method::del, {"batches"});
    EXPECT_EQ(wrong.to, nullptr);
    EXPECT_EQ(wrong.allowed, "GET, POST");
    EXPECT_EQ(find(method::get, {"nowhere"}).allowed, "");
    EXPECT_EQ(find(method::get, {"batches", "1", "2", "3"}).to, nullptr);
    EXPECT_EQ(find(method::get, {}).to, nullptr);
}

} // namespace
} // namespace postferry::api

// What those who count are told: patterns, never paths; streams for as long as they run; and who may read the numbers.
#include "api/test_client.hpp"
#include "api/watch.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <mutex>

namespace postferry::api {
namespace {

using http::method;
using testing::ElementsAre;

class tally final : public watch {
  public:
    void on_answer(const answered& what) noexcept override {
        said.push_back(fmt::format("{} {} {}", http::name_of(what.verb), what.route, what.status));
    }
    void on_stream(std::string_view route, int change) noexcept override {
        streams.push_back(fmt::format("{} {:+}", route, change));
    }
    task<std::string> exposition() override { co_return "a_number 1\n"; }
    std::vector<std::string> said, streams;
};

class api_watch : public api_test {
  protected:
    void begin(bool open) {
        service_ = std::make_unique<service>(
            parts{.db = *db_, .hashing = directory::hash_pool::shared(), .counts = &counts_, .open_metrics = open});
    }
    unsigned metrics(http::field_list fields = {}) {
        return ask({.target = "/metrics", .fields = std::move(fields), .whole = true}).status;
    }
    tally counts_;
};

TEST_F(api_watch, is_told_patterns_and_never_paths) {
    begin(false);
    as_root(method::get, "/users/4711");
    ask({.target = "/users/4711"});
    ask({.target = "/secret-word", .whole = true});
    ask({.target = "/secret/word", .whole = true});
    ask({.target = "/r/secret-token", .whole = true});
    ask({.target = "/first-owner/secret-token", .whole = true});
    ask({.target = "/healthz", .whole = true});
    as_root(method::put, "/users/4711");
    EXPECT_THAT(counts_.said, ElementsAre("GET /api/v1/users/{user} 404", "GET /api/v1/users/{user} 401",
                                          "GET other 404", "GET other 404", "GET /r/{token} 404",
                                          "GET /first-owner/{token} 404", "GET /healthz 200", "PUT other 405"));
}

TEST_F(api_watch, sees_a_stream_come_and_go) {
    begin(false);
    ask({.target = "/events/stream", .from = {.address = "unix", .uid = 0}});
    EXPECT_THAT(counts_.streams, ElementsAre("/api/v1/events/stream +1", "/api/v1/events/stream -1"));
}

TEST_F(api_watch, lets_those_read_the_numbers_who_may_read) {
    begin(false);
    EXPECT_EQ(metrics(), 401U);
    EXPECT_EQ(metrics({{"Authorization", "Bearer pf_nonsense"}}), 401U);
    EXPECT_EQ(metrics({{"Authorization", "Bearer " + token_of("viewer")}}), 200U);
    const auto local = ask({.target = "/metrics", .from = {.address = "unix", .uid = 0}, .whole = true});
    EXPECT_EQ(local.text, "a_number 1\n");
    EXPECT_EQ(ask({.verb = method::post, .target = "/metrics", .whole = true}).status, 404U);
    begin(true);
    EXPECT_EQ(metrics(), 200U);
}

TEST_F(api_watch, is_not_missed) { EXPECT_EQ(metrics(), 404U) << "nobody counts, so there are no numbers"; }

} // namespace
} // namespace postferry::api

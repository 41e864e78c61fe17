// `batch watch` against a service (http::server) whose stream comes late.
#include "app/noun_actions.hpp"
#include "app/noun_context.hpp"
#include "http/server.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>
#include <unistd.h>

namespace postferry::app {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using testing::HasSubstr;

constexpr std::string_view at_rest =
    R"({"id":1,"name":"spring","state":"synced","mailboxes":1,"mailbox_states":{"synced":1}})";
constexpr std::string_view last_event = R"({"id":2,"at":"2026-01-01T00:00:00Z","kind":"mailbox.state","mailbox":9,)"
                                        R"("before":"copying","after":"synced"})";

class batch_watch : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "pf-watch-XXXXXX";
        folder_ = mkdtemp(pattern.data());
        auto made = http::server::listen(io_.get_executor(),
                                         {.socket = folder_ / "s", .limits = {.farewell = std::chrono::seconds(1)}},
                                         [this](http::exchange& x) { return answer(x); });
        ASSERT_TRUE(made) << made.error().message();
        server_ = std::move(*made);
        server_->start();
        thread_ = std::jthread([this] { io_.run(); });
    }
    void TearDown() override {
        asio::co_spawn(io_, server_->stop(), asio::use_future).get();
        work_.reset();
        thread_.join();
        std::filesystem::remove_all(folder_);
    }

    task<http::reply> answer(http::exchange& x) {
        const std::string path(x.raw_path());
        if (path == "/api/v1/batches/1") co_return http::reply{.body = std::string(at_rest)};
        if (path == "/api/v1/mailboxes/9") co_return http::reply{.body = R"({"id":9,"source_user":"anna"})"};
        // Before it watches there is one event; when the batch is at rest there are two.
        if (path == "/api/v1/batches/1/events")
            co_return http::reply{.body = fmt::format(R"({{"items":[{{"id":{}}}]}})", ++asked_for_newest_)};
        if (path == "/api/v1/events/stream")
            co_return http::reply{.type = "text/event-stream",
                                  .body = http::body_maker([this](http::body_sink& out) { return late(out); })};
        co_return http::reply{.status = 404, .type = "application/problem+json", .body = "{}"};
    }

    task<> late(http::body_sink& out) {
        co_await out.write("retry: 2000\n\n");
        asio::steady_timer timer(co_await asio::this_coro::executor);
        while (asked_for_newest_ < 2 && !out.stopping()) {
            timer.expires_after(std::chrono::milliseconds(1));
            co_await timer.async_wait(asio::use_awaitable);
        }
        co_await out.write(fmt::format("id: 2\nevent: mailbox.state\ndata: {}\n\n", last_event));
        while (!out.stopping() && co_await out.write(": still here\n\n")) {
            timer.expires_after(std::chrono::milliseconds(20));
            co_await timer.async_wait(asio::use_awaitable);
        }
    }

    std::filesystem::path folder_;
    std::atomic<int> asked_for_newest_ = 0;
    asio::io_context io_;
    asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
    std::unique_ptr<http::server> server_;
    std::jthread thread_;
};

TEST_F(batch_watch, what_has_happened_is_told_before_the_end) {
    remote api({.socket = folder_ / "s"});
    const noun_words words{};
    noun_context c(words, api);
    testing::internal::CaptureStdout();
    const auto code = watch_batch(c, json::parse(at_rest).as_object());
    std::fflush(stdout);
    const std::string said = testing::internal::GetCapturedStdout();
    ASSERT_TRUE(code) << code.error().message();
    EXPECT_EQ(*code, 0);
    EXPECT_THAT(said, HasSubstr("anna: copying -> synced\nspring (batch 1): synced"));
}

} // namespace
} // namespace postferry::app

#include "app/remote_follow.hpp"

#include "app/remote_values.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

namespace postferry::app {

namespace json = boost::json;

namespace {

constexpr std::chrono::seconds pause_before_again{2};
constexpr std::chrono::seconds silence{60}; ///< a comment comes every 15 seconds

std::string side_of(const json::object& event, std::string_view name) {
    const std::string state = text_at(event, name);
    return state.empty() && !object_at(event, name).empty() ? std::string("{...}") : state;
}

} // namespace

void remote_feed::start(std::function<void(const sse_event&)> take) {
    take_ = std::move(take);
    // Nothing throws in run() but its being cancelled.
    boost::asio::co_spawn(ex_, run(),
                          boost::asio::bind_cancellation_slot(stop_.slot(), [this](const std::exception_ptr&) {
                              session_.close();
                              ended_ = true;
                          }));
}

task<> remote_feed::run() {
    auto heard = std::chrono::steady_clock::now();
    for (;;) {
        sse_reader reader([this](sse_event e) {
            if (!e.id.empty()) after_ = e.id;
            take_(e);
        });
        auto ended = co_await session_.fetch({.target = target_, .last_event_id = after_, .patience = silence},
                                             [&](std::string_view octets) -> result<void> {
                                                 heard = std::chrono::steady_clock::now();
                                                 reader.put(octets);
                                                 return {};
                                             });
        session_.close();
        const bool refused = !ended && is_answer(ended.error()) && !ended.error().response_code.starts_with('5');
        if (refused || std::chrono::steady_clock::now() - heard > patience) {
            failed_ = ended ? error{.what = "the service ends the stream of events again and again",
                                    .server_said = {},
                                    .advice = {},
                                    .response_code = {}}
                            : std::move(ended.error());
            co_return;
        }
        boost::asio::steady_timer timer(ex_, pause_before_again);
        co_await timer.async_wait(boost::asio::use_awaitable);
    }
}

std::string event_line(const json::object& event, std::string_view who) {
    std::string out = fmt::format("{} ", moment_at(event, "at", true));
    const std::string kind = text_at(event, "kind"), before = side_of(event, "before"), after = side_of(event, "after");
    const json::object& detail = object_at(event, "detail");
    if (kind.ends_with(".state"))
        out += fmt::format("{}: {} -> {}", who, before, after);
    else
        out += fmt::format("{}: {} by {}", who, kind, text_at(event, "actor"));
    if (const std::string reason = text_at(detail, "reason"); !reason.empty()) out += fmt::format(": {}", reason);
    return out + "\n";
}

} // namespace postferry::app

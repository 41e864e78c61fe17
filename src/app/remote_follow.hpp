#pragma once
#include "app/remote.hpp"
#include "app/sse_reader.hpp"

#include <boost/asio/cancellation_signal.hpp>

#include <functional>
#include <optional>
#include <string>

namespace postferry::app {

/// The service's stream of events. Taken up again behind the last one when the connection is lost, for `patience`;
/// then, or when the service refuses, it has failed. One thread; lives until it has ended.
class remote_feed {
  public:
    remote_feed(executor ex, remote_place place, std::string target, std::string after = {})
        : ex_(ex), session_(std::move(ex), std::move(place)), target_(std::move(target)), after_(std::move(after)) {}
    /// Once. `take` is called for each event.
    void start(std::function<void(const sse_event&)> take);
    void stop() { stop_.emit(boost::asio::cancellation_type::terminal); }
    [[nodiscard]] const std::optional<error>& failed() const noexcept { return failed_; }
    [[nodiscard]] bool ended() const noexcept { return ended_; } ///< nothing of it runs any more

  private:
    task<> run();

    static constexpr std::chrono::minutes patience{5};

    executor ex_;
    remote_session session_;
    std::string target_, after_;
    std::function<void(const sse_event&)> take_;
    boost::asio::cancellation_signal stop_;
    std::optional<error> failed_;
    bool ended_ = false;
};

/// "18:00:05 alice: queued -> copying, because ..." for people; with its line end.
[[nodiscard]] std::string event_line(const boost::json::object& event, std::string_view who);

} // namespace postferry::app

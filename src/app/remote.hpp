#pragma once
// The client of the service's HTTP API (src/api/openapi.yaml).
#include "app/remote_line.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/json.hpp>

#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postferry::app {

struct remote_request {
    std::string_view verb = "GET";
    std::string target; ///< below /api/v1, with its query: "/batches?limit=5"
    std::optional<boost::json::value> body = {};
    std::filesystem::path upload = {}; ///< instead of `body`: this file, as it is
    std::string_view type = "application/json";
    std::string if_match = {};      ///< an ETag
    std::string last_event_id = {}; ///< of a stream that is taken up again
    /// Further header fields; names and values without line ends.
    std::vector<std::pair<std::string_view, secret>> fields = {};
    /// A POST bears an Idempotency-Key and is asked again when the connection is lost; not where its answer holds a
    /// secret, which the service does not remember.
    bool may_repeat = true;
    std::chrono::seconds patience{60}; ///< for the answer to begin, and for more of it to come
};

struct remote_reply {
    unsigned status = 0;
    std::string type, etag, location;
    std::string text;        ///< empty where it went to a sink
    boost::json::value json; ///< null where the reply is none
};

/// Takes a body as it comes. An error ends the transfer, and comes out there.
using octet_sink = std::function<result<void>(std::string_view)>;

/// The service itself has said so: response_code is its status.
[[nodiscard]] inline bool is_answer(const error& e) noexcept {
    return !e.response_code.empty() && e.response_code.front() >= '1' && e.response_code.front() <= '9';
}

/// One kept connection, made when it is needed and again when it was lost. One request at a time.
///
/// Errors. Of the way there (phases resolve to fetch): as remote_line; the answer is no HTTP, or no JSON where it says
/// so (protocol). Of the service: response_code is the status ("404"); the phase is login for what this caller may not
/// do or the service cannot do now (401, 403, 429, 5xx: exit code 3), usage for all else (exit code 2); `what` has the
/// service's detail and a line for each field that was wrong.
class remote_session {
  public:
    static constexpr std::size_t longest_answer = 32U << 20U; ///< octets of an answer that is kept whole

    remote_session(executor ex, remote_place place) : ex_(std::move(ex)), place_(std::move(place)) {}

    /// A reply of 2xx.
    task<result<remote_reply>> ask(remote_request r);
    /// The same, with its body handed to `to` piece by piece, without a bound.
    task<result<remote_reply>> fetch(remote_request r, octet_sink to);
    void close() noexcept { line_.reset(); }
    [[nodiscard]] const remote_place& place() const noexcept { return place_; }

  private:
    struct attempt;
    task<result<remote_reply>> try_once(attempt& now);
    task<result<void>> send(attempt& now);

    executor ex_;
    remote_place place_;
    std::unique_ptr<remote_line> line_;
};

/// For commands that do one thing after the other: waits for each answer. One thread.
class remote {
  public:
    explicit remote(remote_place place) : session_(io_.get_executor(), std::move(place)) {}

    [[nodiscard]] result<remote_reply> ask(remote_request r) { return wait(session_.ask(std::move(r))); }
    [[nodiscard]] result<remote_reply> get(std::string target) { return ask({.target = std::move(target)}); }
    [[nodiscard]] result<remote_reply> fetch(remote_request r, octet_sink to) {
        return wait(session_.fetch(std::move(r), std::move(to)));
    }
    /// Goes through a collection page by page until it ends or `each` says false.
    /// @param target without limit= and cursor=
    [[nodiscard]] result<void> walk(const std::string& target,
                                    const std::function<bool(const boost::json::object&)>& each);
    /// Reads a thing, makes `change` of it, and sends that as a PATCH (or a DELETE, where it is none) of what was read;
    /// again when somebody changed it in between.
    [[nodiscard]] result<remote_reply>
    edit(const std::string& target,
         const std::function<std::optional<boost::json::object>(const boost::json::object& now)>& change);

    [[nodiscard]] const remote_place& place() const noexcept { return session_.place(); }
    [[nodiscard]] boost::asio::io_context& io() noexcept { return io_; }
    /// Until `work` is done; a kept connection may go on waiting behind it for the server's farewell.
    template <class T> T wait(task<T> work) {
        io_.restart();
        auto outcome = boost::asio::co_spawn(io_, std::move(work), boost::asio::use_future);
        while (outcome.wait_for(std::chrono::seconds(0)) != std::future_status::ready && io_.run_one() > 0) {
        }
        return outcome.get();
    }

  private:
    boost::asio::io_context io_{1};
    remote_session session_;
};

/// A word within a path or a query: percent-encoded but for letters, digits and - . _ ~ (RFC 3986, section 2.3).
[[nodiscard]] std::string url_word(std::string_view text);

} // namespace postferry::app

#include "net/detail/happy_eyeballs.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

namespace asio = boost::asio;
using asio::ip::tcp;

namespace postferry::net::detail {

namespace {

struct attempt {
    attempt(const executor& ex, tcp::endpoint to) : socket(ex), address(std::move(to)) {}
    tcp::socket socket;
    tcp::endpoint address;
    std::optional<boost::system::error_code> outcome;
};

/// The attempts under way. Handlers keep it alive and wake the coroutine by cancelling `news`.
struct race : std::enable_shared_from_this<race> {
    explicit race(const executor& ex) : news(ex) {}
    asio::steady_timer news;
    std::vector<std::unique_ptr<attempt>> attempts;

    void start(const executor& ex, const tcp::endpoint& to) {
        attempts.push_back(std::make_unique<attempt>(ex, to));
        attempt* a = attempts.back().get();
        a->socket.async_connect(to, [self = shared_from_this(), a](const boost::system::error_code& ec) {
            a->outcome = ec;
            self->news.cancel();
        });
    }

    [[nodiscard]] attempt* winner() const {
        const auto found = std::ranges::find_if(attempts, [](const auto& a) { return a->outcome && !*a->outcome; });
        return found == attempts.end() ? nullptr : found->get();
    }

    [[nodiscard]] bool any_open() const {
        return std::ranges::any_of(attempts, [](const auto& a) { return !a->outcome; });
    }

    void stop() {
        boost::system::error_code ignored;
        for (const auto& a : attempts) a->socket.close(ignored);
    }
};

std::string show(const tcp::endpoint& e) {
    return e.address().is_v6() ? fmt::format("[{}]:{}", e.address().to_string(), e.port())
                               : fmt::format("{}:{}", e.address().to_string(), e.port());
}

error explain(const endpoint& where, const race& r, const std::string& late) {
    std::string tried;
    bool all_refused = late.empty();
    for (const auto& a : r.attempts) {
        const bool failed = a->outcome && *a->outcome;
        if (!tried.empty()) tried += "; ";
        tried += fmt::format("{}: {}", show(a->address), failed ? a->outcome->message() : late);
        all_refused = all_refused && failed && *a->outcome == asio::error::connection_refused;
    }
    const std::string what =
        fmt::format("cannot connect to {} port {} ({})", quote_server_text(where.host), where.port, tried);
    if (all_refused)
        return fail(retry_class::config, phase::connect, what, "Check host and port, and whether the server is running")
            .error();
    return fail(retry_class::transient, phase::connect, what).error();
}

} // namespace

address_list interleave(const address_list& addresses) {
    if (addresses.empty()) return {};
    address_list first, second, out;
    const bool v6 = addresses.front().address().is_v6();
    for (const tcp::endpoint& e : addresses) (e.address().is_v6() == v6 ? first : second).push_back(e);
    for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
        if (i < first.size()) out.push_back(first[i]);
        if (i < second.size()) out.push_back(second[i]);
    }
    return out;
}

task<result<tcp::socket>> connect_first(executor ex, endpoint where, address_list addresses, deadline until) {
    const address_list order = interleave(addresses);
    const auto r = std::make_shared<race>(ex);
    const auto since = deadline::clock::now();
    std::size_t next = 0;
    for (;;) {
        if (next < order.size()) r->start(ex, order[next++]);
        const bool more = next < order.size();
        r->news.expires_at(more ? until.sooner(attempt_delay).when() : until.when());
        // News: somebody won, somebody failed (then the next one starts at once), or it is time for the next.
        if (r->winner() == nullptr && r->any_open()) co_await r->news.async_wait(asio::as_tuple(asio::use_awaitable));
        if (attempt* won = r->winner()) {
            tcp::socket socket = std::move(won->socket);
            r->stop();
            co_return socket;
        }
        const auto cancelled = (co_await asio::this_coro::cancellation_state).cancelled();
        if (cancelled != asio::cancellation_type::none) {
            r->stop();
            co_return fail(retry_class::cancelled, phase::connect, "connecting was stopped");
        }
        const bool late = until.passed();
        if (late || (!more && !r->any_open())) {
            const double waited = std::chrono::duration<double>(deadline::clock::now() - since).count();
            error why = explain(where, *r, late ? fmt::format("no answer for {:.3g} s", waited) : std::string());
            r->stop();
            co_return std::unexpected(std::move(why));
        }
    }
}

} // namespace postferry::net::detail

#include "app/server_probe.hpp"

#include "base/deadline.hpp"
#include "net/connection.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <chrono>

namespace postferry::app {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds patience{10};

task<result<void>> greet(executor ex, mailbox::endpoint where) {
    const deadline until = deadline::in(patience);
    auto line = co_await net::connection::open(std::move(ex), where.where, where.tls, until);
    if (!line) co_return std::unexpected(std::move(line.error()));
    std::array<char, 512> greeting;
    auto said = co_await (*line)->read_some(greeting, until);
    if (!said) co_return std::unexpected(std::move(said.error()));
    if (*said == 0)
        co_return fail(retry_class::transient, phase::connect, "the server hung up without a word",
                       "Does it let this machine in?");
    co_return result<void>{};
}

} // namespace

task<result<void>> ask_server(mailbox::endpoint where) {
    if (mailbox::is_local(where.kind)) co_return result<void>{};
    const executor own = asio::make_strand(co_await asio::this_coro::executor);
    co_return co_await asio::co_spawn(own, greet(own, std::move(where)), asio::use_awaitable);
}

} // namespace postferry::app

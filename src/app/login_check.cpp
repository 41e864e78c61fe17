#include "app/login_check.hpp"

#include "app/connect.hpp"
#include "net/with_deadline.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace postferry::app {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds longest{25}, goodbye{2};

/// Answers when the login is through; the rest is politeness.
task<result<bool>> log_in(mailbox::endpoint where) {
    auto opened = co_await open_source(std::move(where), {.share = shares_for(1, longest)});
    if (!opened) co_return std::unexpected(std::move(opened.error()));
    const std::unique_ptr<mailbox::source> box = std::move(*opened);
    co_await net::with_deadline<int>(
        [](mailbox::source& of) -> task<int> {
            co_await of.leave();
            co_return 0;
        }(*box),
        deadline::in(goodbye));
    box->close();
    co_return true;
}

} // namespace

task<result<bool>> server_login_check::lets_in(store::migration who, secret password) {
    auto where = mailbox::parse_endpoint(who.source_url, who.source_user);
    if (!where) co_return std::unexpected(std::move(where.error()));
    where->user = who.source_user;
    where->password = std::move(password);
    // A mailbox's objects want one strand.
    auto answer =
        co_await asio::co_spawn(asio::make_strand(on_.ex),
                                net::with_deadline<bool>(log_in(std::move(*where)), deadline::in(longest + goodbye),
                                                         phase::login, "the server has not answered in time"),
                                asio::use_awaitable);
    if (!answer && answer.error().cls == retry_class::auth) co_return false;
    co_return answer;
}

} // namespace postferry::app

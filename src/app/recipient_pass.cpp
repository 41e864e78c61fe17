#include "app/recipient_pass.hpp"

#include "net/with_deadline.hpp"
#include "transfer/recipient_search.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace postferry::app {

namespace {

constexpr std::chrono::minutes longest{10};
/// Over POP3 a header costs a round trip in a row of others, and where TOP is not offered the whole message.
constexpr std::size_t most_by_pop3 = 500;

using found = result<message::recipients_found>;

task<found> search(std::shared_ptr<pass_assembly> made, executor strand, message::recipient_wish wish) {
    const transfer::pass_environment env = made->environment(strand);
    const auto room = co_await env.admit();
    if (!room) co_return std::unexpected(room.error());
    auto from = co_await env.open_source();
    if (!from) co_return std::unexpected(std::move(from.error()));
    transfer::recipient_limits limits;
    const auto kind = made->from().kind;
    if (kind == mailbox::scheme::pop3 || kind == mailbox::scheme::pop3s) limits.of_inbox = most_by_pop3;
    auto out = co_await transfer::find_recipients(**from, std::move(wish), limits);
    if (out && (*from)->leaves_by_itself())
        env.see_off(std::move(*from));
    else if (out)
        co_await (*from)->leave();
    else
        (*from)->close();
    co_return out;
}

} // namespace

task<found> search_recipients(std::shared_ptr<pass_assembly> made, executor strand, message::recipient_wish wish,
                              std::stop_token stop) {
    struct at_work {
        boost::asio::cancellation_signal cancel;
        bool over = false;
    };
    // What the token says on whatever thread reaches the search on its strand, unless it comes too late.
    const auto work = std::make_shared<at_work>();
    const std::stop_callback stopper(stop, [strand, work] {
        boost::asio::post(strand, [work] {
            if (!work->over) work->cancel.emit(boost::asio::cancellation_type::terminal);
        });
    });
    auto done = net::with_deadline(search(std::move(made), strand, std::move(wish)), deadline::in(longest),
                                   phase::fetch, "The search took longer than ten minutes");
    auto [thrown, value] = co_await boost::asio::co_spawn(
        strand, std::move(done),
        boost::asio::bind_cancellation_slot(work->cancel.slot(), boost::asio::as_tuple(boost::asio::use_awaitable)));
    work->over = true;
    if (stop.stop_requested()) co_return fail(retry_class::cancelled, phase::fetch, "Stopped on request");
    if (thrown) std::rethrow_exception(thrown);
    co_return std::move(value);
}

} // namespace postferry::app

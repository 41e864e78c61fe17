#include "net/connection.hpp"

#include "net/detail/happy_eyeballs.hpp"
#include "net/detail/resolver.hpp"
#include "net/detail/tcp_connection.hpp"

#include <boost/asio/use_awaitable.hpp>

namespace postferry::net {

task<result<std::unique_ptr<connection>>> connection::open(executor ex, endpoint where, const tls_settings& tls,
                                                           deadline until) {
    result<detail::address_list> addresses = co_await detail::resolve(ex, where, until);
    if (!addresses) co_return std::unexpected(std::move(addresses.error()));
    result<boost::asio::ip::tcp::socket> socket =
        co_await detail::connect_first(ex, where, std::move(*addresses), until);
    if (!socket) co_return std::unexpected(std::move(socket.error()));
    std::unique_ptr<connection> made = std::make_unique<detail::tcp_connection>(std::move(*socket), std::move(where));
    if (tls.mode == tls_mode::implicit) {
        result<void> secured = co_await made->start_tls(tls, until);
        if (!secured) co_return std::unexpected(std::move(secured.error()));
    }
    co_return made;
}

} // namespace postferry::net

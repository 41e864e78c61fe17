#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace postferry {

/// The program's one asynchronous model: an Asio coroutine on the executor it was spawned on. Everything that belongs
/// to one mailbox runs on one strand, so its objects need no lock.
template <class T = void> using task = boost::asio::awaitable<T>;
using executor = boost::asio::any_io_executor;

} // namespace postferry

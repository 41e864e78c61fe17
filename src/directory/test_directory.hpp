#pragma once
// What the tests of the drivers share.
#include "directory/provisioner.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>

namespace postferry::directory {

/// Runs a coroutine to its end and gives what it gave.
template <class T> T run(task<T> work) {
    boost::asio::io_context io{1};
    std::optional<T> out;
    std::exception_ptr thrown;
    boost::asio::co_spawn(
        io,
        [](task<T> w, std::optional<T>& into) -> task<> { into.emplace(co_await std::move(w)); }(std::move(work), out),
        [&thrown](std::exception_ptr e) { thrown = e; });
    io.run();
    if (thrown) std::rethrow_exception(thrown);
    return std::move(*out);
}

inline address addr(std::string_view text) { return address::parse(text).value(); }
inline domain_name dom(std::string_view text) { return domain_name::parse(text).value(); }
inline new_password plain(std::string text) {
    return {.form = new_password::kind::plain, .value = secret(std::move(text))};
}
inline new_password hashed(std::string text) {
    return {.form = new_password::kind::hashed, .value = secret(std::move(text))};
}

/// "created", "created (note)", or "config EXISTS: what".
inline std::string told(const result<outcome>& r) {
    if (r) return std::string(name_of(r->what)) + (r->note.empty() ? "" : " (" + r->note + ")");
    const error& e = r.error();
    return std::string(name_of(e.cls)) + (e.response_code.empty() ? "" : " " + e.response_code) + ": " + e.what;
}

} // namespace postferry::directory

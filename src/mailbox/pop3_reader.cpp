#include "mailbox/detail/pop3_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace postferry::mailbox::detail {

namespace {

constexpr std::size_t longest_header = 256U << 10U; ///< octets that are looked at

} // namespace

task<result<void>> pop3_reader::make_room(std::size_t below) {
    while (asked_.size() >= below) {
        if (auto ok = co_await session_.flush(); !ok) co_return ok;
        if (auto ok = co_await session_.receive(); !ok) co_return ok;
    }
    co_return result<void>{};
}

task<result<void>> pop3_reader::ask(std::uint32_t number, std::uint64_t key, bool header_only) {
    co_return co_await send({.number = number, .key = key, .header_only = header_only});
}

task<result<void>> pop3_reader::send(asked what) {
    if (auto ok = co_await make_room(in_flight_); !ok) co_return ok;
    what.header_only = what.header_only && !top_refused_;
    session_.set_body_sink(this);
    session_.submit(what.header_only ? pop3::top(what.number) : pop3::retr(what.number));
    asked_.push_back(what);
    co_return result<void>{};
}

task<result<void>> pop3_reader::finish() {
    auto ok = co_await make_room(1);
    while (ok && !again_.empty()) {
        const asked next = again_.front();
        again_.pop_front();
        ok = co_await send(next);
        if (ok && again_.empty()) ok = co_await make_room(1);
    }
    co_return ok;
}

task<result<void>> pop3_reader::body_begin(pop3::command_id) { co_return co_await begin(asked_.front().key); }

task<result<void>> pop3_reader::body_chunk(const client::block_ref& owner, std::string_view octets) {
    co_return co_await chunk(owner, octets);
}

task<result<void>> pop3_reader::body_end(pop3::command_id, const pop3::status_line& status) {
    const asked done = asked_.front();
    asked_.pop_front();
    if (status.ok) co_return co_await end(done.key);
    error why = client::to_error(status, phase::fetch, fmt::format("Message {} could not be read", done.number));
    // The maildrop as a whole is in trouble, not the message.
    if (why.cls == retry_class::transient || why.cls == retry_class::throttled) co_return std::unexpected(why);
    if (done.header_only) { // TOP is optional (RFC 1939, section 7)
        top_refused_ = true;
        again_.push_back(done);
    } else {
        refused(done.key, why);
    }
    co_return result<void>{};
}

task<result<void>> header_reader::begin(std::uint64_t) {
    text_.clear();
    co_return result<void>{};
}

task<result<void>> header_reader::chunk(const client::block_ref&, std::string_view octets) {
    text_ += octets.substr(0, longest_header - std::min(longest_header, text_.size()));
    co_return result<void>{};
}

task<result<void>> header_reader::end(std::uint64_t key) {
    header(key, text_);
    co_return result<void>{};
}

} // namespace postferry::mailbox::detail

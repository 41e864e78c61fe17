#include "mailbox/detail/odd_filter.hpp"

#include "mailbox/detail/odd_messages.hpp"

#include <algorithm>
#include <memory>

namespace postferry::mailbox::detail {

namespace {

/// Of a message's beginning that is looked at before it is handed on.
constexpr std::size_t looked_at = 4096;

client::block_ref block_of(std::string_view octets) {
    auto block = std::make_shared<client::block>(std::max<std::size_t>(octets.size(), 1));
    std::ranges::copy(octets, block->room().begin());
    return block;
}

// quirk exchange
error placeholder_sent() {
    return {.cls = retry_class::permanent,
            .where = phase::fetch,
            .what = "The source sent a notice that it cannot give this message, in place of the message",
            .server_said = "\"Retrieval using the IMAP4 protocol failed for the following message\"",
            .advice = "Export it with Outlook, or repair it on the source; quirks=-exchange copies the notice",
            .response_code = {}};
}

} // namespace

task<result<void>> odd_filter::begin(message_head head, std::string_view before) {
    dropped_ = false;
    held_.reset();
    if (habits_.placeholders || habits_.internal_data)
        held_.emplace(held_message{.head = std::move(head), .beginning = {}, .chunks = {}});
    else if (auto ok = co_await sink_.begin(std::move(head)); !ok)
        co_return ok;
    if (before.empty()) co_return result<void>{};
    const client::block_ref block = block_of(before);
    co_return co_await chunk(block, block->filled(before.size()));
}

task<result<void>> odd_filter::chunk(const client::block_ref& owner, std::string_view octets) {
    if (dropped_) co_return result<void>{};
    if (!held_) co_return co_await sink_.chunk(owner, octets);
    held_->beginning += octets.substr(0, looked_at - std::min(looked_at, held_->beginning.size()));
    held_->chunks.emplace_back(owner, octets);
    const bool enough = held_->beginning.size() >= looked_at || held_->beginning.contains("\r\n\r\n");
    if (!enough) co_return result<void>{};
    co_return co_await let_go();
}

task<result<void>> odd_filter::end() {
    if (held_)
        if (auto ok = co_await let_go(); !ok) co_return ok;
    if (dropped_) co_return result<void>{};
    co_return co_await sink_.end();
}

task<result<void>> odd_filter::let_go() {
    held_message held = std::move(*held_);
    held_.reset();
    const odd_message kind = kind_of_message(held.beginning);
    if (habits_.placeholders && kind == odd_message::placeholder) {
        dropped_ = true;
        sink_.missing(held.head.request, uid_set::of(held.head.uid, held.head.uid), placeholder_sent());
        co_return result<void>{};
    }
    if (habits_.internal_data && kind == odd_message::internal_data) held.head.skip_rule = "uw-internal-data";
    if (auto ok = co_await sink_.begin(std::move(held.head)); !ok) co_return ok;
    for (const auto& [owner, octets] : held.chunks)
        if (auto ok = co_await sink_.chunk(owner, octets); !ok) co_return ok;
    co_return result<void>{};
}

} // namespace postferry::mailbox::detail

#pragma once
// The way of messages to a sink, past what servers send in a message's place.
#include "client/quirks.hpp"
#include "mailbox/mailbox.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postferry::mailbox::detail {

/// Hands messages on, one after the other. Where the server is known to send something in a message's place, the header
/// is looked at first: a notice counts as missing, internal data bears the rule by which it is skipped.
class odd_filter {
  public:
    odd_filter(const client::server_habits& habits, message_sink& sink) : habits_(habits), sink_(sink) {}

    /// @param before what of the message is there already; need not outlive the call
    task<result<void>> begin(message_head head, std::string_view before);
    task<result<void>> chunk(const client::block_ref& owner, std::string_view octets);
    task<result<void>> end();

  private:
    struct held_message { ///< its beginning is not known yet
        message_head head;
        std::string beginning;
        std::vector<std::pair<client::block_ref, std::string_view>> chunks;
    };
    task<result<void>> let_go();

    const client::server_habits& habits_;
    message_sink& sink_;
    std::optional<held_message> held_;
    bool dropped_ = false;
};

} // namespace postferry::mailbox::detail

#pragma once
#include "base/error.hpp"
#include "base/secret.hpp"
#include "net/awaitable.hpp"

namespace postferry::client {

/// Where the OAuth 2 token of a login comes from. Shared by all mailboxes that log in with it. From any thread.
class token_source {
  public:
    virtual ~token_source() = default;
    /// A token that is good for a login now. Errors: auth (it cannot be renewed; the server's reason), config,
    /// transient.
    virtual task<result<secret>> take() = 0;
    /// A server would not have this one: another is to be got, if it is still the current one.
    virtual void refused(const secret& token) = 0;
};

} // namespace postferry::client

#pragma once
// Whether the old server lets the owner of a mailbox in. `app` implements it over mailbox/ and client/.
#include "base/error.hpp"
#include "base/secret.hpp"
#include "net/awaitable.hpp"
#include "store/records.hpp"

namespace postferry::jobs {

class login_check {
  public:
    virtual ~login_check() = default;
    /// Logs in at the mailbox's source with this password, and out again. False: the server has refused it. Errors: it
    /// could not be asked (which says nothing about the password). Ends within half a minute.
    virtual task<result<bool>> lets_in(store::migration who, secret password) = 0;
};

/// Whether the mailbox's owner knows what logs in at its source: not an administrator, a token or a certificate, and
/// not a folder of this machine.
[[nodiscard]] bool owner_knows_password(const store::migration& m);

} // namespace postferry::jobs

#pragma once
#include "base/secret.hpp"
#include "client/admin_form.hpp"
#include "client/compression.hpp"
#include "client/server_limits.hpp"
#include "net/allowance.hpp"
#include "net/connection.hpp"
#include "net/wire_trace.hpp"
#include "protocol/sasl/mechanism.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace postferry::client {

/// How to reach a server and log in there, whatever it speaks.
struct server_settings {
    net::endpoint where;
    net::tls_settings tls;
    sasl::choice auth = sasl::choice::automatic;
    std::string user;
    std::string admin; ///< empty: the user himself
    admin_form form = admin_form::sasl;
    secret password;                                  ///< or the token for xoauth2 and oauthbearer
    compression compress = compression::when_it_pays; ///< IMAP only
    std::chrono::milliseconds connect_patience{30'000};
    std::chrono::milliseconds answer_patience{180'000}; ///< a server that says nothing for so long is taken for dead
    net::wire_trace trace;                              ///< writes nothing by default
    std::shared_ptr<net::allowance> allowance;          ///< what the server may be burdened with; none: anything
    std::function<bool()> may_send = {};                ///< asked right before each write; see net::connection
    server_limits limits = {};                          ///< of what the server may burden us with
    std::chrono::milliseconds goodbye_patience{2'000};  ///< at most, for the answer to LOGOUT or QUIT
    /// By which it is told how long a server was waited for. A test brings its own.
    std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
};

} // namespace postferry::client

#pragma once
#include "base/error.hpp"
#include "base/secret.hpp"
#include "net/connection.hpp"
#include "protocol/sasl/mechanism.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace postferry::mailbox {

enum class scheme : std::uint8_t { imap, imaps };
enum class admin_form : std::uint8_t { sasl, star, slash };

/// One end of a copy, as the user names it: a URL and the options in its query (docs/cli.md).
struct endpoint {
    scheme kind = scheme::imap;
    std::string user;       ///< decoded; empty until a row of the CSV completes it
    net::endpoint where;    ///< port defaults to 143 or 993
    net::tls_settings tls;  ///< default: detect for imap, implicit for imaps
    sasl::choice auth = sasl::choice::automatic;
    std::string admin;      ///< logs in on behalf of `user`
    admin_form form = admin_form::sasl;
    std::string prefix;     ///< put in front of target folder names / taken off source names; decoded, "/" between levels
    std::optional<std::uint32_t> max_connections;
    secret password;        ///< of the user, or of the admin; or the token for xoauth2/oauthbearer

    /// "imaps://alice@old.example.org" (port only when not the default; percent-encoded; no query, no password): the
    /// name in reports, logs and the ledger.
    [[nodiscard]] std::string display() const;
};

/// Reads a URL (cli.md "Endpoints"). A password inside the URL, an unknown query parameter, an unknown value, or a
/// scheme that this version does not speak (pop3, pop3s, maildir, mbox, lmtp: named as not there yet) is a usage error
/// of class config that says what is allowed. `{user}`, `{local}`, `{domain}` are filled from `row_user` when given;
/// without it they are kept for fill().
[[nodiscard]] result<endpoint> parse_endpoint(std::string_view url, std::optional<std::string_view> row_user = std::nullopt);

} // namespace postferry::mailbox

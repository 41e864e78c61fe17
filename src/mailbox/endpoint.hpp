#pragma once
#include "base/error.hpp"
#include "base/secret.hpp"
#include "client/admin_form.hpp"
#include "client/compression.hpp"
#include "message/mbox_reader.hpp"
#include "net/connection.hpp"
#include "protocol/sasl/mechanism.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace postferry::mailbox {

enum class scheme : std::uint8_t { imap, imaps, pop3, pop3s, maildir, mbox, lmtp };
/// A folder on this machine, not a server.
[[nodiscard]] constexpr bool is_local(scheme s) noexcept { return s == scheme::maildir || s == scheme::mbox; }
using client::admin_form;

/// Where a POP3 server tells the unique IDs of what IMAP serves.
struct uidl_access {
    scheme kind = scheme::pop3; ///< or pop3s
    net::endpoint where;
};

/// One end of a copy, as the user names it: a URL and the options in its query (docs/cli.md).
struct endpoint {
    scheme kind = scheme::imap;
    std::string user;      ///< decoded; empty until a row of the CSV completes it
    net::endpoint where;   ///< port defaults to 143 or 993
    net::tls_settings tls; ///< default: detect for imap, implicit for imaps
    sasl::choice auth = sasl::choice::automatic;
    std::string admin; ///< logs in on behalf of `user`
    admin_form form = admin_form::sasl;
    std::string oauth =
        {}; ///< oauth=: which client of the configuration gets the tokens; needs auth=xoauth2 or oauthbearer
    std::string prefix; ///< put in front of target folder names / taken off source names; decoded, "/" between levels
    std::optional<std::uint32_t> max_connections;
    std::string quirks;              ///< quirks=: names to force, or with "-" in front to switch off; "," between
    std::optional<uidl_access> uidl; ///< uidl=: of an IMAP source; user, password and trust are those of this endpoint
    message::mbox_format mbox = message::mbox_format::automatic; ///< format=: how an mbox is read
    std::string path;                                            ///< of a place on this machine: absolute, decoded
    client::compression compress = client::compression::when_it_pays;
    secret password; ///< of the user, or of the admin; or the token for xoauth2/oauthbearer

    /// "imaps://alice@old.example.org" (port only when not the default; percent-encoded; no query, no password) or
    /// "maildir:/srv/mail/alice": the name in reports, logs and the ledger.
    [[nodiscard]] std::string display() const;
};

/// Reads a URL (docs/cli.md "Endpoints"): imap, imaps, pop3, pop3s, lmtp with host, maildir:/path and mbox:/path. A
/// password inside the URL, an unknown query parameter (or one that means nothing to the scheme), an unknown value or
/// scheme is a usage error of class config that says what is allowed. `{user}`, `{local}`, `{domain}` are filled from
/// `row_user` when given (before decoding, so an odd user name cannot change what the URL means); without it they stay
/// as they are. No error repeats the user information or a query value of the URL: either may hold a password by
/// mistake.
[[nodiscard]] result<endpoint> parse_endpoint(std::string_view url,
                                              std::optional<std::string_view> row_user = std::nullopt);

/// Whether the URL needs a row of a CSV to be complete: it holds `{user}`, `{local}` or `{domain}`.
[[nodiscard]] bool has_placeholder(std::string_view url) noexcept;

/// Checks a host name, IPv4 or IPv6 address (with or without brackets) and gives it in the form of endpoint::where:
/// lower case, no brackets. Config error when it is none.
[[nodiscard]] result<std::string> parse_host(std::string_view text);

/// The words that `tls=` and the columns source_tls/target_tls take: detect, require, implicit, off.
[[nodiscard]] std::optional<net::tls_mode> parse_tls_mode(std::string_view text) noexcept;
[[nodiscard]] result<scheme> parse_scheme(std::string_view text);
[[nodiscard]] std::string_view name_of(scheme s) noexcept;

[[nodiscard]] constexpr std::uint16_t default_port(scheme s) noexcept {
    switch (s) {
    case scheme::imap: return 143;
    case scheme::imaps: return 993;
    case scheme::pop3: return 110;
    case scheme::pop3s: return 995;
    case scheme::lmtp: return 24;
    case scheme::maildir:
    case scheme::mbox: return 0;
    }
    return 0;
}

[[nodiscard]] constexpr net::tls_mode default_tls(scheme s) noexcept {
    return s == scheme::imaps || s == scheme::pop3s ? net::tls_mode::implicit : net::tls_mode::detect;
}

} // namespace postferry::mailbox

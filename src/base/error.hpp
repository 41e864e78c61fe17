#pragma once
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace postferry {

/// What a failure means for whoever decides about another attempt.
enum class retry_class : std::uint8_t {
    transient, ///< the same thing may work in a moment: lost connection, [UNAVAILABLE], [INUSE]
    throttled, ///< the server asked for a pause: [THROTTLED], [LIMIT], a back-off time
    auth,      ///< the server refused the login
    config,    ///< somebody must change a setting: unknown host, wrong certificate, missing STARTTLS
    permanent, ///< the server refused this one thing and will refuse it again
    protocol,  ///< the server spoke nonsense; the connection cannot be trusted any more
    local,     ///< trouble on this machine: disk full, memory, permission
    cancelled, ///< we were asked to stop
};

/// Where in a mailbox's journey it happened.
enum class phase : std::uint8_t {
    usage,
    resolve,
    connect,
    tls,
    greeting,
    login,
    list,
    scan,
    fetch,
    append,
    create,
    store_flags,
    subscribe,
    verify,
    ledger
};

/// Names as they appear in reports and messages ("transient", "connect", ...).
[[nodiscard]] std::string_view name_of(retry_class c) noexcept;
[[nodiscard]] std::string_view name_of(phase p) noexcept;

/// An expected failure. `what` is ours and complete by itself; `server_said` is the peer's text, already escaped and
/// bounded (see quote_server_text); `advice` says what to do next, empty when there is nothing sensible to say.
/// None of the three ever holds a secret.
struct error {
    retry_class cls = retry_class::transient;
    phase where = phase::usage;
    std::string what;
    std::string server_said;
    std::string advice;
    std::string response_code; ///< IMAP response code in upper case without brackets ("OVERQUOTA", "LIMIT"), else empty
    std::uint32_t backoff_ms = 0; ///< pause asked for by the server, milliseconds; 0 = none named

    /// One line for people: what; server said: "..."; advice.
    [[nodiscard]] std::string message() const;
};

template <class T> using result = std::expected<T, error>;

[[nodiscard]] inline std::unexpected<error> fail(retry_class cls, phase where, std::string what,
                                                 std::string advice = {}) {
    return std::unexpected(error{.cls = cls,
                                 .where = where,
                                 .what = std::move(what),
                                 .server_said = {},
                                 .advice = std::move(advice),
                                 .response_code = {}});
}

/// Text from a peer made safe to show and to store: control and non-UTF-8 octets become \xNN, at most `limit` octets
/// are kept ("..." marks a cut). Never pass text that may hold a password.
[[nodiscard]] std::string quote_server_text(std::string_view text, std::size_t limit = 400);

} // namespace postferry

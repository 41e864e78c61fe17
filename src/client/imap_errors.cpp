#include "base/text.hpp"
#include "client/imap_session.hpp"

#include <fmt/format.h>

#include <array>

namespace postferry::client {

namespace {

struct code_meaning {
    std::string_view code;
    retry_class cls;
};

// RFC 5530 and what the great providers add.
constexpr std::array<code_meaning, 22> by_code{{{"AUTHENTICATIONFAILED", retry_class::auth},
                                                {"AUTHORIZATIONFAILED", retry_class::auth},
                                                {"EXPIRED", retry_class::auth},
                                                {"PRIVACYREQUIRED", retry_class::config},
                                                {"CONTACTADMIN", retry_class::config},
                                                {"UNAVAILABLE", retry_class::transient},
                                                {"INUSE", retry_class::transient},
                                                {"SERVERBUG", retry_class::transient},
                                                {"EXPUNGEISSUED", retry_class::transient},
                                                {"NOPERM", retry_class::permanent},
                                                {"CORRUPTION", retry_class::permanent},
                                                {"OVERQUOTA", retry_class::permanent},
                                                {"ALREADYEXISTS", retry_class::permanent},
                                                {"NONEXISTENT", retry_class::permanent},
                                                {"TRYCREATE", retry_class::permanent},
                                                {"CANNOT", retry_class::permanent},
                                                {"TOOBIG", retry_class::permanent},
                                                {"CLIENTBUG", retry_class::permanent},
                                                {"BADCHARSET", retry_class::permanent},
                                                {"UNKNOWN-CTE", retry_class::permanent},
                                                {"THROTTLED", retry_class::throttled},
                                                {"LIMIT", retry_class::throttled}}};

bool contains_nocase(std::string_view text, std::string_view part) {
    return ascii_lower(text).find(ascii_lower(part)) != std::string::npos;
}

// "Request is throttled. Suggested Backoff Time: 299609 milliseconds" (Office 365).
std::uint32_t backoff_in(std::string_view text) {
    constexpr std::string_view mark = "suggested backoff time:";
    const std::string lower = ascii_lower(text);
    const std::size_t at = lower.find(mark);
    if (at == std::string::npos) return 0;
    const std::size_t from = lower.find_first_of("0123456789", at);
    if (from == std::string::npos) return 0;
    const std::size_t to = lower.find_first_not_of("0123456789", from);
    return parse_u32(std::string_view(lower).substr(from, to - from)).value_or(300'000);
}

} // namespace

error to_error(const imap::status_response& status, phase where, std::string what) {
    const retry_class by_kind = status.kind == imap::status_kind::bad   ? retry_class::protocol
                                : status.kind == imap::status_kind::bye ? retry_class::transient
                                                                        : retry_class::permanent;
    error e{
        .cls = by_kind, .where = where, .what = std::move(what), .server_said = {}, .advice = {}, .response_code = {}};
    std::string text = status.text;
    if (status.code) {
        e.response_code = status.code->name;
        text = status.code->args.empty() ? fmt::format("[{}] {}", status.code->name, status.text)
                                         : fmt::format("[{} {}] {}", status.code->name, status.code->args, status.text);
        for (const code_meaning& m : by_code)
            if (m.code == status.code->name) e.cls = m.cls;
    }
    const std::string_view verb = status.kind == imap::status_kind::bad   ? "BAD"
                                  : status.kind == imap::status_kind::bye ? "BYE"
                                                                          : "NO";
    e.server_said = fmt::format("\"{} {}\"", verb, quote_server_text(text));
    // quirk connected-only: Exchange says so to the first command after a login that it should have refused.
    if (contains_nocase(status.text, "authenticated but not connected")) e.cls = retry_class::auth;
    e.backoff_ms = backoff_in(status.text);
    if (e.backoff_ms > 0 || contains_nocase(status.text, "throttled")) e.cls = retry_class::throttled;
    // Dovecot answers an oversize APPEND with [LIMIT]: that one message will never do.
    if (where == phase::append && e.response_code == "LIMIT") e.cls = retry_class::permanent;
    if (contains_nocase(status.text, "too many") && contains_nocase(status.text, "connections"))
        e.cls = retry_class::transient;
    return e;
}

} // namespace postferry::client

#include "base/text.hpp"
#include "client/imap_session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

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

constexpr std::uint32_t longest_backoff_ms = 86'400'000;

// quirk backoff-hint: "Request is throttled. Suggested Backoff Time: 299609 milliseconds" (Office 365).
std::uint32_t backoff_in(std::string_view text) {
    constexpr std::string_view mark = "suggested backoff time:";
    const std::string lower = ascii_lower(text);
    const std::size_t at = lower.find(mark);
    if (at == std::string::npos) return 0;
    const std::size_t from = lower.find_first_of("0123456789", at);
    if (from == std::string::npos) return 0;
    const std::size_t to = lower.find_first_not_of("0123456789", from);
    return std::min<std::uint32_t>(parse_u32(std::string_view(lower).substr(from, to - from)).value_or(300'000),
                                   longest_backoff_ms);
}

// quirk bandwidth: Gmail shuts an account out for an hour and more, and says no time.
constexpr std::uint32_t bandwidth_backoff_ms = 600'000;

bool says_bandwidth(std::string_view text) {
    return contains_nocase(text, "bandwidth") && (contains_nocase(text, "exceeded") || contains_nocase(text, "limit"));
}

bool says_too_many_connections(std::string_view text) {
    return contains_nocase(text, "connection") &&
           (contains_nocase(text, "too many") || contains_nocase(text, "maximum number") ||
            contains_nocase(text, "limit") || contains_nocase(text, "exceed"));
}

bool says_any(std::string_view text, std::span<const std::string_view> words) {
    return std::ranges::any_of(words, [&](std::string_view w) { return contains_nocase(text, w); });
}

// quirk quota: Exchange "Server Unavailable. 15"; GroupWise "APPEND The 1500 MB storage limit has been reached".
constexpr std::array<std::string_view, 8> quota_words{
    "over quota",    "overquota",     "quota exceeded",  "exceeds quota",
    "quota is full", "storage limit", "mailbox is full", "server unavailable. 15"};
// quirk too-big
constexpr std::array<std::string_view, 7> size_words{
    "too large", "too big", "larger than", "maximum message size", "maximum size", "message size exceed", "size limit"};

// To an APPEND, where no code says so.
void judge_refusal_by_text(error& e, std::string_view text) {
    if (e.where != phase::append || e.cls == retry_class::throttled || e.cls == retry_class::transient) return;
    if (!e.response_code.empty() && e.response_code != "ALERT") return;
    if (says_any(text, quota_words))
        e.response_code = "OVERQUOTA";
    else if (says_any(text, size_words))
        e.response_code = "TOOBIG";
    else
        return;
    e.cls = retry_class::permanent;
}

// What the words mean where they say more than the code.
void judge_by_text(error& e, std::string_view text) {
    // quirk connected-only: Exchange says so to the first command after a login that it should have refused.
    if (contains_nocase(text, "authenticated but not connected")) {
        e.cls = retry_class::auth;
        e.where = phase::login;
        e.advice = "Check user name and password, and whether the mailbox may be used by IMAP";
    }
    e.backoff_ms = backoff_in(text);
    // quirk append-limit: Dovecot answers an oversize APPEND with [LIMIT]: that one message will never do.
    if (e.where == phase::append && e.response_code == "LIMIT") e.cls = retry_class::permanent;
    if (e.backoff_ms > 0 || contains_nocase(text, "throttled") || contains_nocase(text, "rate limit"))
        e.cls = retry_class::throttled;
    if (says_bandwidth(text)) {
        e.cls = retry_class::throttled;
        e.backoff_ms = std::max(e.backoff_ms, bandwidth_backoff_ms);
        if (e.response_code == "OVERQUOTA") e.response_code.clear(); // as Gmail says, and no mailbox is full
    }
    // quirk too-many-connections
    if (says_too_many_connections(text)) e.cls = retry_class::throttled;
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
    judge_by_text(e, status.text);
    judge_refusal_by_text(e, status.text);
    return e;
}

bool means_too_many_connections(const error& why) noexcept {
    return why.cls == retry_class::throttled && says_too_many_connections(why.server_said);
}

} // namespace postferry::client

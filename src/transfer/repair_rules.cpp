#include "transfer/repair_rules.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace postferry::transfer {

namespace {

using message::repair;
using message::repair_set;

constexpr std::size_t most_tries = 6; ///< a message; some servers hang up after ten errors

struct meaning {
    std::string_view words; ///< in lower case
    repair_set repairs;
};

constexpr repair_set ends{repair::line_endings};
constexpr repair_set headers{repair::header, repair::header_8bit};

// Cyrus: "Message contains NUL characters", "... bare newlines", "... non-ASCII characters in headers", "... invalid
// header", "Message has no header/body separator". Yahoo: "[CLIENTBUG] ... Additional arguments". Exchange: "Command
// Argument Error. 11" to long lines. Gmail: "Unable to parse message".
constexpr std::array<meaning, 15> meanings{{{"nul char", {repair::nul, repair::literal8}},
                                            {"null char", {repair::nul, repair::literal8}},
                                            {"nul byte", {repair::nul, repair::literal8}},
                                            {"null byte", {repair::nul, repair::literal8}},
                                            {"newline", ends},
                                            {"bare lf", ends},
                                            {"bare cr", ends},
                                            {"line end", ends},
                                            {"linefeed", ends},
                                            {"additional arguments", {repair::line_endings, repair::final_newline}},
                                            {"non-ascii", {repair::header_8bit}},
                                            {"header", headers},
                                            {"parse message", headers},
                                            {"line too long", {repair::long_lines}},
                                            {"command argument error", {repair::long_lines}}}};

constexpr std::array<std::string_view, 13> hopeless_codes{
    "OVERQUOTA",     "TOOBIG", "LIMIT",  "TRYCREATE",    "NONEXISTENT",          "NOPERM",
    "ALREADYEXISTS", "INUSE",  "CANNOT", "CONTACTADMIN", "AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED",
    "EXPIRED"};
constexpr std::array<std::string_view, 14> hopeless_words{
    "virus",        "malware",   "spam",         "quota",         "too large",   "too big", "larger than",
    "maximum size", "mail size", "message size", "storage limit", "system flag", "keyword", "permission"};

/// NUL that is changed needs no literal8.
repair_set together(repair_set set) {
    if (set.has(repair::nul)) set.remove(repair::literal8);
    return set;
}

} // namespace

bool may_be_cured(const error& refusal) {
    if (refusal.cls != retry_class::permanent && refusal.cls != retry_class::protocol) return false;
    if (std::ranges::find(hopeless_codes, refusal.response_code) != hopeless_codes.end()) return false;
    const std::string said = ascii_lower(refusal.server_said);
    return std::ranges::none_of(hopeless_words, [&](std::string_view w) { return said.find(w) != std::string::npos; });
}

repair_set hinted_by(const error& refusal) {
    const std::string said = ascii_lower(refusal.server_said);
    repair_set out;
    for (const meaning& m : meanings)
        if (said.find(m.words) != std::string::npos) out = out | m.repairs;
    // "non-ASCII characters in headers" is no word about fields.
    if (said.find("non-ascii") != std::string::npos) out.remove(repair::header);
    return out;
}

std::optional<repair_set> next_repair(const refusal_history& history, repair_set applicable) {
    if (history.tried.size() >= most_tries || applicable.empty()) return std::nullopt;
    const error& last = history.later.empty() ? history.first : history.later.back();
    if (!may_be_cured(last)) return std::nullopt;
    // A server that tells nothing this time said it at first, perhaps.
    repair_set hint = hinted_by(last) & applicable;
    if (hint.empty()) hint = hinted_by(history.first) & applicable;
    std::vector<repair_set> candidates;
    if (!history.later.empty()) {
        const error& before = history.later.size() == 1 ? history.first : history.later[history.later.size() - 2];
        if (before.server_said != last.server_said && !hint.empty()) {
            for (const repair r : cheapest_first(hint))
                candidates.push_back(together(history.tried.back() | repair_set{r}));
            candidates.push_back(together(history.tried.back() | hint));
        }
    }
    const repair_set singly = hint.empty() ? applicable : hint;
    for (const repair r : cheapest_first(singly)) candidates.push_back({r});
    candidates.push_back(together(singly));
    candidates.push_back(together(applicable));
    for (const repair_set c : candidates)
        if (std::ranges::find(history.tried, c) == history.tried.end()) return c;
    return std::nullopt;
}

error incurable(const refusal_history& history) {
    error why = history.first;
    std::string tried;
    for (const repair_set s : history.tried)
        tried += fmt::format("{}{}", tried.empty() ? "" : "; ", message::names_of(s));
    if (!tried.empty()) why.advice = fmt::format("Repairs tried in vain: {}", tried);
    return why;
}

} // namespace postferry::transfer

#include "base/text.hpp"
#include "client/pop3_session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postferry::client {

namespace {

struct code_meaning {
    std::string_view code;
    retry_class cls;
};

constexpr std::array<code_meaning, 5> by_code{{{"IN-USE", retry_class::transient},
                                               {"LOGIN-DELAY", retry_class::throttled},
                                               {"SYS/TEMP", retry_class::transient},
                                               {"SYS/PERM", retry_class::permanent},
                                               {"AUTH", retry_class::auth}}};

// quirk pop3-locked: servers without response codes say in words that another session holds the maildrop.
constexpr std::array<std::string_view, 5> held_words{"lock", "in use", "busy", "another session", "already logged in"};

constexpr std::uint32_t usual_login_delay = 60; ///< seconds, where the server refuses and names none

bool contains_nocase(std::string_view text, std::string_view part) { return ascii_lower(text).contains(part); }

} // namespace

error to_error(const pop3::status_line& status, phase where, std::string what, std::uint32_t login_delay) {
    error e{.cls = retry_class::permanent,
            .where = where,
            .what = std::move(what),
            .server_said = {},
            .advice = {},
            .response_code = status.code};
    e.server_said = fmt::format("\"-ERR {}{}\"", status.code.empty() ? "" : fmt::format("[{}] ", status.code),
                                quote_server_text(status.text));
    const auto* known = std::ranges::find(by_code, status.code, &code_meaning::code);
    const auto is_held = [&] {
        return std::ranges::any_of(held_words, [&](auto word) { return contains_nocase(status.text, word); });
    };
    if (known != by_code.end())
        e.cls = known->cls;
    else if (where == phase::greeting || contains_nocase(status.text, "too many") ||
             (where == phase::login && is_held()))
        e.cls = retry_class::transient;
    if (status.code == "LOGIN-DELAY") e.backoff_ms = (login_delay > 0 ? login_delay : usual_login_delay) * 1'000;
    if (status.code == "IN-USE") e.advice = "Another program reads this maildrop; it is tried again";
    return e;
}

std::uint32_t login_delay(const pop3::capability_list& can) {
    const std::vector<std::string> words = can.arguments("LOGIN-DELAY");
    constexpr std::uint32_t longest = 86'400;
    return words.empty() ? 0 : std::min(parse_u32(words.front()).value_or(0), longest);
}

bool removes_what_was_read(const pop3::capability_list& can) {
    const std::vector<std::string> words = can.arguments("EXPIRE");
    return !words.empty() && words.front() == "0";
}

} // namespace postferry::client

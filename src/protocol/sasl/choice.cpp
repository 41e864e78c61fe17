#include "base/text.hpp"
#include "protocol/sasl/mechanism.hpp"

#include <algorithm>
#include <array>

namespace postferry::sasl {

namespace {

struct row {
    choice c;
    std::string_view word;      ///< of `auth=`
    std::string_view mechanism; ///< its SASL name
    bool automatic;             ///< tried without being asked for
    bool shows_secret;          ///< whoever listens can use what he hears
    bool carries_authorization; ///< can act on behalf of somebody else
};

// Best first. CRAM-MD5 comes after SCRAM because the server must keep the password for it.
constexpr std::array<row, 8> rows{{
    {choice::scram_sha_256, "scram-sha-256", "SCRAM-SHA-256", true, false, true},
    {choice::scram_sha_1, "scram-sha-1", "SCRAM-SHA-1", true, false, true},
    {choice::cram_md5, "cram-md5", "CRAM-MD5", true, false, false},
    {choice::plain, "plain", "PLAIN", true, true, true},
    {choice::login, "login", "LOGIN", true, true, false},
    {choice::xoauth2, "xoauth2", "XOAUTH2", false, true, false},
    {choice::oauthbearer, "oauthbearer", "OAUTHBEARER", false, true, true},
    {choice::external, "external", "EXTERNAL", false, false, true},
}};

} // namespace

std::optional<choice> parse_choice(std::string_view text) noexcept {
    if (iequals(text, "auto")) return choice::automatic;
    const auto* found = std::ranges::find_if(rows, [&](const row& r) { return iequals(r.word, text); });
    return found == rows.end() ? std::nullopt : std::optional(found->c);
}

std::string_view name_of(choice c) noexcept {
    const auto* found = std::ranges::find(rows, c, &row::c);
    return found == rows.end() ? "auto" : found->word;
}

std::vector<std::string> rank(choice wanted, std::span<const std::string> offered, bool encrypted, bool allow_cleartext,
                              bool has_authorization_id) {
    std::vector<std::string> out;
    for (const row& r : rows) {
        const bool chosen = wanted == r.c;
        const bool offers = std::ranges::any_of(offered, [&](const std::string& o) { return iequals(o, r.mechanism); });
        if (!chosen && (wanted != choice::automatic || !r.automatic || !offers)) continue;
        if (r.shows_secret && !encrypted && !allow_cleartext) continue;
        if (!chosen && has_authorization_id && !r.carries_authorization) continue;
        out.emplace_back(r.mechanism);
    }
    return out;
}

} // namespace postferry::sasl

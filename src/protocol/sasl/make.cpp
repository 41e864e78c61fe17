#include "base/text.hpp"
#include "protocol/sasl/detail/mechanisms.hpp"

#include <fmt/format.h>

namespace postferry::sasl {

namespace {

bool acts_for_another(const credentials& who) {
    return !who.authorization_id.empty() && who.authorization_id != who.authentication_id;
}

} // namespace

result<std::unique_ptr<mechanism>> make(std::string_view name, const credentials& who) {
    // NUL ends a field in PLAIN, ^A in the OAuth mechanisms: no user may bring one along.
    const std::string_view separators("\0\x01", 2);
    if (who.authentication_id.find_first_of(separators) != std::string::npos ||
        who.authorization_id.find_first_of(separators) != std::string::npos)
        return fail(retry_class::config, phase::login, "the user name holds a control character");
    for (const std::string_view known : {"PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"})
        if (iequals(name, known)) return detail::make_gsasl(known, who);
    for (const std::string_view known : {"LOGIN", "CRAM-MD5"}) {
        if (!iequals(name, known)) continue;
        if (!acts_for_another(who)) return detail::make_gsasl(known, who);
        return fail(retry_class::config, phase::login, fmt::format("{} cannot log in on behalf of another user", known),
                    "Use auth=plain or auth=scram-sha-256");
    }
    if (iequals(name, "XOAUTH2")) return detail::make_xoauth2(who);
    if (iequals(name, "OAUTHBEARER")) return detail::make_oauthbearer(who);
    if (iequals(name, "EXTERNAL")) return detail::make_external(who);
    return fail(retry_class::config, phase::login,
                fmt::format("the authentication mechanism {} is not known here", quote_server_text(name, 40)));
}

} // namespace postferry::sasl

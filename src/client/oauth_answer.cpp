#include "client/oauth_answer.hpp"

#include "base/text.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace postferry::client {

namespace json = boost::json;

namespace {

constexpr std::size_t longest_token = 16U << 10U;

std::string_view text_of(const json::object& o, std::string_view name) {
    const json::value* v = o.if_contains(name);
    return v != nullptr && v->is_string() ? std::string_view(v->get_string()) : std::string_view{};
}

// RFC 6749, appendix A.12: VSCHAR. Anything else would end the field that carries it in SASL.
bool is_token(std::string_view text) {
    return !text.empty() && text.size() <= longest_token &&
           std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; });
}

std::optional<std::chrono::seconds> life_of(const json::object& o) {
    const json::value* v = o.if_contains("expires_in");
    if (v == nullptr) return std::nullopt;
    std::optional<std::uint64_t> n;
    if (v->is_int64() && v->get_int64() >= 0) n = static_cast<std::uint64_t>(v->get_int64());
    if (v->is_uint64()) n = v->get_uint64();
    if (v->is_string()) n = parse_u64(std::string_view(v->get_string())); // Azure AD's first version
    if (!n) return std::nullopt;
    return std::chrono::seconds(std::min<std::uint64_t>(*n, 365ULL * 86'400));
}

std::string blotted(std::string text, std::span<const std::string_view> secrets) {
    for (const std::string_view s : secrets)
        for (std::size_t at = 0; s.size() > 2 && (at = text.find(s, at)) != std::string::npos;)
            text.replace(at, s.size(), "***");
    return text;
}

error refusal(std::string_view host, unsigned status, const json::object& o,
              std::span<const std::string_view> secrets) {
    const std::string_view code = text_of(o, "error");
    error e{.cls = retry_class::auth,
            .where = phase::login,
            .what = fmt::format("{} gave no token (HTTP {})", host, status),
            .server_said = {},
            .advice = {},
            .response_code = {}};
    if (status == 429 || code == "slow_down") e.cls = retry_class::throttled;
    if (status >= 500 || code == "temporarily_unavailable" || code == "server_error") e.cls = retry_class::transient;
    std::string said(code);
    if (const auto more = text_of(o, "error_description"); !more.empty())
        said += fmt::format("{}{}", said.empty() ? "" : ": ", more);
    if (!said.empty()) e.server_said = quote_server_text(blotted(std::move(said), secrets));
    if (e.cls != retry_class::auth) return e;
    if (code == "invalid_grant")
        e.advice = "The refresh token is no longer good: somebody must sign in again and store a new one";
    else if (code == "invalid_client" || code == "unauthorized_client")
        e.advice = "Check --oauth-client-id and the secret, and whether the client may use this grant";
    else if (code == "invalid_scope")
        e.advice = "Check --oauth-scope";
    else
        e.advice = "Check the --oauth- options";
    return e;
}

} // namespace

result<oauth_token> read_token_answer(std::string_view host, unsigned status, std::string_view body,
                                      std::span<const std::string_view> secrets) {
    boost::system::error_code failed;
    json::parse_options how;
    how.max_depth = 16;
    const json::value parsed = json::parse(json::string_view(body.data(), body.size()), failed, {}, how);
    static const json::object nothing;
    const json::object& o = !failed && parsed.is_object() ? parsed.get_object() : nothing;
    if (status != 200) return std::unexpected(refusal(host, status, o, secrets));
    if (failed || !parsed.is_object() || !is_token(text_of(o, "access_token")))
        return fail(retry_class::protocol, phase::login,
                    fmt::format("{} answered, and there is no token in what it sent", host),
                    "Is the URL that of the token endpoint?");
    if (const auto type = text_of(o, "token_type"); !type.empty() && !iequals(type, "Bearer"))
        return fail(
            retry_class::config, phase::login,
            fmt::format("{} gave a token of type {}, and mail servers take Bearer", host, quote_server_text(type, 40)));
    oauth_token out{.access_token = secret(std::string(text_of(o, "access_token"))),
                    .lives = life_of(o),
                    .refresh_token = std::nullopt};
    if (const auto refresh = text_of(o, "refresh_token"); is_token(refresh))
        out.refresh_token = secret(std::string(refresh));
    return out;
}

} // namespace postferry::client

// What a token endpoint may answer, and what an URL may be: nothing of it throws, a token that comes out can be carried
// by SASL, and no error holds a secret.
#include "client/oauth_answer.hpp"
#include "net/http_post.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

bool printable(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; });
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (size == 0) return 0;
    constexpr std::array<unsigned, 5> statuses{200, 400, 401, 429, 503};
    constexpr std::array<std::string_view, 2> secrets{"client-secret", "refresh"};
    const auto token = postferry::client::read_token_answer("login.example.org", statuses[data[0] % statuses.size()],
                                                            text.substr(1), secrets);
    if (token) {
        require(!token->access_token.empty() && printable(token->access_token.reveal()));
        require(!token->refresh_token || printable(token->refresh_token->reveal()));
        require(!token->lives || token->lives->count() >= 0);
    } else {
        for (const std::string_view s : secrets) require(token.error().server_said.find(s) == std::string::npos);
        require(token.error().message().size() < 2'000);
    }
    if (const auto url = postferry::net::parse_http_url(text)) {
        require(url->where.port != 0 && !url->where.host.empty() && url->target.starts_with('/'));
        require(printable(url->target) && url->target.find(' ') == std::string::npos);
        require(url->tls || url->where.host == "localhost" || url->where.host == "::1" ||
                url->where.host.starts_with("127."));
    }
    return 0;
}

#include "base/error.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

namespace postferry {

std::string_view name_of(retry_class c) noexcept {
    switch (c) {
    case retry_class::transient: return "transient";
    case retry_class::throttled: return "throttled";
    case retry_class::auth: return "auth";
    case retry_class::config: return "config";
    case retry_class::permanent: return "permanent";
    case retry_class::protocol: return "protocol";
    case retry_class::local: return "local";
    case retry_class::cancelled: return "cancelled";
    }
    return "unknown";
}

std::string_view name_of(phase p) noexcept {
    switch (p) {
    case phase::usage: return "usage";
    case phase::resolve: return "resolve";
    case phase::connect: return "connect";
    case phase::tls: return "tls";
    case phase::greeting: return "greeting";
    case phase::login: return "login";
    case phase::list: return "list";
    case phase::scan: return "scan";
    case phase::fetch: return "fetch";
    case phase::append: return "append";
    case phase::create: return "create";
    case phase::store_flags: return "store flags";
    case phase::subscribe: return "subscribe";
    case phase::verify: return "verify";
    case phase::ledger: return "ledger";
    }
    return "unknown";
}

std::string error::message() const {
    std::string text = what;
    if (!server_said.empty()) text += fmt::format("; server said: {}", server_said);
    // The server's text often ends its own sentence.
    if (!advice.empty()) text += fmt::format("{} {}", text.ends_with('.') ? "" : ".", advice);
    return text;
}

std::string quote_server_text(std::string_view text, std::size_t limit) {
    std::string out;
    out.reserve(std::min(text.size(), limit));
    for (std::size_t i = 0; i < text.size();) {
        if (out.size() >= limit) return out + "...";
        const std::size_t n = utf8_sequence_length(text.substr(i));
        const auto c = static_cast<unsigned char>(text[i]);
        if (n == 0 || (n == 1 && (c < 0x20 || c == 0x7f))) {
            out += fmt::format("\\x{:02x}", c);
            ++i;
        } else {
            out.append(text.substr(i, n));
            i += n;
        }
    }
    return out;
}

} // namespace postferry

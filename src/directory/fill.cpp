#include "directory/fill.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::directory {

namespace {

/// The value of a name in braces; null: there is no such name.
std::string_view value_of(std::string_view name, const address& account) noexcept {
    if (name == "{address}") return account.text();
    if (name == "{local}") return account.local();
    return name == "{domain}" ? account.domain() : name;
}

/// The next piece: text without braces, or "{...}" (a brace alone where nothing closes it).
std::string_view next_piece(std::string_view pattern) noexcept {
    if (!pattern.starts_with('{')) return pattern.substr(0, std::min(pattern.find('{'), pattern.size()));
    const std::size_t close = pattern.find('}');
    return pattern.substr(0, close == std::string_view::npos ? 1 : close + 1);
}

} // namespace

std::string filled(std::string_view pattern, const address& account) {
    std::string out;
    while (!pattern.empty()) {
        const std::string_view piece = next_piece(pattern);
        out += piece.starts_with('{') ? value_of(piece, account) : piece;
        pattern.remove_prefix(piece.size());
    }
    return out;
}

result<void> check_pattern(std::string_view pattern) {
    const auto bad = [&](std::string_view why) {
        return fail(retry_class::config, phase::usage, fmt::format("\"{}\" {}", quote_server_text(pattern, 80), why));
    };
    if (pattern.empty() || pattern.size() > 255) return bad("has not 1 to 255 octets");
    if (!is_utf8(pattern)) return bad("is not UTF-8");
    if (std::ranges::any_of(pattern, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
        return bad("has a control character");
    if (pattern.contains("..")) return bad("has \"..\"");
    for (std::string_view left = pattern; !left.empty();) {
        const std::string_view piece = next_piece(left);
        if (piece.starts_with('{') && piece != "{address}" && piece != "{local}" && piece != "{domain}")
            return bad("has braces that hold neither address, local nor domain");
        left.remove_prefix(piece.size());
    }
    if (!pattern.contains("{address}") && !pattern.contains("{local}")) return bad("is the same for all accounts");
    return {};
}

} // namespace postferry::directory

#include "api/page_html.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <array>
#include <sodium.h>

namespace postferry::api {

namespace {

constexpr std::string_view style =
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.5 system-ui,sans-serif;margin:0 auto;max-width:32rem;padding:2rem 1rem}"
    "h1{font-size:1.4rem}label{display:block;margin-top:1rem}"
    "input,button{box-sizing:border-box;width:100%;font:inherit;padding:.6rem;margin-top:.25rem}"
    "button{margin-top:1.5rem;cursor:pointer}"
    ".wrong{border-left:.25rem solid #c00;padding-left:.75rem}"
    ".name{font-weight:bold;overflow-wrap:anywhere}";

/// 'sha256-...' of the style, so that no other one counts (CSP 3, section 2.3.1).
const std::string& style_hash() {
    static const std::string hash = [] {
        std::array<unsigned char, crypto_hash_sha256_BYTES> digest{};
        crypto_hash_sha256(digest.data(), reinterpret_cast<const unsigned char*>(style.data()), style.size());
        std::array<char, sodium_base64_ENCODED_LEN(crypto_hash_sha256_BYTES, sodium_base64_VARIANT_ORIGINAL)> text{};
        sodium_bin2base64(text.data(), text.size(), digest.data(), digest.size(), sodium_base64_VARIANT_ORIGINAL);
        return fmt::format("'sha256-{}'", text.data());
    }();
    return hash;
}

void add_escaped(std::string& to, std::string_view character) {
    switch (character.front()) {
    case '&': to += "&amp;"; break;
    case '<': to += "&lt;"; break;
    case '>': to += "&gt;"; break;
    case '"': to += "&quot;"; break;
    case '\'': to += "&#39;"; break;
    default: to += character;
    }
}

} // namespace

std::string html_text(std::string_view text, std::size_t most) {
    constexpr std::string_view unknown = "\xEF\xBF\xBD", cut = "\xE2\x80\xA6";
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = utf8_sequence_length(text.substr(at));
        if (at + length > most) return out.append(cut);
        const auto first = static_cast<unsigned char>(text[at]);
        const bool control = first < 0x20 || first == 0x7F;
        // U+202A..E and U+2066..9 would turn the direction of what stands beside them.
        const std::string_view one = text.substr(at, length);
        const bool turns =
            (one >= "\xE2\x80\xAA" && one <= "\xE2\x80\xAE") || (one >= "\xE2\x81\xA6" && one <= "\xE2\x81\xA9");
        if (length == 0 || control || turns)
            out += unknown;
        else
            add_escaped(out, one);
        at += length == 0 ? 1 : length;
    }
    return out;
}

http::reply reply_of(page p) {
    http::reply r{.status = p.status,
                  .type = "text/html; charset=utf-8",
                  .body = fmt::format("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                                      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
                                      "<meta name=\"robots\" content=\"noindex\"><title>{0}</title><style>{1}</style>"
                                      "</head><body><main><h1>{0}</h1>\n{2}</main></body></html>\n",
                                      p.title, style, p.main),
                  .fields = std::move(p.fields)};
    r.fields.emplace_back("Content-Security-Policy",
                          fmt::format("default-src 'none'; style-src {}; form-action 'self'; base-uri 'none'; "
                                      "frame-ancestors 'none'",
                                      style_hash()));
    r.fields.emplace_back("X-Content-Type-Options", "nosniff");
    r.fields.emplace_back("X-Frame-Options", "DENY");
    r.fields.emplace_back("X-Robots-Tag", "noindex");
    r.fields.emplace_back("Referrer-Policy", "no-referrer"); // the address is a secret
    r.fields.emplace_back("Cache-Control", "no-store");
    return r;
}

} // namespace postferry::api

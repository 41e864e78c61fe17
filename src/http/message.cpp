#include "http/message.hpp"

#include <algorithm>

namespace postferry::http {

namespace {

constexpr std::size_t most_segments = 32;
constexpr std::size_t most_query_fields = 64;

int hex(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool is_plain_segment(std::string_view s) noexcept {
    return !s.empty() && s != "." && s != ".." && s.find('/') == std::string_view::npos &&
           std::ranges::none_of(s, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

} // namespace

std::string_view name_of(method m) noexcept {
    switch (m) {
    case method::get: return "GET";
    case method::head: return "HEAD";
    case method::post: return "POST";
    case method::put: return "PUT";
    case method::patch: return "PATCH";
    case method::del: return "DELETE";
    }
    return "?";
}

std::optional<std::string> percent_decode(std::string_view text, bool plus) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%') {
            const int high = i + 2 < text.size() ? hex(text[i + 1]) : -1;
            const int low = i + 2 < text.size() ? hex(text[i + 2]) : -1;
            if (high < 0 || low < 0) return std::nullopt;
            c = static_cast<char>(high * 16 + low);
            i += 2;
        } else if (plus && c == '+') {
            c = ' ';
        }
        if (c == '\0') return std::nullopt;
        out += c;
    }
    return out;
}

std::optional<field_list> parse_query(std::string_view query) {
    field_list out;
    while (!query.empty()) {
        const std::string_view one = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), one.size() + 1));
        if (one.empty()) continue;
        const std::size_t equals = one.find('=');
        auto name = percent_decode(one.substr(0, equals), true);
        auto value = percent_decode(equals == std::string_view::npos ? "" : one.substr(equals + 1), true);
        if (!name || !value || out.size() == most_query_fields) return std::nullopt;
        out.emplace_back(std::move(*name), std::move(*value));
    }
    return out;
}

std::optional<std::vector<std::string>> parse_path(std::string_view path) {
    std::vector<std::string> out;
    if (!path.starts_with('/')) return std::nullopt;
    path.remove_prefix(1);
    while (!path.empty()) {
        const std::string_view one = path.substr(0, path.find('/'));
        path.remove_prefix(std::min(path.size(), one.size() + 1));
        auto segment = percent_decode(one);
        if (!segment || !is_plain_segment(*segment) || out.size() == most_segments) return std::nullopt;
        out.push_back(std::move(*segment));
    }
    return out;
}

} // namespace postferry::http

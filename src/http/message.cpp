#include "http/message.hpp"

#include "base/percent.hpp"

#include <boost/asio/ip/address.hpp>

#include <algorithm>

namespace postferry::http {

namespace {

constexpr std::size_t most_segments = 32;
constexpr std::size_t most_query_fields = 64;

bool is_plain_segment(std::string_view s) noexcept {
    return !s.empty() && s != "." && s != ".." && s.find('/') == std::string_view::npos &&
           std::ranges::none_of(s, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

/// A part of a URL; one with a NUL is none.
std::optional<std::string> decoded(std::string_view text) {
    auto out = percent_decode(text);
    if (out && out->contains('\0')) out.reset();
    return out;
}

/// A part of a query: "+" is a space as well.
std::optional<std::string> form_decoded(std::string_view text) {
    std::string spaced(text);
    std::ranges::replace(spaced, '+', ' ');
    return decoded(spaced);
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

std::string network_of(std::string_view address) {
    boost::system::error_code ec;
    const auto parsed = boost::asio::ip::make_address(std::string(address), ec);
    if (ec || !parsed.is_v6()) return std::string(address);
    auto octets = parsed.to_v6().to_bytes();
    std::fill(octets.begin() + 8, octets.end(), std::uint8_t{0});
    return boost::asio::ip::make_address_v6(octets).to_string() + "/64";
}

std::optional<field_list> parse_query(std::string_view query) {
    field_list out;
    while (!query.empty()) {
        const std::string_view one = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), one.size() + 1));
        if (one.empty()) continue;
        const std::size_t equals = one.find('=');
        auto name = form_decoded(one.substr(0, equals));
        auto value = form_decoded(equals == std::string_view::npos ? "" : one.substr(equals + 1));
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
        auto segment = decoded(one);
        if (!segment || !is_plain_segment(*segment) || out.size() == most_segments) return std::nullopt;
        out.push_back(std::move(*segment));
    }
    return out;
}

} // namespace postferry::http

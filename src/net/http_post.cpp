#include "net/http_post.hpp"

#include "base/text.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postferry::net {

namespace http = boost::beast::http;

namespace {

constexpr std::uint32_t longest_header = 16U << 10U;
constexpr std::uint64_t longest_body = 64U << 10U;
constexpr std::size_t longest_url = 2'000;

bool is_loopback(std::string_view host) {
    return host == "localhost" || host == "::1" ||
           (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos);
}

std::unexpected<error> bad_url(std::string what) {
    return fail(retry_class::config, phase::usage, std::move(what),
                "Write https://HOST[:PORT]/PATH; http:// is for this machine only");
}

result<std::pair<std::string, std::uint16_t>> parse_authority(std::string_view text, std::uint16_t port) {
    std::string_view host = text;
    std::string_view rest;
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == std::string_view::npos) return bad_url("The URL's address has no end");
        host = text.substr(1, end - 1);
        rest = text.substr(end + 1);
    } else if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
        host = text.substr(0, colon);
        rest = text.substr(colon);
    }
    if (!rest.empty()) {
        const auto number = rest.starts_with(':') ? parse_u32(rest.substr(1)) : std::nullopt;
        if (!number || *number == 0 || *number > 65'535) return bad_url("The URL's port is no number from 1 to 65535");
        port = static_cast<std::uint16_t>(*number);
    }
    constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyz0123456789.-:_";
    std::string lower = ascii_lower(host);
    if (lower.empty() || lower.find_first_not_of(allowed) != std::string::npos) return bad_url("The URL names no host");
    return std::pair(std::move(lower), port);
}

std::string head_of(const http_url& url, std::size_t octets) {
    const bool v6 = url.where.host.contains(':');
    const std::string host = v6 ? fmt::format("[{}]", url.where.host) : url.where.host;
    const bool usual = url.where.port == (url.tls ? 443 : 80);
    return fmt::format("POST {} HTTP/1.1\r\nHost: {}{}\r\nUser-Agent: postferry/{}\r\nAccept: application/json\r\n"
                       "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n"
                       "Connection: close\r\n\r\n",
                       url.target, host, usual ? "" : fmt::format(":{}", url.where.port), POSTFERRY_VERSION, octets);
}

std::unexpected<error> no_http(const http_url& url, std::string_view why) {
    return fail(retry_class::protocol, phase::login,
                fmt::format("{} does not speak HTTP that can be used: {}", url.where.host, why));
}

} // namespace

result<http_url> parse_http_url(std::string_view url) {
    http_url out;
    if (url.size() > longest_url) return bad_url("The URL is too long");
    if (istarts_with(url, "https://")) {
        url.remove_prefix(8);
    } else if (istarts_with(url, "http://")) {
        url.remove_prefix(7);
        out.tls = false;
    } else {
        return bad_url("The URL begins with neither https:// nor http://");
    }
    // Printable ASCII only: what ends a line here would end the request's first line.
    if (!std::ranges::all_of(url, [](char c) { return c > 0x20 && c < 0x7f; }))
        return bad_url("The URL holds a character that must be percent-encoded");
    const std::size_t end = url.find_first_of("/?#");
    const std::string_view authority = url.substr(0, end);
    if (authority.contains('@')) return bad_url("The URL must not hold a user or a password");
    auto where = parse_authority(authority, out.tls ? 443 : 80);
    if (!where) return std::unexpected(where.error());
    out.where = {.host = std::move(where->first), .port = where->second};
    if (!out.tls && !is_loopback(out.where.host)) return bad_url("What goes there is secret and needs https://");
    std::string_view target = end == std::string_view::npos ? std::string_view{} : url.substr(end);
    target = target.substr(0, target.find('#'));
    out.target = target.starts_with('/') ? std::string(target) : fmt::format("/{}", target);
    return out;
}

task<result<http_answer>> http_post(executor ex, http_url url, tls_settings tls, secret body, deadline until) {
    tls.mode = url.tls ? tls_mode::implicit : tls_mode::off;
    auto line = co_await connection::open(ex, url.where, tls, until);
    if (!line) co_return std::unexpected(line.error());
    std::string head = head_of(url, body.reveal().size());
    const std::array<iovec, 2> pieces{
        {{head.data(), head.size()}, {const_cast<char*>(body.reveal().data()), body.reveal().size()}}};
    if (auto sent = co_await (*line)->write(pieces, std::chrono::seconds(30), until); !sent)
        co_return std::unexpected(sent.error());

    http::response_parser<http::string_body> parser;
    parser.header_limit(longest_header);
    parser.body_limit(longest_body);
    parser.eager(true);
    std::string pending; // a header that is not whole yet is given again
    std::array<char, 4096> room{};
    while (!parser.is_done()) {
        const auto n = co_await (*line)->read_some(room, until);
        if (!n) co_return std::unexpected(n.error());
        boost::system::error_code failed;
        if (*n == 0) {
            if (parser.got_some()) parser.put_eof(failed);
            if (failed || !parser.got_some())
                co_return fail(retry_class::transient, phase::login,
                               fmt::format("{} closed the connection within its answer", url.where.host));
            break;
        }
        pending.append(room.data(), *n);
        while (!pending.empty() && !parser.is_done()) {
            const std::size_t used = parser.put(boost::asio::buffer(pending), failed);
            pending.erase(0, used);
            if (failed == http::error::need_more) break;
            if (failed) co_return no_http(url, failed.message());
            if (used == 0) break;
        }
    }
    (*line)->close();
    http_answer answer{.status = parser.get().result_int(), .body = std::move(parser.get().body()), .retry_after = {}};
    if (const auto field = parser.get().find(http::field::retry_after); field != parser.get().end())
        if (const auto seconds = parse_u32(std::string_view(field->value().data(), field->value().size())))
            answer.retry_after = std::chrono::seconds(std::min(*seconds, 86'400U));
    co_return answer;
}

void form_body::add(std::string_view name, std::string_view value) {
    const auto put = [this](std::string_view text) {
        for (const char c : text) {
            const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '*' ||
                               c == '-' || c == '.' || c == '_';
            if (c == ' ')
                text_ += '+';
            else if (plain)
                text_ += c;
            else
                text_ += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    };
    if (!text_.empty()) text_ += '&';
    put(name);
    text_ += '=';
    put(value);
}

} // namespace postferry::net

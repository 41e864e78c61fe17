#include "mailbox/endpoint.hpp"

#include "base/text.hpp"
#include "mailbox/detail/endpoint_query.hpp"

#include <boost/asio/ip/address_v6.hpp>
#include <fmt/format.h>

#include <array>
#include <vector>

namespace postferry::mailbox {

namespace {

using detail::decode;
using detail::refuse;

// A URL longer than this is a mistake, not an endpoint.
constexpr std::size_t max_url = 8192;

constexpr bool unreserved(char c) noexcept {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

/// unreserved of RFC 3986 stays, everything else is encoded: the name is a key of the ledger and has one spelling.
std::string encode(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (unreserved(c)) {
            out += c;
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

std::string encode_path(std::string_view path) {
    std::string out;
    while (true) {
        const std::size_t slash = path.find('/');
        out += encode(path.substr(0, slash));
        if (slash == std::string_view::npos) return out;
        out += '/';
        path.remove_prefix(slash + 1);
    }
}

constexpr std::array<std::string_view, 3> placeholders{"{user}", "{local}", "{domain}"};

std::string fill(std::string_view text, std::string_view row_user) {
    const std::size_t at = row_user.rfind('@');
    const std::string_view local = row_user.substr(0, at);
    const std::string_view domain = at == std::string_view::npos ? std::string_view{} : row_user.substr(at + 1);
    const std::array<std::string_view, 3> values{row_user, local, domain};
    std::string out;
    while (!text.empty()) {
        std::size_t which = 0;
        while (which < placeholders.size() && !text.starts_with(placeholders[which])) ++which;
        if (which == placeholders.size()) {
            out += text.front();
            text.remove_prefix(1);
        } else {
            out += encode(values[which]);
            text.remove_prefix(placeholders[which].size());
        }
    }
    return out;
}

/// Whether a path that the row's user is filled into stays where the administrator wrote it.
bool stays_in_place(std::string_view row_user) noexcept {
    if (row_user.find('/') != std::string_view::npos) return false;
    const std::size_t at = row_user.rfind('@');
    const std::string_view domain = at == std::string_view::npos ? std::string_view{} : row_user.substr(at + 1);
    for (const std::string_view part : {row_user, row_user.substr(0, at), domain})
        if (part == "." || part == "..") return false;
    return true;
}

struct url_parts {
    std::string_view scheme, user, host_port, path, query;
    bool has_user = false;
};

/// The scheme, userinfo, host and query. A raw "@" may stand in the user name: the last one ends it.
result<url_parts> split(std::string_view url) {
    url_parts parts;
    const std::size_t colon = url.find(':');
    if (colon == std::string_view::npos || colon == 0)
        return refuse("an endpoint is a URL such as imaps://alice@mail.example.org, and this has no scheme",
                      url.starts_with('/') || url.starts_with('.')
                          ? "A place on this machine is maildir:/PATH (it holds cur, new and tmp) or mbox:/PATH"
                          : "Write imap:// or imaps:// in front");
    parts.scheme = url.substr(0, colon);
    if (auto known = parse_scheme(parts.scheme); !known) return std::unexpected(known.error());
    url.remove_prefix(colon + 1);
    // "#" begins a fragment (RFC 3986); a name or password that holds one was meant to be encoded.
    if (url.find('#') != std::string_view::npos)
        return refuse("a \"#\" has no meaning in an endpoint", "Write %23 if a name contains it");
    if (is_local(*parse_scheme(parts.scheme))) {
        const std::size_t end = url.find('?');
        parts.path = url.substr(0, end);
        if (end != std::string_view::npos) parts.query = url.substr(end + 1);
        return parts;
    }
    if (!url.starts_with("//")) return refuse(fmt::format("\"{}:\" must be followed by //user@host", parts.scheme));
    url.remove_prefix(2);
    const std::size_t query = url.find('?');
    if (query != std::string_view::npos) parts.query = url.substr(query + 1);
    std::string_view rest = url.substr(0, query);
    if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
        parts.has_user = true;
        parts.user = rest.substr(0, at);
        rest.remove_prefix(at + 1);
    }
    const std::size_t slash = rest.find('/');
    if (slash != std::string_view::npos && slash + 1 != rest.size())
        return refuse("an endpoint has no path after the host", "Choose folders with --include, or use prefix=");
    parts.host_port = rest.substr(0, slash);
    return parts;
}

result<void> read_user(endpoint& out, const url_parts& parts) {
    if (!parts.has_user) return {};
    if (parts.user.find(':') != std::string_view::npos)
        return refuse("a password does not belong in the URL, where process lists and shell histories show it",
                      "Use the CSV, --source-password-file or --target-password-file, or the environment; a \":\" that "
                      "is part of the user name is written %3A");
    auto user = decode(parts.user);
    if (!user) return refuse("the user name in the URL has a bad percent-encoding", "A literal % is written %25");
    if (parts.user.find('/') != std::string_view::npos || user->empty())
        return refuse(user->empty() ? "the user name in the URL is empty"
                                    : "a \"/\" in the user name must be written %2F");
    out.user = std::move(*user);
    return {};
}

/// A path on this machine: absolute, so that the ledger's key means the same from every working folder.
result<void> read_path(endpoint& out, std::string_view text) {
    // maildir:///srv/mail is how RFC 8089 would write it.
    if (text.starts_with("///")) text.remove_prefix(2);
    auto path = decode(text);
    if (!path) return refuse("the path in the endpoint has a bad percent-encoding");
    if (!path->starts_with('/') || path->starts_with("//"))
        return refuse(fmt::format("a {}: endpoint takes an absolute path", name_of(out.kind)),
                      fmt::format("Write {}:/srv/mail/alice", name_of(out.kind)));
    while (path->size() > 1 && path->ends_with('/')) path->pop_back();
    out.path = std::move(*path);
    return {};
}

result<void> read_host(endpoint& out, std::string_view text) {
    std::size_t host_end = text.starts_with('[') ? text.find(']') : text.find(':');
    if (text.starts_with('[')) {
        if (host_end == std::string_view::npos) return refuse("the IPv6 address in the URL is not closed with \"]\"");
        ++host_end;
    } else if (host_end != std::string_view::npos && text.find(':', host_end + 1) != std::string_view::npos) {
        return refuse("an IPv6 address in a URL stands in brackets", "Write imaps://alice@[2001:db8::1]:993");
    }
    auto decoded = decode(text.substr(0, host_end));
    if (!decoded) return refuse("the host in the URL has a bad percent-encoding");
    auto host = parse_host(*decoded);
    if (!host) return std::unexpected(host.error());
    out.where.host = std::move(*host);
    const std::string_view rest = host_end >= text.size() ? std::string_view{} : text.substr(host_end);
    if (rest.empty()) return {};
    const auto port = rest.starts_with(':') ? parse_u32(rest.substr(1)) : std::nullopt;
    if (!port || *port == 0 || *port > 65535) return refuse("the port in the URL must be a number from 1 to 65535");
    out.where.port = static_cast<std::uint16_t>(*port);
    return {};
}

} // namespace

bool has_placeholder(std::string_view url) noexcept {
    return std::ranges::any_of(placeholders, [&](std::string_view p) { return url.find(p) != std::string_view::npos; });
}

result<std::string> parse_host(std::string_view text) {
    if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
    if (text.find(':') != std::string_view::npos) {
        // A zone ("fe80::1%eth0", RFC 6874) is the resolver's business.
        boost::system::error_code ec;
        boost::asio::ip::make_address_v6(std::string(text.substr(0, text.find('%'))), ec);
        if (ec) return refuse(fmt::format("\"{}\" is no IPv6 address", quote_server_text(text, 60)));
        return ascii_lower(text);
    }
    // A placeholder stands for a label of a name.
    std::string name(text);
    for (const std::string_view p : placeholders)
        for (std::size_t at = 0; (at = name.find(p, at)) != std::string::npos;) name.replace(at, p.size(), "a");
    const bool ascii = std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    if (!ascii) return refuse("a host name with letters beyond ASCII is not looked up", "Write its xn-- form");
    const bool letters = name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._") ==
                         std::string::npos;
    if (name.empty()) return refuse("the endpoint has no host");
    const bool dots = !name.starts_with('.') && !name.starts_with('-') && name.find("..") == std::string::npos;
    if (!letters || !dots || name.size() > 253)
        return refuse(fmt::format("\"{}\" is no host name or address", quote_server_text(text, 60)));
    return ascii_lower(text);
}

std::optional<net::tls_mode> parse_tls_mode(std::string_view text) noexcept {
    if (text == "detect") return net::tls_mode::detect;
    if (text == "require") return net::tls_mode::require;
    if (text == "implicit") return net::tls_mode::implicit;
    if (text == "off") return net::tls_mode::off;
    return std::nullopt;
}

result<scheme> parse_scheme(std::string_view text) {
    for (const scheme s :
         {scheme::imap, scheme::imaps, scheme::pop3, scheme::pop3s, scheme::maildir, scheme::mbox, scheme::lmtp})
        if (iequals(text, name_of(s))) return s;
    return refuse("the endpoint's scheme is not known",
                  "Write imap://, imaps://, pop3://, pop3s://, lmtp://, maildir:/path or mbox:/path");
}

std::string_view name_of(scheme s) noexcept {
    switch (s) {
    case scheme::imap: return "imap";
    case scheme::imaps: return "imaps";
    case scheme::pop3: return "pop3";
    case scheme::pop3s: return "pop3s";
    case scheme::maildir: return "maildir";
    case scheme::mbox: return "mbox";
    case scheme::lmtp: return "lmtp";
    }
    return "imap";
}

std::string endpoint::display() const {
    std::string out(name_of(kind));
    if (is_local(kind)) return out + ":" + encode_path(path);
    out += "://";
    if (!user.empty()) out += encode(user) + "@";
    // The "%" before an address' zone is encoded (RFC 6874).
    const std::size_t zone = where.host.find('%');
    out += where.host.find(':') == std::string::npos ? where.host
           : zone == std::string::npos
               ? fmt::format("[{}]", where.host)
               : fmt::format("[{}{}]", where.host.substr(0, zone), encode(where.host.substr(zone)));
    if (where.port != default_port(kind)) out += fmt::format(":{}", where.port);
    return out;
}

result<endpoint> parse_endpoint(std::string_view url, std::optional<std::string_view> row_user) {
    if (url.size() > max_url) return refuse(fmt::format("an endpoint is at most {} octets long", max_url));
    if (row_user && row_user->find('@') == std::string_view::npos && url.find("{domain}") != std::string_view::npos)
        return refuse("{domain} cannot be filled: the row's user name has no domain");
    const std::string filled = row_user && has_placeholder(url) ? fill(url, *row_user) : std::string(url);
    auto parts = split(filled);
    if (!parts) return std::unexpected(parts.error());
    endpoint out;
    if (is_local(*parse_scheme(parts->scheme)) && row_user && has_placeholder(url) && !stays_in_place(*row_user))
        return refuse("the row's user name cannot be part of a path", "It holds a \"/\" or is a \"..\"");
    out.kind = *parse_scheme(parts->scheme);
    out.where.port = default_port(out.kind);
    out.tls.mode = default_tls(out.kind);
    if (is_local(out.kind)) {
        if (auto ok = read_path(out, parts->path); !ok) return std::unexpected(ok.error());
    } else {
        if (auto ok = read_user(out, *parts); !ok) return std::unexpected(ok.error());
        if (auto ok = read_host(out, parts->host_port); !ok) return std::unexpected(ok.error());
        if (row_user && has_placeholder(out.where.host))
            return refuse("the row's user name cannot be part of a host name");
    }
    if (auto ok = detail::read_query(out, parts->query); !ok) return std::unexpected(ok.error());
    return out;
}

} // namespace postferry::mailbox

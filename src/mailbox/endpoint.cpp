#include "mailbox/endpoint.hpp"

#include "base/text.hpp"
#include "client/quirks.hpp"

#include <boost/asio/ip/address_v6.hpp>
#include <fmt/format.h>

#include <array>
#include <vector>

namespace postferry::mailbox {

namespace {

// A URL longer than this is a mistake, not an endpoint.
constexpr std::size_t max_url = 8192;
constexpr std::uint32_t max_connections_limit = 100;

std::unexpected<error> refuse(std::string what, std::string advice = {}) {
    return fail(retry_class::config, phase::usage, std::move(what), std::move(advice));
}

int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    const char l = ascii_lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/// pct-encoded of RFC 3986 section 2.1; "+" is itself. Nothing on a lame "%", on NUL, control characters or octets that
/// are no UTF-8.
std::optional<std::string> decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        if (i + 2 >= text.size()) return std::nullopt;
        const int high = hex_value(text[i + 1]);
        const int low = hex_value(text[i + 2]);
        if (high < 0 || low < 0) return std::nullopt;
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    for (const char c : out)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
    if (!is_utf8(out)) return std::nullopt;
    return out;
}

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
                      "Write imap:// or imaps:// in front");
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

std::unexpected<error> bad_value(std::string_view name, std::string_view allowed) {
    return refuse(fmt::format("{}= takes {}", name, allowed));
}

result<void> add_pin(net::tls_settings& tls, std::string_view value) {
    constexpr std::string_view scheme_prefix = "pin:sha256/";
    const std::string_view pin = value.substr(std::min(scheme_prefix.size(), value.size()));
    const bool shape = istarts_with(value, scheme_prefix) && pin.size() == 44 && pin.ends_with('=') &&
                       pin.substr(0, 43).find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                                           "0123456789+/") == std::string_view::npos;
    if (!shape)
        return refuse(
            "verify=pin: takes sha256/ and the base64 of a SHA-256 of the server's public key, 44 characters");
    tls.verify = net::tls_verify::pin;
    tls.pins.emplace_back(pin);
    return {};
}

result<void> set_tls(endpoint& e, const std::string& value) {
    const auto mode = parse_tls_mode(value);
    if (!mode) return bad_value("tls", "detect, require, implicit or off");
    e.tls.mode = *mode;
    return {};
}

result<void> set_verify(endpoint& e, const std::string& value) {
    if (value == "ca") return {};
    if (istarts_with(value, "pin:")) return add_pin(e.tls, value);
    if (value != "off") return bad_value("verify", "ca, pin:sha256/BASE64 or off");
    e.tls.verify = net::tls_verify::off;
    return {};
}

result<void> set_auth(endpoint& e, const std::string& value) {
    const auto choice = sasl::parse_choice(value);
    if (!choice)
        return bad_value("auth", "auto, plain, login, cram-md5, scram-sha-1, scram-sha-256, xoauth2, oauthbearer or "
                                 "external");
    e.auth = *choice;
    return {};
}

result<void> set_admin_form(endpoint& e, const std::string& value) {
    if (value == "sasl") {
        e.form = admin_form::sasl;
    } else if (value == "star") {
        e.form = admin_form::star;
    } else if (value == "slash") {
        e.form = admin_form::slash;
    } else {
        return bad_value("admin-form", "sasl, star (user*admin) or slash (domain/admin/user)");
    }
    return {};
}

result<void> set_max_connections(endpoint& e, const std::string& value) {
    const auto n = parse_u32(value);
    if (!n || *n == 0 || *n > max_connections_limit)
        return bad_value("max-connections", fmt::format("a number from 1 to {}", max_connections_limit));
    e.max_connections = *n;
    return {};
}

template <std::string net::tls_settings::* Member> result<void> set_tls_file(endpoint& e, const std::string& value) {
    e.tls.*Member = value;
    return {};
}

template <std::string endpoint::* Member> result<void> set_text(endpoint& e, const std::string& value) {
    e.*Member = value;
    return {};
}

result<void> set_oauth(endpoint& e, const std::string& value) {
    const bool good =
        value.size() <= 64 && value.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                                      "0123456789-_") == std::string::npos;
    if (!good) return bad_value("oauth", "the NAME of an [oauth.NAME] in the configuration");
    e.oauth = value;
    return {};
}

result<void> set_quirks(endpoint& e, const std::string& value) {
    e.quirks = value;
    if (auto known = client::parse_quirks(value); !known) return std::unexpected(known.error());
    return {};
}

result<void> set_uidl(endpoint& e, const std::string& value) {
    const auto other = parse_endpoint(value);
    const bool pop3 = other && (other->kind == scheme::pop3 || other->kind == scheme::pop3s);
    if (!pop3 || !other->user.empty() || value.find('?') != std::string::npos)
        return bad_value("uidl", "pop3://host:port or pop3s://host:port, without user and options: they are the same "
                                 "as of the endpoint");
    e.uidl = uidl_access{.kind = other->kind, .where = other->where};
    return {};
}

result<void> set_compress(endpoint& e, const std::string& value) {
    if (value == "auto") {
        e.compress = client::compression::when_it_pays;
    } else if (value == "on") {
        e.compress = client::compression::on;
    } else if (value == "off") {
        e.compress = client::compression::off;
    } else {
        return bad_value("compress", "auto (when the line is slow enough for it to pay), on or off");
    }
    return {};
}

result<void> set_mbox_format(endpoint& e, const std::string& value) {
    using enum message::mbox_format;
    constexpr std::array<std::pair<std::string_view, message::mbox_format>, 4> known{
        {{"auto", automatic}, {"mboxrd", mboxrd}, {"mboxo", mboxo}, {"mboxcl2", mboxcl2}}};
    for (const auto& [name, format] : known) {
        if (value != name) continue;
        e.mbox = format;
        return {};
    }
    return bad_value("format", "auto, mboxrd, mboxo or mboxcl2");
}

/// Which schemes a parameter means something to.
enum class meant_for : std::uint8_t { servers, imap, mbox, folders };

struct parameter {
    std::string_view name;
    result<void> (*set)(endpoint&, const std::string&);
    meant_for whom = meant_for::servers;
};

bool means_something(const parameter& p, scheme s) noexcept {
    switch (p.whom) {
    case meant_for::folders: return s != scheme::pop3 && s != scheme::pop3s; // a maildrop has but one
    case meant_for::servers: return !is_local(s);
    case meant_for::imap: return s == scheme::imap || s == scheme::imaps;
    case meant_for::mbox: return s == scheme::mbox;
    }
    return false;
}

constexpr std::array<parameter, 15> parameters{{
    {"tls", set_tls},
    {"verify", set_verify},
    {"ca", set_tls_file<&net::tls_settings::ca_file>},
    {"auth", set_auth},
    {"cert", set_tls_file<&net::tls_settings::certificate_file>},
    {"key", set_tls_file<&net::tls_settings::key_file>},
    {"admin", set_text<&endpoint::admin>},
    {"admin-form", set_admin_form},
    {"oauth", set_oauth},
    {"prefix", set_text<&endpoint::prefix>, meant_for::folders},
    {"max-connections", set_max_connections},
    {"quirks", set_quirks, meant_for::imap},
    {"uidl", set_uidl, meant_for::imap},
    {"compress", set_compress, meant_for::imap},
    {"format", set_mbox_format, meant_for::mbox},
}};

result<void> read_parameter(endpoint& out, std::string_view item, std::vector<std::string_view>& seen) {
    const std::size_t equals = item.find('=');
    const std::string_view name = item.substr(0, equals);
    const auto* known = std::ranges::find(parameters, name, &parameter::name);
    if (known == parameters.end()) {
        // A password with a "?" in it can end up here: only what looks like a misspelt name is repeated.
        const bool word =
            name.size() <= 20 && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz-_") == std::string::npos;
        return refuse(fmt::format("unknown parameter{} in the endpoint's query", word ? fmt::format(" {}=", name) : ""),
                      "Known are tls, verify, ca, auth, cert, key, admin, admin-form, oauth, prefix, max-connections, "
                      "quirks, uidl, "
                      "compress and format");
    }
    if (!means_something(*known, out.kind))
        return refuse(fmt::format("{}= means nothing to a {}: endpoint", name, name_of(out.kind)));
    if (equals == std::string_view::npos || equals + 1 == item.size())
        return refuse(fmt::format("{}= has no value in the endpoint's query", name));
    const auto value = decode(item.substr(equals + 1));
    if (!value) return refuse(fmt::format("the value of {}= has a bad percent-encoding", name));
    // Several pins are allowed (the next key can be announced before it is used); everything else is said once.
    const bool again = std::ranges::find(seen, name) != seen.end();
    if (again && !(name == "verify" && istarts_with(*value, "pin:") && out.tls.verify == net::tls_verify::pin))
        return refuse(fmt::format("{}= is given twice in the endpoint's query", name));
    seen.push_back(name);
    return known->set(out, *value);
}

result<void> check_whole(const endpoint& e) {
    const bool certificate = !e.tls.certificate_file.empty();
    if (certificate != !e.tls.key_file.empty()) return refuse("cert= and key= belong together");
    if (e.auth == sasl::choice::external && !certificate) return refuse("auth=external needs cert=FILE and key=FILE");
    if (!e.tls.ca_file.empty() && e.tls.verify != net::tls_verify::ca)
        return refuse("ca= has no effect when verify= is not ca");
    if (!e.oauth.empty() && e.auth != sasl::choice::xoauth2 && e.auth != sasl::choice::oauthbearer)
        return refuse("oauth= needs auth=xoauth2 or auth=oauthbearer");
    if (e.form != admin_form::sasl && e.admin.empty()) return refuse("admin-form= needs admin=");
    return {};
}

result<void> read_query(endpoint& out, std::string_view query) {
    std::vector<std::string_view> seen;
    while (!query.empty()) {
        const std::size_t end = query.find('&');
        if (const std::string_view item = query.substr(0, end); !item.empty())
            if (auto ok = read_parameter(out, item, seen); !ok) return ok;
        query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    }
    return check_whole(out);
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
    if (auto ok = read_query(out, parts->query); !ok) return std::unexpected(ok.error());
    return out;
}

} // namespace postferry::mailbox

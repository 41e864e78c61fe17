// parse_location: the URL of a database.
#include "base/percent.hpp"
#include "base/text.hpp"
#include "sql/open.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>

namespace postferry::sql {

namespace {

/// Of libpq's connection parameters those that say where and how. The others are ours to set (time limits), or would
/// put a secret into a URL.
constexpr auto known_parameters = std::to_array<std::string_view>({
    "channel_binding",
    "gssencmode",
    "gsslib",
    "host",
    "hostaddr",
    "krbsrvname",
    "passfile",
    "port",
    "requirepeer",
    "service",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "sslsni",
    "target_session_attrs",
});
constexpr auto secret_parameters = std::to_array<std::string_view>({"password", "sslpassword"});

std::unexpected<error> refused(std::string what, std::string advice) {
    return fail(retry_class::config, phase::usage, std::move(what), std::move(advice));
}

std::unexpected<error> no_url(std::string_view why) {
    return refused(fmt::format("the database's URL {}", why),
                   "It looks like this: postgresql://USER@HOST:5432/DATABASE?sslmode=verify-full");
}

/// Text for libpq, which ends at a NUL.
std::optional<std::string> decoded(std::string_view text) {
    auto out = percent_decode(text);
    if (out && out->contains('\0')) out.reset();
    return out;
}

result<void> take_parameter(std::string_view pair, location& to) {
    const auto equals = pair.find('=');
    const std::string name(pair.substr(0, equals));
    if (std::ranges::find(secret_parameters, name) != secret_parameters.end())
        return no_url("must not hold a password, as others could see it");
    if (std::ranges::find(known_parameters, name) == known_parameters.end())
        return refused(fmt::format("\"{}\" is no parameter of a database's URL", quote_server_text(name, 40)),
                       fmt::format("There are: {}", fmt::join(known_parameters, ", ")));
    auto value = equals == std::string_view::npos ? std::nullopt : decoded(pair.substr(equals + 1));
    if (!value || value->empty()) return no_url(fmt::format("has no value for {}", name));
    to.parameters[name] = std::move(*value);
    return {};
}

/// `one` of "host:port", "[::1]:port", "host".
void take_host(std::string_view one, std::string& hosts, std::string& ports) {
    const bool bracket = one.starts_with('[');
    const auto close = bracket ? one.find(']') : 0;
    const auto colon = one.find(':', close == std::string_view::npos ? 0 : close);
    std::string_view host = one.substr(0, colon);
    if (bracket && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    hosts += fmt::format("{}{}", hosts.empty() ? "" : ",", host);
    ports +=
        fmt::format("{}{}", ports.empty() ? "" : ",", colon == std::string_view::npos ? "5432" : one.substr(colon + 1));
}

result<void> take_authority(std::string_view authority, location& to) {
    if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
        const std::string_view user = authority.substr(0, at);
        if (user.contains(':')) return no_url("must not hold a password, as others could see it");
        auto name = decoded(user);
        if (!name || name->empty()) return no_url("has no user before its @");
        to.parameters["user"] = std::move(*name);
        authority.remove_prefix(at + 1);
    }
    if (authority.empty()) return {};
    std::string hosts, ports;
    for (std::string_view rest = authority; !rest.empty();) {
        const auto comma = rest.find(',');
        take_host(rest.substr(0, comma), hosts, ports);
        rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    }
    const auto readable = decoded(hosts);
    if (!readable) return no_url("has a host that cannot be read");
    to.parameters["host"] = *readable;
    const bool numbers = std::ranges::all_of(ports, [](char c) { return c == ',' || (c >= '0' && c <= '9'); });
    if (!numbers) return no_url("has a port that is no number");
    to.parameters["port"] = ports;
    return {};
}

/// 127.0.0.1, and not a name that begins like it.
bool is_loopback(std::string_view host) {
    return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

/// Nobody listens between us and a socket, or on loopback.
bool stays_here(const location& where) {
    const auto host = where.parameters.find("host");
    if (host == where.parameters.end())
        return !where.parameters.contains("hostaddr") && !where.parameters.contains("service");
    for (std::string_view rest = host->second; !rest.empty();) {
        const auto comma = rest.find(',');
        const std::string_view one = rest.substr(0, comma);
        const bool here =
            one.starts_with('/') || one.starts_with('@') || one == "localhost" || one == "::1" || is_loopback(one);
        if (!here) return false;
        rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    }
    return !where.parameters.contains("hostaddr");
}

/// The bundle of public authorities, where libpq has none of its own: it would refuse to verify at all.
constexpr const char* system_authorities = "/etc/ssl/certs/ca-certificates.crt";

void choose_tls(location& to) {
    const auto [mode, ours] = to.parameters.try_emplace("sslmode", stays_here(to) ? "prefer" : "verify-full");
    const bool verifies = mode->second == "verify-full" || mode->second == "verify-ca";
    if (!verifies || to.parameters.contains("sslrootcert")) return;
    std::error_code ignored;
    const char* home = std::getenv("HOME"); // NOLINT(concurrency-mt-unsafe): nobody sets it
    const bool own =
        home != nullptr && std::filesystem::exists(std::filesystem::path(home) / ".postgresql/root.crt", ignored);
    if (!own && std::filesystem::exists(system_authorities, ignored)) to.parameters["sslrootcert"] = system_authorities;
}

std::string shown(const location& where) {
    const auto value = [&](const char* name) {
        const auto found = where.parameters.find(name);
        return found == where.parameters.end() ? std::string{} : found->second;
    };
    const std::string user = value("user"), port = value("port");
    std::string text = "postgresql://" + (user.empty() ? "" : user + "@") + value("host");
    if (!port.empty() && port != "5432") text += ":" + port;
    return quote_server_text(text + "/" + value("dbname"));
}

result<location> parse_postgresql(std::string_view rest) {
    location found{.dialect = sql::dialect::postgresql};
    const auto question = rest.find('?');
    std::string_view query = question == std::string_view::npos ? std::string_view{} : rest.substr(question + 1);
    rest = rest.substr(0, question);
    const auto slash = rest.find('/');
    // Else a password with a slash in it would pass for a port and a database, and be shown.
    if (slash != std::string_view::npos && rest.find('@', slash) != std::string_view::npos)
        return no_url("must not hold a password, as others could see it, and an @ behind the host is written %40");
    if (auto taken = take_authority(rest.substr(0, slash), found); !taken) return std::unexpected(taken.error());
    auto database = slash == std::string_view::npos ? std::nullopt : decoded(rest.substr(slash + 1));
    if (!database || database->empty()) return no_url("names no database");
    found.parameters["dbname"] = std::move(*database);
    while (!query.empty()) {
        const auto ampersand = query.find('&');
        if (auto taken = take_parameter(query.substr(0, ampersand), found); !taken)
            return std::unexpected(taken.error());
        query = ampersand == std::string_view::npos ? std::string_view{} : query.substr(ampersand + 1);
    }
    choose_tls(found);
    found.shown = shown(found);
    return found;
}

} // namespace

result<location> parse_location(std::string_view url) {
    for (const std::string_view scheme : {"postgresql://", "postgres://"})
        if (istarts_with(url, scheme)) return parse_postgresql(url.substr(scheme.size()));
    std::string_view path = url;
    if (istarts_with(url, "sqlite:"))
        path.remove_prefix(7);
    else if (url.contains("://"))
        return refused(fmt::format("\"{}\" is no kind of database known here",
                                   quote_server_text(url.substr(0, url.find("://")), 40)),
                       "Name a file, or postgresql://USER@HOST/DATABASE");
    if (path.empty()) return refused("a database without a name", "Name a file, or postgresql://USER@HOST/DATABASE");
    return location{.dialect = sql::dialect::sqlite, .file = std::filesystem::path(path), .shown = std::string(path)};
}

} // namespace postferry::sql

#include "app/guest_options.hpp"

#include "base/text.hpp"
#include "client/presets.hpp"
#include "net/http_post.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <charconv>

namespace postferry::app {

namespace {

std::unexpected<error> refuse(std::string what, std::string advice = {}) {
    return fail(retry_class::config, phase::usage, std::move(what), std::move(advice));
}

void add(CLI::App& app, const std::string& name, std::string& into, const char* text, const char* value,
         const char* group) {
    app.add_option(name, into, text)->type_name(value)->group(group);
}

// The options of one end are not listed: they are those of both, with the end's name.
void add_oauth(CLI::App& app, const std::string& prefix, raw_oauth& raw, const char* group) {
    add(app, prefix + "token-endpoint", raw.token_endpoint, "OAuth 2: where tokens are got; https, POST", "URL", group);
    add(app, prefix + "client-id", raw.client_id, "who we are there", "ID", group);
    add(app, prefix + "client-secret-file", raw.client_secret_file, "first line: the client's secret", "FILE", group);
    add(app, prefix + "scope", raw.scope, "what is asked for, as https://outlook.office365.com/.default", "SCOPE",
        group);
    add(app, prefix + "grant", raw.grant, "client-credentials (default) or refresh-token", "GRANT", group);
    add(app, prefix + "refresh-token-file", raw.refresh_token_file,
        "first line: the refresh token; written anew when the endpoint gives another", "FILE", group);
    add(app, prefix + "ca", raw.ca_file, "PEM with the authorities to trust there instead of the system's", "FILE",
        group);
}

result<void> set_size(std::optional<std::uint64_t>& into, std::string_view text, std::string_view name,
                      std::string_view example) {
    if (text.empty()) return {};
    if (text.ends_with("/s")) text.remove_suffix(2);
    into = parse_size(text);
    if (!into || *into == 0) return refuse(fmt::format("{} takes a size such as {}", name, example));
    return check_unit(text, name);
}

result<void> set_rate(std::optional<double>& into, std::string_view text, std::string_view name) {
    if (text.empty()) return {};
    into = parse_rate(text);
    if (!into) return refuse(fmt::format("{} takes a number a second such as 4 or 0.5", name));
    return {};
}

result<void> set_preset(guest_options& out, std::string_view text) {
    std::string_view name = text;
    const bool source_only = text.starts_with("source="), target_only = text.starts_with("target=");
    if (source_only || target_only) name.remove_prefix(7);
    if (client::find_preset(name) == nullptr)
        return refuse(fmt::format("There is no preset \"{}\"", quote_server_text(name, 40)),
                      fmt::format("Known are {}; source=NAME and target=NAME are for one end", client::preset_names()));
    if (!target_only) out.presets[0] = name;
    if (!source_only) out.presets[1] = name;
    return {};
}

const std::string& either(const std::string& own, const std::string& both) { return own.empty() ? both : own; }

} // namespace

std::optional<double> parse_rate(std::string_view text) {
    if (text.ends_with("/s")) text.remove_suffix(2);
    double n = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), n, std::chars_format::fixed);
    if (failed != std::errc() || end != text.data() + text.size() || !(n > 0) || n > 1e9) return std::nullopt;
    return n;
}

result<void> check_unit(std::string_view size, std::string_view name) {
    constexpr std::uint64_t least = 1000; // octets
    const auto bare = parse_u64(size);
    if (!bare || *bare >= least) return {};
    return refuse(fmt::format("{}: {} octets is hardly meant: write {}MB, or {}B if it is", name, size, size, size));
}

void add_guest_options(CLI::App& app, raw_guest& raw) {
    constexpr const char* group = "Being a good guest";
    app.add_option("--preset", raw.presets,
                   "limits of gmail, office365, exchange, yahoo, icloud or generic; source=NAME, target=NAME")
        ->type_name("NAME")
        ->allow_extra_args(false)
        ->group(group);
    add(app, "--limit-rate", raw.limit_rate, "octets a second to and from each server, as 2MB", "BYTES/s", group);
    add(app, "--limit-messages", raw.limit_messages, "messages a second of each server, as 4", "N/s", group);
    add(app, "--limit-logins", raw.limit_logins, "logins a second of each server", "N/s", group);
    add(app, "--daily-bytes", raw.daily_bytes,
        "octets a day from each account of the source and to each of the target; then it sleeps", "SIZE", group);
    add(app, "--daily-bytes-per-server", raw.daily_bytes_per_server, "the same over all accounts of a server", "SIZE",
        group);
    app.add_flag("--no-wait", raw.no_wait,
                 "end with exit code 4 rather than wait longer than a minute for a server or a budget")
        ->group(group);
    constexpr const char* oauth = "OAuth 2 (for one end only: --oauth-source-..., --oauth-target-...)";
    add_oauth(app, "--oauth-", raw.oauth, oauth);
    add_oauth(app, "--oauth-source-", raw.oauth_source, "");
    add_oauth(app, "--oauth-target-", raw.oauth_target, "");
}

result<guest_options> check_guest_options(const raw_guest& raw) {
    guest_options out;
    for (const std::string& text : raw.presets)
        if (auto ok = set_preset(out, text); !ok) return std::unexpected(ok.error());
    if (auto ok = set_size(out.octets_per_second, raw.limit_rate, "--limit-rate", "2MB"); !ok)
        return std::unexpected(ok.error());
    if (auto ok = set_size(out.octets_per_day, raw.daily_bytes, "--daily-bytes", "2.5GB"); !ok)
        return std::unexpected(ok.error());
    if (auto ok = set_size(out.server_octets_per_day, raw.daily_bytes_per_server, "--daily-bytes-per-server", "50GB");
        !ok)
        return std::unexpected(ok.error());
    if (auto ok = set_rate(out.messages_per_second, raw.limit_messages, "--limit-messages"); !ok)
        return std::unexpected(ok.error());
    if (auto ok = set_rate(out.logins_per_second, raw.limit_logins, "--limit-logins"); !ok)
        return std::unexpected(ok.error());
    return out;
}

result<oauth_options> check_oauth_options(const raw_oauth& both, const raw_oauth& own, std::string_view side) {
    oauth_options out;
    out.token_endpoint = either(own.token_endpoint, both.token_endpoint);
    out.client_id = either(own.client_id, both.client_id);
    out.scope = either(own.scope, both.scope);
    out.client_secret_file = either(own.client_secret_file, both.client_secret_file);
    out.refresh_token_file = either(own.refresh_token_file, both.refresh_token_file);
    out.ca_file = either(own.ca_file, both.ca_file);
    const std::string& grant = either(own.grant, both.grant);
    const bool anything = !out.client_id.empty() || !out.scope.empty() || !out.client_secret_file.empty() ||
                          !out.refresh_token_file.empty() || !out.ca_file.empty() || !grant.empty();
    if (!out.wanted()) {
        if (anything) return refuse(fmt::format("The --oauth- options of the {} need --oauth-token-endpoint", side));
        return out;
    }
    if (auto url = net::parse_http_url(out.token_endpoint); !url)
        return refuse(fmt::format("--oauth-token-endpoint: {}", url.error().what), url.error().advice);
    if (out.client_id.empty()) return refuse("--oauth-token-endpoint needs --oauth-client-id");
    if (!grant.empty() && grant != "client-credentials" && grant != "refresh-token")
        return refuse("--oauth-grant takes client-credentials or refresh-token");
    out.refresh = grant.empty() ? !out.refresh_token_file.empty() : grant == "refresh-token";
    if (!out.refresh && out.client_secret_file.empty())
        return refuse("--oauth-grant client-credentials needs --oauth-client-secret-file");
    return out;
}

} // namespace postferry::app

#include "app/remote_place.hpp"

#include "app/credentials.hpp"
#include "net/http_post.hpp"

#include <fmt/format.h>

namespace postferry::app {

namespace {

constexpr const char* usual_socket = "/run/postferry/postferry.sock";

std::string from_environment(const std::function<const char*(const char*)>& environment, const char* name) {
    const char* value = environment ? environment(name) : nullptr;
    return value == nullptr ? std::string{} : std::string(value);
}

std::unexpected<error> misused(std::string what, std::string advice = {}) {
    return fail(retry_class::config, phase::usage, std::move(what), std::move(advice));
}

result<std::string> checked_url(std::string url) {
    const auto parsed = net::parse_http_url(url);
    if (!parsed) return std::unexpected(parsed.error());
    if (url.contains('?') || url.contains('#')) return misused("The URL of a service has no ? and no #");
    while (url.ends_with('/')) url.pop_back();
    constexpr std::string_view below = "/api/v1";
    if (url.ends_with(below)) url.resize(url.size() - below.size());
    return url;
}

/// Only where nothing else said it: the configuration may be the service's alone, and not readable for us.
result<void>
from_config(remote_place& place, const place_words& words,
            const std::function<std::expected<config_file, config_faults>(const std::filesystem::path&)>& find) {
    place.usual = true;
    place.socket = usual_socket;
    place.note = "the usual socket";
    if (!find || words.no_config) return {};
    const auto found = find(words.config);
    if (!found) return misused(found.error().text());
    if (found->file.empty()) return {};
    place.note = fmt::format("[service] socket of {}", found->file.string());
    place.socket = found->values.service.socket;
    if (place.socket.empty())
        return misused(fmt::format("{} gives the service no local socket", found->file.string()),
                       "Name the service by --url https://..., with --token-file");
    return {};
}

} // namespace

result<remote_place>
find_place(const place_words& words, const std::function<const char*(const char*)>& environment,
           const std::function<std::expected<config_file, config_faults>(const std::filesystem::path&)>& find) {
    if (!words.url.empty() && !words.socket.empty()) return misused("--url and --socket name two services; give one");
    remote_place place;
    const bool told = !words.url.empty() || !words.socket.empty();
    const std::string url = told ? words.url : from_environment(environment, "POSTFERRY_URL");
    place.socket = told ? words.socket : from_environment(environment, "POSTFERRY_SOCKET");
    if (!url.empty()) {
        auto good = checked_url(url);
        if (!good) return std::unexpected(std::move(good.error()));
        place.url = std::move(*good);
        place.socket.clear();
        place.note = told ? "--url" : "$POSTFERRY_URL";
    } else if (!place.socket.empty()) {
        place.note = told ? "--socket" : "$POSTFERRY_SOCKET";
    } else if (auto ok = from_config(place, words, find); !ok) {
        return std::unexpected(std::move(ok.error()));
    }
    place.ca_file = words.ca;
    const std::string file =
        words.token_file.empty() ? from_environment(environment, "POSTFERRY_TOKEN_FILE") : words.token_file;
    // The local socket asks who we are by itself, so a token of the environment is none of its business.
    if (file.empty() || (place.local() && words.token_file.empty())) return place;
    auto token = read_secret_file(file, words.token_file.empty() ? "$POSTFERRY_TOKEN_FILE" : "--token-file");
    if (!token) return std::unexpected(std::move(token.error()));
    place.token = std::move(*token);
    return place;
}

} // namespace postferry::app

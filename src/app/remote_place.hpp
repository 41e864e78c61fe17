#pragma once
// Where the service is, and as whom we come.
#include "app/config.hpp"
#include "base/error.hpp"
#include "base/secret.hpp"

#include <filesystem>
#include <functional>
#include <string>

namespace postferry::app {

/// A service is reached by its local socket, or by its URL with a token.
struct remote_place {
    std::filesystem::path socket = {}; ///< used when there is no URL
    std::string url = {};              ///< "https://mail.example.org:8443", with a path before /api/v1 if there is one
    secret token = {};                 ///< empty: none; the local socket knows who we are
    std::string ca_file = {};          ///< PEM; empty: the system's authorities
    std::string note = {};             ///< where this was said: "--socket", "$POSTFERRY_URL", "[service] socket of ..."
    bool usual = false;                ///< nobody named it: the configuration's socket, or the one that is usual

    [[nodiscard]] bool local() const noexcept { return url.empty(); }
    [[nodiscard]] std::string name() const { return local() ? socket.string() : url; } ///< no secret in it
};

/// What the command line says about it; all may be empty.
struct place_words {
    std::string url = {}, socket = {}, token_file = {}, ca = {}, config = {};
    bool no_config = false;
};

/// In this order: --url or --socket; $POSTFERRY_URL; $POSTFERRY_SOCKET; [service] socket of the configuration; the
/// usual socket. Reads the token's file (--token-file, $POSTFERRY_TOKEN_FILE). Errors: class config, phase usage.
/// @param find finds the configuration: `named` by --config, or else
[[nodiscard]] result<remote_place>
find_place(const place_words& words, const std::function<const char*(const char*)>& environment,
           const std::function<std::expected<config_file, config_faults>(const std::filesystem::path&)>& find);

} // namespace postferry::app

#pragma once
// What the command line says about being a good guest: limits, budgets, presets, OAuth 2.
#include "base/error.hpp"
#include "base/secret.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace postferry::app {

/// Nothing: what the preset says, else no limit.
struct guest_options {
    std::array<std::string, 2> presets;             ///< of source and target; empty: chosen by host and capabilities
    std::optional<std::uint64_t> octets_per_second; ///< of each server
    std::optional<double> messages_per_second;      ///< of each server
    std::optional<double> logins_per_second;        ///< of each server
    std::optional<std::uint64_t> octets_per_day;    ///< of each account: read from the source, brought to the target
    std::optional<std::uint64_t> server_octets_per_day;       ///< the same of each server, over all its accounts
    std::optional<std::uint32_t> connections_per_server = {}; ///< at a time; max-connections= of an end goes before it
};

/// A client of a token endpoint (docs/cli.md#oauth-2). The secrets are read by complete_passwords().
struct oauth_options {
    std::string token_endpoint; ///< checked; empty: no OAuth 2 here
    std::string client_id, scope;
    bool refresh = false; ///< grant refresh-token, else client-credentials
    std::filesystem::path client_secret_file, refresh_token_file, ca_file;
    secret client_secret, refresh_token;

    [[nodiscard]] bool wanted() const noexcept { return !token_endpoint.empty(); }
};

/// As typed; an empty text was not given.
struct raw_oauth {
    std::string token_endpoint, client_id, client_secret_file, scope, grant, refresh_token_file, ca_file;
};
struct raw_guest {
    std::vector<std::string> presets;
    std::string limit_rate, limit_messages, limit_logins, daily_bytes, daily_bytes_per_server;
    bool no_wait = false;
    raw_oauth oauth, oauth_source, oauth_target; ///< of both ends, and what one end has of its own
};

/// "2.5/s", "2.5": above 0.
[[nodiscard]] std::optional<double> parse_rate(std::string_view text);
/// Whether the size is meant: "25" would be 25 octets, and skip all mail. `name`: the option. Errors: class config.
[[nodiscard]] result<void> check_unit(std::string_view size, std::string_view name);
void add_guest_options(CLI::App& app, raw_guest& raw);
/// Errors: class config, a sentence that says what is allowed.
[[nodiscard]] result<guest_options> check_guest_options(const raw_guest& raw);
/// What an end's own options leave out comes from those of both.
[[nodiscard]] result<oauth_options> check_oauth_options(const raw_oauth& both, const raw_oauth& own,
                                                        std::string_view side);

} // namespace postferry::app
